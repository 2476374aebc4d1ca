"""Every test writes to a folder of its own, and the platform that a test starts is stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import pytest

# Set before any test module imports helpers.config, and inherited by every subprocess.
os.environ["WORKBOOK_OUTPUT"] = tempfile.mkdtemp(prefix="workbook-tests-")
os.environ["WORKBOOK_HEADLESS"] = "1"
os.environ["PROVIDER"] = "local"


@pytest.fixture(scope="session", autouse=True)
def platform_stopped_at_the_end():
    yield
    subprocess.run(
        [sys.executable, "-m", "helpers", "--here", "platform", "stop"],
        capture_output=True,
        check=False,
    )
