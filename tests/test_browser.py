"""The course in a real JupyterLab in a real browser: notebooks run, panels obey mouse and keys."""

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
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from helpers import config, dataset, jobs

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
COURSE = Path(__file__).resolve().parents[1] / "notebooks"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic"]
LONG = 120_000  # milliseconds until a busy machine has answered
RUN_LIMIT = 16 * 60  # seconds for one notebook in the browser
SHOTS = config.ROOT / "output" / "screenshots"  # for looking at; not in the tests' own folder
# The two that train nothing; with WORKBOOK_BROWSER=all every one, which takes ten minutes more.
RUN_ALL = ["02", "03"]
if os.environ.get("WORKBOOK_BROWSER") == "all":
    RUN_ALL = [path.name[:2] for path in sorted(COURSE.glob("[0-9]*.ipynb"))]

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
SHORT_JOB = JOB.replace('suffix="browser"', 'suffix="curve"').replace(
    '"n_epochs": 50', '"n_epochs": 2'
)
# What the panel holds and draws, against what the provider says of the job.
COMPARE = """
import hashlib
from helpers import jobs, plots
told = jobs.loss_history(jobs.all_events(client, job.id))
print("points", len(told), "the same as in the panel:", panel.history().equals(told))
print("the picture is drawn from them:", plots.png(panel.figure()) == panel.curve.value)
print("its hash:", hashlib.sha256(panel.curve.value).hexdigest())
"""
HASH_OF_PICTURE = """async image => {
  const bytes = await (await fetch(image.src)).arrayBuffer();
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map(byte => byte.toString(16).padStart(2, "0")).join("");
}"""
# A job that reports twenty times a second; no provider is asked.
BUSY = """
import time
from types import SimpleNamespace as Thing
from IPython.display import display
from helpers.widgets import JobPanel
running = Thing(id="ftjob-busy", status="running")
client = Thing(fine_tuning=Thing(jobs=Thing(retrieve=lambda job_id: running)))
panel = JobPanel(client, running.id)
display(panel.box)
for step in range(1, 201):
    data = {"step": step, "total_steps": 200, "train_loss": 5 - step / 100,
            "train_mean_token_accuracy": step / 400}
    panel.update(running, [Thing(type="metrics", data=data, message=f"Step {step}")])
    time.sleep(0.05)
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
panels.Playground(config.client(), {"base": "workbook-mini"},
                  "You write e-mails. The user gives the points.",
                  "- a red lamp\\n- it stands on the shelf\\n- it costs 12 euro").show()
words = ["fish", "shark", "tower", "house"]
vectors = np.eye(4)[[0, 0, 1, 1]] * 0.8 + np.eye(4) * 0.1
panels.EmbeddingMap(words, vectors, ["sea", "sea", "land", "land"], lambda _: vectors[2:3]).show()
panels.DecisionGuide().show()
panels.CostCalculator().show()
"""


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: the folder that it shows, and the addresses of its notebooks."""

    folder: Path
    port: int
    token: str

    def url(self, name: str) -> str:
        place = f"http://127.0.0.1:{self.port}/lab/tree/{name}.ipynb"
        return f"{place}?reset&token={self.token}"

    def saved(self, name: str) -> nbformat.NotebookNode:
        """The notebook as its file holds it: all of it, where the page holds what is in view."""
        return nbformat.read(self.folder / f"{name}.ipynb", as_version=4)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a folder with test notebooks and empty copies of the course."""
    folder = tmp_path_factory.mktemp("lab")
    made = {"panel": [JOB], "curve": [SHORT_JOB, COMPARE], "dashboard": [DASHBOARD],
            "panels": [PANELS], "busy": [BUSY]}  # fmt: skip
    for name, codes in made.items():
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        cells = [nbformat.v4.new_code_cell(code.strip()) for code in codes]
        notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    for path in COURSE.glob("[0-9]*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":  # what stands there in the end is of the run here
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, folder / path.name)
    examples = dataset.chris_dataset()["train"]
    dataset.write_jsonl(config.OUTPUT / "datasets" / "browser.jsonl", examples[:40])
    dataset.write_jsonl(folder / "by-hand.jsonl", examples[:12])
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    token = secrets.token_hex(8)
    # The environment of a learner: somebody watches, so the panels are alive. The settings of
    # whoever runs the tests are neither read nor changed.
    environment = {**os.environ, "WORKBOOK_HEADLESS": "0",
                   "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")}  # fmt: skip
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
    yield Lab(folder, port, token)
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
        yield browser.new_page(viewport={"width": 1280, "height": 1600})
        browser.close()


def run_cell(page, number: int = 0) -> None:
    page.locator(".jp-CodeCell .cm-content").nth(number).click()
    page.keyboard.press("Control+Enter")


