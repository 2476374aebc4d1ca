"""The job panel in a real JupyterLab in a real browser: it follows a job; its button cancels."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

from helpers import config, dataset, jobs

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

CELLS = [
    """
from helpers import config, dataset
from helpers.widgets import JobPanel
client = config.client()
path = config.OUTPUT / "datasets" / "browser.jsonl"
file = client.files.create(file=path.open("rb"), purpose="fine-tune")
job = client.fine_tuning.jobs.create(
    model="workbook-mini", training_file=file.id, suffix="browser",
    method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 50}}})
panel = JobPanel(client, job.id)
panel.show()
""",
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a folder with one notebook; yields its URL."""
    folder = tmp_path_factory.mktemp("lab")
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in CELLS]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    nbformat.write(notebook, folder / "panel.ipynb")
    dataset.write_jsonl(
        config.OUTPUT / "datasets" / "browser.jsonl", dataset.chris_dataset()["train"][:40]
    )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    token = secrets.token_hex(8)
    # The environment of a learner: somebody watches, so the panel is alive.
    environment = {**os.environ, "WORKBOOK_HEADLESS": "0"}
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root",
               f"--port={port}", f"--IdentityProvider.token={token}", str(folder)]  # fmt: skip
    with (folder / "lab.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/lab/tree/panel.ipynb?token={token}"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token={token}", timeout=5).close()
            break
        except OSError:
            time.sleep(0.5)
    yield url
    for job in config.client().fine_tuning.jobs.list(limit=5):
        if job.status not in jobs.FINISHED:  # a failed test must not keep the queue busy
            config.client().fine_tuning.jobs.cancel(job.id)
    process.terminate()
    process.wait(timeout=30)


def test_the_panel_follows_a_job_and_cancels_it(lab, tmp_path):
    from playwright.sync_api import expect, sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(lab)
        page.locator(".jp-CodeCell").first.click(timeout=120_000)
        page.keyboard.press("Control+Enter")
        status = page.locator(".jp-OutputArea .widget-html", has_text="running")
        expect(status.first).to_be_visible(timeout=180_000)
        curve = page.locator(".jp-OutputArea img.widget-image")
        drawn = re.compile(r"^(blob|data):.+")
        expect(curve.first).to_have_attribute("src", drawn, timeout=120_000)
        page.screenshot(path=tmp_path / "panel.png")  # pytest keeps it where the test fails
        page.get_by_role("button", name="Cancel").click()
        ended = page.locator(".jp-OutputArea .widget-html", has_text="■ cancelled")
        expect(ended.first).to_be_visible(timeout=120_000)
        browser.close()
    client = config.client()
    job = next(iter(client.fine_tuning.jobs.list(limit=1)))
    assert (job.user_provided_suffix, job.status) == ("browser", "cancelled")
    history = jobs.loss_history(jobs.all_events(client, job.id))
    assert len(history) >= 1
    assert json.dumps(list(history["step"])) == json.dumps(list(range(1, len(history) + 1)))
