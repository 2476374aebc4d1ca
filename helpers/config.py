"""Settings, paths, and the client: who answers the course's calls.

Settings come from the environment, then from `.env` beside the README, then from their defaults
(`.env.example` lists them all). Paths are found from this file, so that a notebook works from
wherever Jupyter was started.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from decouple import AutoConfig
from openai import AzureOpenAI, OpenAI

ROOT = Path(__file__).resolve().parents[1]
_read = AutoConfig(search_path=str(ROOT))
DATA = ROOT / "data"
OUTPUT = Path(_read("WORKBOOK_OUTPUT", default="") or ROOT / "output")
PLATFORM = OUTPUT / "platform"
START_LIMIT = 60  # seconds; loading the libraries takes a few

# provider -> (base URL, name of the key's setting, default chat and embedding model)
PROVIDERS = {
    "openai": (
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        "gpt-4.1-mini-2025-04-14",
        "text-embedding-3-small",
    ),
    "azure": (None, "AZURE_OPENAI_API_KEY", "gpt-4.1-mini", "text-embedding-3-small"),
    "nebius": (
        "https://api.tokenfactory.nebius.com/v1/",
        "NEBIUS_API_KEY",
        "meta-llama/Meta-Llama-3.1-8B-Instruct",
        "BAAI/bge-multilingual-gemma2",
    ),
    "custom": (None, "CUSTOM_API_KEY", "", ""),
}


class SettingsError(ValueError):
    """A setting is missing or wrong; the message says which, and what to write into .env."""


@dataclass(frozen=True)
class Profile:
    """Who answers. The key never shows up in a print of it."""

    name: str
    base_url: str
    key: str = field(repr=False)
    chat_model: str
    embedding_model: str
    paid: bool


def provider() -> Profile:
    """The provider that the settings choose; for `local` the platform is started if need be.

    Raises: SettingsError where a setting is missing or wrong.
    """
    name = _read("PROVIDER", default="local").strip().lower() or "local"
    if name == "local":
        return Profile(
            name, *_local_platform(), *_models("workbook-mini", "all-MiniLM-L6-v2"), False
        )
    if name not in PROVIDERS:
        raise SettingsError(f"PROVIDER={name} is none of local, {', '.join(PROVIDERS)}.")
    url, key_name, chat, embedding = PROVIDERS[name]
    url_name = {"azure": "AZURE_OPENAI_ENDPOINT", "custom": "CUSTOM_BASE_URL"}.get(name)
    url = url or _required(url_name, name)
    key = _required(key_name, name)
    return Profile(name, url, key, *_models(chat, embedding), paid=True)


def client() -> OpenAI:
    """The official SDK's client, pointed at the chosen provider.

    Raises: SettingsError; RuntimeError where the local platform does not come up.
    """
    profile = provider()
    if profile.name == "azure":
        return AzureOpenAI(
            azure_endpoint=profile.base_url, api_key=profile.key, api_version="2025-04-01-preview"
        )
    return OpenAI(base_url=profile.base_url, api_key=profile.key)


def headless() -> bool:
    """Whether nobody sits before this run: `helpers/runner.py` sets WORKBOOK_HEADLESS=1."""
    return os.environ.get("WORKBOOK_HEADLESS") == "1"


def describe() -> str:
    """One line on who answers and what it costs."""
    profile = provider()
    if profile.name == "local":
        return "local platform, no key, 0.00 USD"
    return f"{profile.name}, with your key, paid by use: every job shows its estimate first"


def _models(chat: str, embedding: str) -> tuple[str, str]:
    chosen = (
        _read("CHAT_MODEL", default="") or chat,
        _read("EMBEDDING_MODEL", default="") or embedding,
    )
    if not all(chosen):
        raise SettingsError("Name CHAT_MODEL and EMBEDDING_MODEL in .env for this provider.")
    return chosen


def _required(setting: str, provider_name: str) -> str:
    value = _read(setting, default="").strip()
    if not value:
        raise SettingsError(f"PROVIDER={provider_name} needs {setting}=... in .env.")
    return value


def _local_platform() -> tuple[str, str]:
    """URL and key of the running platform; starts one where none answers."""
    found = _running()
    if found:
        return found
    command = [sys.executable, "-m", "helpers", "--here", "platform", "start"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    deadline = time.monotonic() + START_LIMIT
    while done.returncode == 0 and time.monotonic() < deadline:
        found = _running()
        if found:
            return found
        time.sleep(0.1)
    raise RuntimeError(
        f"The local platform did not start: {(done.stderr or done.stdout).strip()}\n"
        "Try: python -m helpers doctor"
    )


def _running() -> tuple[str, str] | None:
    try:
        url = json.loads((PLATFORM / "server.json").read_text(encoding="utf-8"))["url"]
        key = (PLATFORM / "key").read_text(encoding="utf-8").strip()
        ask = urllib.request.Request(f"{url}/models", headers={"Authorization": f"Bearer {key}"})
        urllib.request.urlopen(ask, timeout=5).close()
    except (OSError, ValueError, KeyError, urllib.error.URLError):
        return None
    return url, key
