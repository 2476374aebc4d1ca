"""What is missing or misconfigured, each with its cure. Standard library only: it runs first."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from helpers.__main__ import ENVIRONMENT, INSIDE, ROOT, python, ready, supported

NEEDED_GIB = 6  # the environment takes about 3 GiB, pip's unpacking as much again
PROVIDERS = ("local", "openai", "azure", "nebius", "custom")
Check = tuple[bool, str, str]  # fine?, what was found, the cure


def main() -> int:
    """Print a line per check; returns 1 where something needs a cure."""
    failed = 0
    for check in CHECKS:
        fine, found, cure = check()
        failed += not fine
        print(f"[{'ok' if fine else 'CURE'}]  {found}" + ("" if fine else f"\n        -> {cure}"))
    print("Everything is in place." if not failed else f"{failed} thing(s) to cure.")
    return 1 if failed else 0


def check_python() -> Check:
    """The interpreter's version and word size."""
    found = f"Python {sys.version.split()[0]}, {platform.architecture()[0]}, {platform.system()}"
    return (
        supported() and sys.maxsize > 2**32,
        found,
        "Install a 64-bit Python 3.11, 3.12 or 3.13 and call it by name.",
    )


def check_disk() -> Check:
    """Free space where the environment and the outputs go."""
    free = shutil.disk_usage(ROOT).free / 2**30
    needed = NEEDED_GIB if not python().exists() else 1
    return free >= needed, f"{free:.0f} GiB free", f"Free at least {needed} GiB on this disk."


def check_environment() -> Check:
    """Whether `.venv` holds what requirements.txt names."""
    if os.environ.get(INSIDE) or importlib.util.find_spec("torch"):
        return True, "the requirements are importable here", ""
    return (
        ready(ROOT / "requirements.txt"),
        f"environment {ENVIRONMENT.name}",
        "Run: python3 -m helpers run (it installs first), or see its message on what failed.",
    )


def check_output() -> Check:
    """Whether the output folder can be written."""
    folder = Path(read_settings().get("WORKBOOK_OUTPUT") or ROOT / "output")
    probe = folder / ".probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("x", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        return False, f"output folder {folder}", f"Make it writable ({error.strerror})."
    return True, f"output folder {folder}", ""


def check_port() -> Check:
    """Whether a loopback port can be opened, as the local platform needs one."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return True, f"loopback port, for example {server.getsockname()[1]}", ""
    except OSError as error:
        return False, "loopback ports", f"Allow Python to listen on 127.0.0.1 ({error})."


def check_settings() -> Check:
    """Whether `.env` holds only known names, and a key where the provider needs one."""
    settings, known = read_settings(), known_settings()
    unknown = sorted(set(read_env(ROOT / ".env")) - known)
    if unknown:
        return False, f".env has {', '.join(unknown)}", "See .env.example for the names."
    provider = settings.get("PROVIDER") or "local"
    if provider not in PROVIDERS:
        return False, f"PROVIDER={provider}", f"Choose one of {', '.join(PROVIDERS)}."
    key = {
        "openai": "OPENAI_API_KEY",
        "azure": "AZURE_OPENAI_API_KEY",
        "nebius": "NEBIUS_API_KEY",
    }.get(provider)
    if key and not settings.get(key):
        return False, f"PROVIDER={provider} without {key}", f"Put {key}=... into .env."
    return True, f"settings: provider {provider}", ""


def check_provider() -> Check:
    """Whether the chosen provider answers (asked in the environment, where the SDK lives)."""
    if not python().exists() and not importlib.util.find_spec("openai"):
        return True, "provider not asked yet: nothing is installed", ""
    ask = "from helpers import config; config.client().models.list(); print(config.describe())"
    program = sys.executable if importlib.util.find_spec("openai") else str(python())
    done = subprocess.run(
        [program, "-c", ask],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return (
        done.returncode == 0,
        f"provider: {said[-1] if said else 'no answer'}",
        "Local: python -m helpers platform reset, then start. Hosted: look at key and URL.",
    )


def read_settings() -> dict[str, str]:
    """The settings that count: `.env`, and over it the process's environment."""
    return {
        **read_env(ROOT / ".env"),
        **{k: v for k, v in os.environ.items() if k in known_settings()},
    }


def known_settings() -> set[str]:
    """The names that .env.example documents."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return {
        line.lstrip("# ").split("=")[0]
        for line in lines
        if "=" in line and line.lstrip("# ").split("=")[0].isupper()
    }


def read_env(path: Path) -> dict[str, str]:
    """NAME=value lines of a file; an empty dict where there is none."""
    if not path.exists():
        return {}
    rows = [
        line.split("=", 1)
        for line in path.read_text(encoding="utf-8-sig").splitlines()
        if "=" in line and not line.lstrip().startswith("#")
    ]
    return {name.strip(): value.strip().strip("'\"") for name, value in rows}


CHECKS: list[Callable[[], Check]] = [
    check_python,
    check_disk,
    check_environment,
    check_output,
    check_port,
    check_settings,
    check_provider,
]