def run_first_cell(page, url: str) -> None:
    page.goto(url)
    page.get_by_text("| Idle").first.wait_for(timeout=LONG)  # the kernel is there
    run_cell(page)
    page.locator(".jp-OutputArea-output").first.wait_for(timeout=LONG)
    page.wait_for_timeout(2000)  # widgets are built in several frames


def save(page, lab: Lab, name: str) -> nbformat.NotebookNode:
    """Save the notebook in the browser; returns what its file then holds."""
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1500)
    return lab.saved(name)


def shoot(page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


LABELS = ".widget-label, .widget-label-basic, .widget-readout, .widget-box button, select"


def outputs_fit(page, name: str, parts: str = ".jp-OutputArea-output") -> None:
    """Nothing is wider than its place at 1280 and 800 pixels, so nothing is cut off or scrolls;
    nor do labels, numbers and lists end in an ellipsis.

    Leaves a picture of either width in SHOTS, under the name. `parts` selects what is measured.
    """
    for width in (1280, 800):
        page.set_viewport_size({"width": width, "height": 1600})
        page.wait_for_timeout(1000)
        shoot(page, f"{name}-{width}")
        found = page.locator(f"{parts}, .jp-OutputArea :is({LABELS})")
        seen = found.evaluate_all(
            "nodes => nodes.filter(node => node.checkVisibility())"
            ".map(node => [node.scrollWidth, node.clientWidth, node.innerText.slice(0, 60)])"
        )
        assert seen
        assert [size for size in seen if size[0] > size[1] + 2] == [], width


def slider(page, label: str):
    """The handle of a slider. ipywidgets ties no label to it, so it is found by its row."""
    name = page.locator("label", has_text=re.compile(rf"^{re.escape(label)}$"))
    return page.locator(".widget-slider", has=name).locator("[role=slider]").first


def becomes_other(read, before, seconds: float = LONG / 1000) -> bool:
    """Whether what `read()` returns becomes something else than before, within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if read() != before:
            return True
        time.sleep(0.2)
    return False


def steps(client, job_id: str) -> list[int]:
    return list(jobs.loss_history(jobs.all_events(client, job_id))["step"])


def test_the_panel_follows_a_job_and_cancels_it(lab, page):
    from playwright.sync_api import expect

    run_first_cell(page, lab.url("panel"))
    status = page.locator(".jp-OutputArea .widget-html", has_text="running")
    expect(status.first).to_be_visible(timeout=LONG)
    curve = page.locator(".jp-OutputArea img.widget-image")
    expect(curve.first).to_have_attribute("src", re.compile(r"^(blob|data):.+"), timeout=LONG)
    outputs_fit(page, "job-panel", ".jp-OutputArea-output, .jp-OutputArea .widget-box")
    page.get_by_role("button", name="Cancel", exact=True).click()
    ended = page.locator(".jp-OutputArea .widget-html", has_text="■ cancelled")
    expect(ended.first).to_be_visible(timeout=LONG)
    client = config.client()
    job = client.fine_tuning.jobs.list(limit=1).data[0]
    assert (job.user_provided_suffix, job.status) == ("browser", "cancelled")
    told = steps(client, job.id)
    assert told == list(range(1, len(told) + 1))


def test_the_curve_in_the_page_is_that_of_the_events(lab, page):
    from playwright.sync_api import expect

    run_first_cell(page, lab.url("curve"))
    ended = page.locator(".jp-OutputArea .widget-html", has_text="✓ succeeded")
    expect(ended.first).to_be_visible(timeout=LONG)
    page.wait_for_timeout(5000)  # the last drawing comes after the last word
    run_cell(page, 1)
    said = page.locator(".jp-OutputArea-output pre", has_text="its hash:")
    expect(said).to_be_visible(timeout=LONG)
    points, drawn, picture = said.inner_text().strip().splitlines()
    job = config.client().fine_tuning.jobs.list(limit=1).data[0]
    assert job.user_provided_suffix == "curve"
    assert points == f"points {len(steps(config.client(), job.id))} the same as in the panel: True"
    assert drawn.endswith("True")
    curve = page.locator(".jp-OutputArea img.widget-image").first
    assert picture.endswith(curve.evaluate(HASH_OF_PICTURE))


def test_a_notebook_does_not_grow_while_it_watches_a_busy_job(lab, page):
    from playwright.sync_api import expect

    run_first_cell(page, lab.url("busy"))
    early = save(page, lab, "busy").cells[0]
    expect(page.get_by_text("200/200")).to_be_visible(timeout=LONG)
    page.wait_for_timeout(2000)
    late = save(page, lab, "busy").cells[0]
    assert late.execution_count == 1
    assert len(late.outputs) == page.locator(".jp-OutputArea-output").count() == 1
    assert late.outputs == early.outputs


def test_the_dashboard_creates_pauses_resumes_and_cancels_a_job(lab, page):
    from playwright.sync_api import expect

    def press(name: str) -> None:
        page.get_by_role("button", name=name, exact=True).click(timeout=LONG)

    def says(status: str) -> None:
        facts = page.locator(".widget-html", has_text=f"status {status}")
        expect(facts.first).to_be_visible(timeout=LONG)

    path = config.OUTPUT / "datasets" / "browser.jsonl"
    client = config.client()
    with path.open("rb") as handle:
        client.files.create(file=handle, purpose="fine-tune")
    run_first_cell(page, lab.url("dashboard"))
    page.get_by_role("tab", name="New job").click(timeout=LONG)
    shoot(page, "dashboard-new-job")
    page.get_by_label("Model").fill("workbook-mini")
    page.get_by_label("Suffix").fill("by-keyboard")
    page.get_by_label("Epochs").fill("50")
    page.get_by_label("Epochs").press("Tab")
    page.get_by_role("button", name="Create", exact=True).focus()
    page.keyboard.press("Enter")
    facts = page.locator(".widget-html", has_text="training loss")
    expect(facts.first).to_be_visible(timeout=LONG)
    outputs_fit(page, "dashboard")
    job = client.fine_tuning.jobs.list(limit=1).data[0]
    assert job.user_provided_suffix == "by-keyboard"
    press("Pause")
    says("paused")
    assert client.fine_tuning.jobs.retrieve(job.id).status == "paused"
    press("Resume")
    says("running")
    press("Cancel")
    says("cancelled")
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"
    told = steps(client, job.id)
    assert told == list(range(1, len(told) + 1))  # none was lost by the pause


def test_the_dashboard_uploads_inspects_and_deletes_a_file(lab, page):
    from playwright.sync_api import expect

    def stored() -> set[str]:
        return {file.filename for file in config.client().files.list()}

    assert "by-hand.jsonl" not in stored()
    run_first_cell(page, lab.url("dashboard"))
    panel = page.locator(".jp-OutputArea")
    with page.expect_file_chooser(timeout=LONG) as chosen:
        panel.get_by_role("button", name="Upload .jsonl").click(timeout=LONG)
    chosen.value.set_files(lab.folder / "by-hand.jsonl")
    expect(panel.locator(".widget-html", has_text="is uploaded as").first).to_be_visible(
        timeout=LONG
    )
    line = panel.get_by_role("listbox", name="Files").locator("option", has_text="by-hand.jsonl")
    expect(line).to_have_count(1)
    assert "by-hand.jsonl" in stored()
    panel.get_by_role("button", name="Inspect", exact=True).click()
    expect(panel.locator("pre", has_text='"messages"').first).to_be_visible(timeout=LONG)
    shoot(page, "dashboard-files")
    panel.get_by_role("button", name="Delete", exact=True).click()
    expect(panel.locator(".widget-html", has_text="is deleted").first).to_be_visible(timeout=LONG)
    expect(line).to_have_count(0)
    assert "by-hand.jsonl" not in stored()


def test_each_panel_reacts_to_mouse_and_keyboard(lab, page):
    from playwright.sync_api import expect

    run_first_cell(page, lab.url("panels"))
    outputs_fit(page, "panels")
    tokens_are_cut(page, expect)
    findings_are_walked_through(page, expect)
    models_are_asked(page, expect)
    points_are_chosen(page, expect)
    advice_follows_the_answers(page, expect)
    costs_follow_the_sliders(page, expect)
    outputs_fit(page, "panels-used")


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])  # the usual one stays
def test_what_panels_say_can_be_read_in_either_theme(lab, page, theme):
    from axe_playwright_python.sync_playwright import Axe

    place = f"http://127.0.0.1:{lab.port}/lab/api/settings/@jupyterlab/apputils-extension:themes"
    wish = {"raw": json.dumps({"theme": theme})}
    assert page.request.put(f"{place}?token={lab.token}", data=wish).ok
    run_first_cell(page, lab.url("panels"))
    assert page.evaluate("document.body.dataset.jpThemeName") == theme
    shoot(page, f"panels-{theme.split()[-1].lower()}")
    # Not image-alt: a picture of ipywidgets can have no name; the sentence beside it says the same.
    only = {"runOnly": ["color-contrast", "label", "button-name"]}
    found = Axe().run(page, context=".jp-OutputArea-output", options=only).response["violations"]
    assert [(fault["id"], node["html"][:200]) for fault in found for node in fault["nodes"]] == []


def tokens_are_cut(page, expect) -> None:
    page.get_by_role("textbox", name="Text").fill("Two ducks debug 🦆🦆", timeout=LONG)
    expect(page.get_by_text("ducks").first).to_be_visible(timeout=LONG)


def findings_are_walked_through(page, expect) -> None:
    finding = page.locator("li", has_text="call of add")
    onward = page.get_by_role("button", name="Next finding")
    onward.click()
    expect(finding.first).to_be_visible()
    place = page.get_by_role("spinbutton", name="Line", exact=True)
    there = place.input_value()
    place.fill("1")
    place.press("Enter")
    expect(finding).to_have_count(0)
    onward.focus()
    page.keyboard.press("Enter")
    expect(finding.first).to_be_visible()
    expect(place).to_have_value(there)


def models_are_asked(page, expect) -> None:
    paragraphs = page.locator(".widget-html p")
    ask = page.get_by_role("button", name="Ask", exact=True)
    before = paragraphs.count()
    ask.click()
    expect(paragraphs).not_to_have_count(before, timeout=LONG)
    expect(ask).to_be_enabled(timeout=LONG)
    first = paragraphs.all_inner_texts()
    page.get_by_role("textbox", name="Prompt").fill(
        "- a blue kite\n- it flies on Sunday\n- bring a long string"
    )
    ask.focus()
    page.keyboard.press("Enter")
    assert becomes_other(paragraphs.all_inner_texts, first)
    expect(ask).to_be_enabled(timeout=LONG)


def points_are_chosen(page, expect) -> None:
    def focused() -> str:
        return page.evaluate("document.activeElement.getAttribute('aria-label')")

    points = page.locator("svg", has=page.locator("[aria-label='sea: shark']"))
    expect(points.locator("[tabindex='0']")).to_have_count(1)  # one stop of the Tab key
    points.locator("[tabindex='0']").focus()
    page.keyboard.press("Home")
    first = focused()
    page.keyboard.press("ArrowRight")
    assert focused() != first
    page.locator("svg [aria-label='sea: shark']").focus()
    page.keyboard.press("Enter")
    expect(page.locator("ol li", has_text="shark").first).to_be_visible()
    page.locator("svg [aria-label='land: tower']").click()
    expect(page.locator("ol li", has_text="tower").first).to_be_visible()


def advice_follows_the_answers(page, expect) -> None:
    def advises(tool: str) -> None:
        found = page.locator(".widget-html b", has_text=re.compile(f"^{tool}$"))
        expect(found.first).to_be_visible()

    advises("prompting")
    page.get_by_text("Answers need facts of yours").click()
    advises("retrieval")
    page.get_by_role("checkbox", name="Answers need facts of yours").focus()
    page.keyboard.press("Space")
    advises("prompting")
    slider(page, "Changes a month").press("ArrowRight")
    advises("retrieval")


def costs_follow_the_sliders(page, expect) -> None:
    sums = page.locator(".widget-html", has_text="The fine-tune").first
    before, examples = sums.text_content(), slider(page, "Examples")
    value = int(examples.get_attribute("aria-valuetext"))
    examples.press("ArrowRight")
    expect(examples).to_have_attribute("aria-valuetext", str(value + 1))
    expect(sums).not_to_have_text(before)
    curve = page.locator("img.widget-image").last
    drawn = curve.get_attribute("src")
    slider(page, "Calls").press("End")
    expect(curve).not_to_have_attribute("src", drawn)


@pytest.mark.parametrize("number", RUN_ALL)
def test_a_notebook_runs_from_the_menu_whole_and_without_an_error(lab, page, number):
    name = next(COURSE.glob(f"{number}_*.ipynb")).stem
    page.goto(lab.url(name))
    page.locator(".jp-CodeCell").first.click(timeout=LONG)
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Restart Kernel and Run All Cells").click()
    page.get_by_role("button", name="Confirm Kernel Restart").or_(
        page.get_by_role("button", name="Restart")
    ).last.click()
    # The page holds only the cells in view, and its kernel is idle between two cells: so the end
    # and the faults are read from the file.
    deadline = time.monotonic() + RUN_LIMIT
    while True:
        page.wait_for_timeout(3000)
        cells = save(page, lab, name).cells
        counts = [cell.execution_count for cell in cells if cell.cell_type == "code"]
        shown = [output for cell in cells for output in cell.get("outputs", [])]
        faults = [o for o in shown if o.output_type == "error" or o.get("name") == "stderr"]
        if faults or all(counts) or time.monotonic() > deadline:
            break
    shoot(page, f"notebook-{number}")
    assert faults == []
    assert counts == list(range(1, len(counts) + 1))
