"""The course in a real JupyterLab in a real browser: notebooks run, panels obey mouse and keys."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from helpers import config, dataset, jobs

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
COURSE = Path(__file__).resolve().parents[1] / "notebooks"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic"]
LONG = 120_000  # milliseconds until a busy machine has answered

JOB = """
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
"""
DASHBOARD = """
from helpers import config
from helpers.dashboard import Dashboard
board = Dashboard(config.client())
board.show()
"""
PANELS = """
import numpy as np
from helpers import broken_files, config, panels
broken = broken_files.write_all(config.OUTPUT / "broken")
panels.TokenView("A duck debugs.", ["gpt-4.1", "workbook-mini"]).show()
panels.DatasetBrowser(broken["unanswered_call"]).show()
panels.Playground(config.client(), {"base": "workbook-mini"}, "", "- a red lamp").show()
words = ["fish", "shark", "tower", "house"]
vectors = np.eye(4)[[0, 0, 1, 1]] * 0.8 + np.eye(4) * 0.1
panels.EmbeddingMap(words, vectors, ["sea", "sea", "land", "land"], lambda _: vectors[2:3]).show()
panels.DecisionGuide().show()
panels.CostCalculator().show()
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a folder with test notebooks and copies of the course; yields page -> URL."""
    folder = tmp_path_factory.mktemp("lab")
    for name, code in {"panel": JOB, "dashboard": DASHBOARD, "panels": PANELS}.items():
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        cells = [nbformat.v4.new_code_cell(code.strip())]
        notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    for path in COURSE.glob("[0-9]*.ipynb"):
        shutil.copyfile(path, folder / path.name)
    dataset.write_jsonl(
        config.OUTPUT / "datasets" / "browser.jsonl", dataset.chris_dataset()["train"][:40]
    )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    token = secrets.token_hex(8)
    # The environment of a learner: somebody watches, so the panels are alive.
    environment = {**os.environ, "WORKBOOK_HEADLESS": "0"}
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root",
               f"--port={port}", f"--IdentityProvider.token={token}", str(folder)]  # fmt: skip
    with (folder / "lab.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token={token}", timeout=5).close()
            break
        except OSError:
            time.sleep(0.5)
    yield lambda name: f"http://127.0.0.1:{port}/lab/tree/{name}.ipynb?reset&token={token}"
    for job in config.client().fine_tuning.jobs.list(limit=5).data:
        if job.status not in jobs.FINISHED:  # a failed test must not keep the queue busy
            config.client().fine_tuning.jobs.cancel(job.id)
    process.terminate()
    process.wait(timeout=30)


@pytest.fixture
def page():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


def run_first_cell(page, url: str) -> None:
    page.goto(url)
    page.get_by_text("| Idle").first.wait_for(timeout=LONG)  # the kernel is there
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Control+Enter")
    page.locator(".jp-OutputArea-output").first.wait_for(timeout=LONG)
    page.wait_for_timeout(2000)  # widgets are built in several frames


def no_output_is_cut_off(page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(500)
    boxes = page.locator(".jp-OutputArea-output").all()
    assert boxes
    for box in boxes:
        inside = box.evaluate("node => [node.scrollWidth, node.clientWidth]")
        assert inside[0] <= inside[1] + 2 or box.evaluate(
            "node => ['auto', 'scroll'].includes(getComputedStyle(node).overflowX)"
        )


def test_the_panel_follows_a_job_and_cancels_it(lab, page):
    from playwright.sync_api import expect

    run_first_cell(page, lab("panel"))
    status = page.locator(".jp-OutputArea .widget-html", has_text="running")
    expect(status.first).to_be_visible(timeout=LONG)
    curve = page.locator(".jp-OutputArea img.widget-image")
    expect(curve.first).to_have_attribute("src", re.compile(r"^(blob|data):.+"), timeout=LONG)
    page.get_by_role("button", name="Cancel", exact=True).click()
    ended = page.locator(".jp-OutputArea .widget-html", has_text="■ cancelled")
    expect(ended.first).to_be_visible(timeout=LONG)
    client = config.client()
    job = client.fine_tuning.jobs.list(limit=1).data[0]
    assert (job.user_provided_suffix, job.status) == ("browser", "cancelled")
    history = jobs.loss_history(jobs.all_events(client, job.id))
    assert list(history["step"]) == list(range(1, len(history) + 1))


def test_the_dashboard_creates_a_job_by_keyboard_and_cancels_it(lab, page):
    from playwright.sync_api import expect

    path = config.OUTPUT / "datasets" / "browser.jsonl"
    client = config.client()
    with path.open("rb") as handle:
        client.files.create(file=handle, purpose="fine-tune")
    run_first_cell(page, lab("dashboard"))
    page.get_by_role("tab", name="New job").click(timeout=LONG)
    page.get_by_label("Model").fill("workbook-mini")
    page.get_by_label("Suffix").fill("by-keyboard")
    page.get_by_label("Epochs").fill("50")
    page.get_by_label("Epochs").press("Tab")
    page.get_by_role("button", name="Create", exact=True).focus()
    page.keyboard.press("Enter")
    facts = page.locator(".widget-html", has_text="training loss")
    expect(facts.first).to_be_visible(timeout=LONG)
    for width in (1280, 800):
        no_output_is_cut_off(page, width)
    page.get_by_role("button", name="Cancel", exact=True).click()
    ended = page.locator(".widget-html", has_text="status cancelled")
    expect(ended.first).to_be_visible(timeout=LONG)
    job = client.fine_tuning.jobs.list(limit=1).data[0]
    assert (job.user_provided_suffix, job.status) == ("by-keyboard", "cancelled")


def test_each_panel_reacts_to_mouse_and_keyboard(lab, page):
    from playwright.sync_api import expect

    run_first_cell(page, lab("panels"))
    page.get_by_role("textbox", name="Text").fill("Two ducks debug 🦆🦆", timeout=LONG)
    expect(page.get_by_text("ducks").first).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Next finding").click()
    expect(page.locator("li", has_text="call of add").first).to_be_visible()
    paragraphs = page.locator(".widget-html p")
    before = paragraphs.count()
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(paragraphs).not_to_have_count(before, timeout=LONG)
    point = page.locator("svg [aria-label='sea: shark']")
    point.focus()
    page.keyboard.press("Enter")
    expect(page.locator("ol li", has_text="shark").first).to_be_visible()
    page.locator("svg [aria-label='land: tower']").click()
    expect(page.locator("ol li", has_text="tower").first).to_be_visible()
    page.get_by_text("Answers need facts of yours").click()
    expect(page.locator(".widget-html", has_text="retrieval").first).to_be_visible()
    page.get_by_label("Calls").first.press("ArrowRight")
    for width in (1280, 800):
        no_output_is_cut_off(page, width)


@pytest.mark.parametrize("number", ["02", "03"])
def test_a_notebook_runs_from_the_menu_without_an_error(lab, page, number):
    from playwright.sync_api import expect

    name = next(COURSE.glob(f"{number}_*.ipynb")).stem
    page.goto(lab(name))
    page.locator(".jp-CodeCell").first.click(timeout=120_000)
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Restart Kernel and Run All Cells").click()
    page.get_by_role("button", name="Confirm Kernel Restart").or_(
        page.get_by_role("button", name="Restart")
    ).last.click()
    expect(page.locator("[data-status='busy']").first).to_be_attached(timeout=LONG)
    expect(page.locator("[data-status='idle']").first).to_be_attached(timeout=LONG)
    for kind in ("error", "stderr"):
        shown = f".jp-OutputArea [data-mime-type='application/vnd.jupyter.{kind}']"
        assert page.locator(shown).count() == 0
