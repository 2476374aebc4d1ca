"""Starting, finding and stopping the platform: python -m helpers platform start|stop|status|reset

The state folder holds `server.json` (address and process), `key` (only its owner can read it),
the database, the files and `server.log`. A lock keeps a second server away from it.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import portalocker
from decouple import AutoConfig

ROOT = Path(__file__).resolve().parents[2]
# Settings that the engine's libraries read from the environment; .env may hold them.
PASSED_ON = (
    "LOCAL_BASE_MODEL",
    "LOCAL_ALLOW_DOWNLOAD",
    "LOCAL_TRAINING_THREADS",
    "OMP_WAIT_POLICY",
)
START_LIMIT = 60  # seconds
STOP_LIMIT = 15
BUSY = 3  # exit status of a server that found the folder taken


def main(arguments: list[str] | None = None) -> int:
    """Run one action; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m helpers platform")
    parser.add_argument("action", choices=["start", "stop", "status", "reset", "serve"])
    parser.add_argument("--folder", type=Path, default=default_folder())
    options = parser.parse_args(arguments)
    action = {"start": start, "stop": stop, "status": status, "reset": reset, "serve": serve}
    return action[options.action](options.folder.resolve())


def default_folder() -> Path:
    """The state folder that the settings name."""
    read = AutoConfig(search_path=str(ROOT))
    return Path(read("WORKBOOK_OUTPUT", default="") or ROOT / "output") / "platform"


def start(folder: Path) -> int:
    """Start a server in the background unless one answers; a closed notebook leaves it running."""
    if running(folder):
        print(f"The platform runs already: {running(folder)['url']}")
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "helpers.local_platform.server", "serve"]
    detached = (
        {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
        if os.name == "nt"
        else {"start_new_session": True}
    )
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--folder", str(folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **detached,
        )
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        found = running(folder)
        if found:
            print(f"The platform runs: {found['url']}")
            return 0
        # A busy folder means that another start was faster: its server will answer soon.
        if process.poll() not in (None, BUSY):
            break
        time.sleep(0.1)
    print(f"The platform did not start; see {folder / 'server.log'}", file=sys.stderr)
    return 1


def serve(folder: Path) -> int:
    """Serve in this process until it is told to stop. Refuses a folder that another one serves."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = portalocker.Lock(folder / "lock", "w", fail_when_locked=True)
        lock.acquire()
    except portalocker.exceptions.LockException:
        print(f"Another platform already serves {folder}; stop it first.", file=sys.stderr)
        return BUSY
    pass_settings_on()
    import uvicorn

    from helpers.local_platform.app import create_app

    # The protocol is named because asyncio looks for it: only then are small answers sent at once
    # (TCP_NODELAY), where each would wait some 40 ms for the one before it to be acknowledged.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    address = {"url": f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "pid": os.getpid()}
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(folder, read_or_make_key(folder)),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=3,
        )
    )
    _replace(folder / "server.json", json.dumps(address))
    try:
        server.run(sockets=[listener])
    finally:
        (folder / "server.json").unlink(missing_ok=True)
        lock.release()
    return 0


def stop(folder: Path) -> int:
    """Stop the server; jobs under way go on when the next one starts."""
    found = running(folder)
    if not found:
        print("The platform is not running.")
        return 0
    for signal in (15, 9):  # a request to end (on Windows it ends at once), then force
        with suppress(ProcessLookupError):
            os.kill(found["pid"], signal)
        if _wait_until_free(folder):
            break
    (folder / "server.json").unlink(missing_ok=True)
    print("The platform was stopped.")
    return 0


def _wait_until_free(folder: Path) -> bool:
    """Whether the server let go of its folder in time: its process, not just its port, is gone."""
    try:
        with portalocker.Lock(folder / "lock", "w", timeout=STOP_LIMIT, check_interval=0.1):
            return True
    except portalocker.exceptions.LockException:
        return False


def status(folder: Path) -> int:
    """Say whether a server answers, and what it has; the exit status is 0 where it does."""
    found = running(folder)
    if not found:
        print("The platform is not running.")
        return 1
    from helpers.local_platform.store import Store

    store = Store(folder)
    waiting = [f"{job['id']} ({job['status']})" for job in store.unfinished_jobs()]
    print(f"The platform runs: {found['url']}")
    print(f"models: {len(store.models())}; jobs under way: {', '.join(waiting) or 'none'}")
    return 0


def reset(folder: Path) -> int:
    """Stop the server and delete everything it holds: files, jobs, models."""
    stop(folder)
    shutil.rmtree(folder, ignore_errors=True)
    print("The platform's files, jobs and models were deleted.")
    return 0


def running(folder: Path) -> dict | None:
    """The address of the server that answers for this folder, or None."""
    try:
        found = json.loads((folder / "server.json").read_text(encoding="utf-8"))
        key = (folder / "key").read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {key}"}
        ask = urllib.request.Request(f"{found['url']}/models", headers=headers)
        urllib.request.urlopen(ask, timeout=5).close()
        return found
    except (OSError, ValueError, KeyError, urllib.error.URLError):
        return None


def read_or_make_key(folder: Path) -> str:
    """The folder's key; a new random one, readable by its owner only, where there is none."""
    path = folder / "key"
    if path.exists() and path.read_text(encoding="utf-8").strip():
        return path.read_text(encoding="utf-8").strip()
    key = f"local-{secrets.token_urlsafe(24)}"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(key)
    return key


def pass_settings_on() -> None:
    """Put the engine's settings from .env where its libraries look: into the environment."""
    read = AutoConfig(search_path=str(ROOT))
    for name in PASSED_ON:
        value = read(name, default="")
        if value:
            os.environ[name] = value
    if os.environ.get("LOCAL_ALLOW_DOWNLOAD") == "1":
        os.environ.pop("HF_HUB_OFFLINE", None)  # the package's default, set before .env was read


def _replace(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


if __name__ == "__main__":
    sys.exit(main())
