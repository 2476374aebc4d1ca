"""The openai package's own tests, from its source distribution, against the real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest
import tiny
from conftest import jsonl, make_platform

from helpers.local_platform import server as lifecycle

HERE = Path(__file__).parent
KEY = "My API Key"  # what the package's tests send
SUITES = [
    "fine_tuning/test_jobs.py",
    "fine_tuning/jobs/test_checkpoints.py",
    "test_files.py",
    "test_models.py",
    "test_embeddings.py",
    "chat/test_completions.py",
]
LIST_0 = "asks for limit=0, after an id that does not exist: either gets a clear 400"
NOT_STORED = "the platform stores no chat completions (and refuses store=True)"
# The cases that cannot pass: by name (a whole match), what the SDK's error says, and why.
# Each of these must fail in just this way, synchronous, asynchronous, strict and loose alike.
# CALL stands for a class and one of the three ways of calling that the suite tries.
CALL = r"\w+::test_(method|raw_response|streaming_response)"
CANNOT = {
    r"chat.test_completions.CALL_(retrieve|update|delete)": ("Error code: 404", NOT_STORED),
    r"chat.test_completions.CALL_list(_with_all_params)?": ("Error code: 405", NOT_STORED),
    r"chat.test_completions.CALL_create_with_all_params_overload_[12]": (
        "Unknown or unsupported parameter: 'stream_options.include_obfuscation'",
        "every parameter at once, audio, moderation, prediction, web search and more among them, "
        "which a small text model cannot honour: a 400 that names the first",
    ),
    r"fine_tuning.test_jobs.CALL_create_with_all_params": (
        "This platform has no integrations",
        "reports to Weights & Biases: nothing leaves the machine, so a clear 400",
    ),
    r"fine_tuning.test_jobs.CALL_list(_events)?_with_all_params": ("'limit' is a whole", LIST_0),
    r"fine_tuning.jobs.test_checkpoints.CALL_list_with_all_params": ("'limit' is a whole", LIST_0),
    r"test_files.CALL_list_with_all_params": ("'limit' is a whole", LIST_0),
    r"test_embeddings.CALL_create\[(strict|aiohttp)\]": (
        "Data returned by API invalid for expected schema",
        "the SDK asks for base64 of its own accord, and its strict mode (which its aiohttp cases "
        "use too) refuses the text before it would decode it",
    ),
}
# Skipped by the suite itself: its stand-in for a server cannot stand in front of aiohttp.
SKIPPED = r"test_files.CALL_content\[aiohttp\]"


@pytest.fixture(scope="module")
def sdk_tests(pytestconfig, tmp_path_factory) -> Path:
    """The unpacked source distribution of the installed version; pip fetches it once."""
    release = f"openai-{version('openai')}"
    archive = Path(pytestconfig.cache.mkdir("openai-sdist")) / f"{release}.tar.gz"
    if not archive.exists():
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary",
                 "openai", "--dest", str(archive.parent), release.replace("-", "==")]  # fmt: skip
        done = subprocess.run(fetch, capture_output=True, text=True, encoding="utf-8")
        assert archive.exists(), f"pip could not fetch {release}: {done.stderr}"
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / release


@pytest.fixture(scope="module")
def outcomes(sdk_tests, tiny_base, tmp_path_factory) -> dict[str, tuple[str, str]]:
    """(outcome, message) of each of the package's cases, by its name: module.Class::case[mode]."""
    report = tmp_path_factory.mktemp("sdk-report") / "cases.xml"
    platform = make_platform(tmp_path_factory.mktemp("sdk-state"), tiny_base)
    (platform.folder / "key").write_text(KEY, encoding="utf-8")
    assert platform.run("start").returncode == 0
    environment = {
        **platform.environment,
        "TEST_API_BASE_URL": lifecycle.running(platform.folder)["url"],
        "SDK_SUITE_STORE": str(platform.folder),
        "SDK_SUITE_EXAMPLES": json.dumps(jsonl(tiny.make_examples(12)).decode()),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(sdk_tests)]),
    }
    paths = [f"tests/api_resources/{suite}" for suite in SUITES]
    command = [sys.executable, "-m", "pytest", "-p", "sdk_plugin", "-p", "no:cacheprovider",
               "-o", "addopts=", "-q", "--tb=line", f"--junitxml={report}", *paths]  # fmt: skip
    try:
        done = subprocess.run(command, cwd=sdk_tests, env=environment, capture_output=True,
                              text=True, encoding="utf-8", timeout=900)  # fmt: skip
    finally:
        platform.run("stop")
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        end = next(iter(case), None)
        outcome = ("passed", "") if end is None else (end.tag, end.get("message", ""))
        owner = case.get("classname").removeprefix("tests.api_resources.")
        found[f"{owner}::{case.get('name')}"] = outcome
    return found


def _is(name: str, pattern: str) -> bool:
    mode = r"(\[(loose|strict|aiohttp)\])?"
    return bool(re.fullmatch(pattern.replace("CALL", CALL) + mode, name))


def _listed(name: str) -> str | None:
    """What the error of a listed case says, or None for a case that must pass."""
    return next((error for pattern, (error, _) in CANNOT.items() if _is(name, pattern)), None)


def test_every_case_that_is_not_listed_passes(outcomes):
    others = {n: o for n, o in outcomes.items() if not _listed(n) and not _is(n, SKIPPED)}
    assert {n: o for n, o in others.items() if o[0] != "passed"} == {}
    assert len(others) >= 370  # 373 with openai 3.52.0


def test_every_listed_case_fails_for_its_reason(outcomes):
    listed = {name: outcome for name, outcome in outcomes.items() if _listed(name)}
    other = {n: o for n, o in listed.items() if o[0] != "failure" or _listed(n) not in o[1]}
    assert other == {}
    for pattern in CANNOT:
        assert any(_is(name, pattern) for name in listed), pattern


def test_the_suite_skips_what_its_stand_in_cannot_do(outcomes):
    skipped = {name for name, (outcome, _) in outcomes.items() if outcome == "skipped"}
    assert skipped == {name for name in outcomes if _is(name, SKIPPED)}
