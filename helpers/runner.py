"""Execute the course: each notebook in a fresh kernel, copies and figures to `output/`."""

from __future__ import annotations

import base64
import os
import re
import sys
import time
from copy import deepcopy
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from helpers import config

NOTEBOOKS = config.ROOT / "notebooks"
TIME_ROW = re.compile(r"^\| Time \|.*\|$", re.MULTILINE)
# A calm pace: below the 238 words a minute of silent reading (Brysbaert 2019), and code is dense.
READING = {"words": 200, "lines of code": 15}
WHOLE_TABLE = "claims.show()"  # the end of the cell that shows all claims, in 01 and 06
CELL_LIMIT = 900  # seconds for one cell, so that a hang ends with a message


def main(only: str | None = None, in_place: bool = False) -> int:
    """Execute notebooks 01 to 06, or those whose numbers `only` names ("04" or "02,03").

    Args: `in_place` writes the outputs back into `notebooks/`, for the author of one.
    Returns the exit status: 1 where a notebook failed, and those after it did not run.
    """
    os.environ["WORKBOOK_HEADLESS"] = "1"
    chosen = choose(only)
    if not chosen:
        print(f"No notebook has a number in {only!r}.", file=sys.stderr)
        return 2
    started, written = time.monotonic(), {}
    for path in chosen:
        executed = execute(path)
        if executed is None:
            return 1
        target = path if in_place else config.OUTPUT / "notebooks" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(executed, target)
        save_figures(executed, path.stem)
        written[path.stem[:2]] = target, executed
    if {"01", "06"} <= written.keys():
        target, first = written["01"]
        nbformat.write(fill_table(first, written["06"][1]), target)
    print(summary(), flush=True)
    print(f"All of it took {time.monotonic() - started:.0f} s.", flush=True)
    return 0


def choose(only: str | None) -> list[Path]:
    """The notebooks whose names start with one of the numbers, in order; all by default."""
    numbers = tuple(part.strip() for part in (only or "01,02,03,04,05,06").split(","))
    found = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    return [path for path in found if path.name.startswith(numbers)]


def execute(path: Path) -> nbformat.NotebookNode | None:
    """Run one notebook in a fresh kernel with a progress line; None where a cell failed."""
    notebook = nbformat.read(path, as_version=4)
    total = sum(cell.cell_type == "code" for cell in notebook.cells)
    state = {"done": 0, "start": time.monotonic()}

    def advance(cell, cell_index, **_):
        state["done"] += cell.cell_type == "code"
        _progress(path.stem, state, total, end="\r" if sys.stdout.isatty() else "")

    client = NotebookClient(
        notebook,
        timeout=CELL_LIMIT,
        kernel_name="python3",
        on_cell_executed=advance,
        store_widget_state=False,
        extra_arguments=["--log-level=40"],  # its warnings are about transport, not the course
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        _progress(path.stem, state, total)
        print(f"{path.name} failed:\n{error}", file=sys.stderr)
        return None
    _progress(path.stem, state, total)
    state_times(notebook, time.monotonic() - state["start"])
    return tidy(notebook)


def state_times(notebook: nbformat.NotebookNode, seconds: float) -> None:
    """Write into the notebook's first table how long it is to read, and took to run."""
    row = (
        f"| Time | about {reading_minutes(notebook)} minutes to read, "
        f"{_minutes(seconds)} to run on {os.cpu_count()} cores |"
    )
    for cell in notebook.cells:
        cell.source = TIME_ROW.sub(row, cell.source)


def reading_minutes(notebook: nbformat.NotebookNode) -> int:
    """Minutes to read text and code, at READING words and lines a minute."""
    words = lines = 0
    for cell in notebook.cells:
        if "colab" in cell.metadata.get("tags", []):  # there only where badges were asked for
            continue
        if cell.cell_type == "markdown":
            words += len(re.findall(r"\w+", re.sub(r"\]\([^)]*\)", "]", cell.source)))
        else:
            lines += sum(bool(line.strip()) for line in cell.source.splitlines())
    return round(words / READING["words"] + lines / READING["lines of code"])


def _minutes(seconds: float) -> str:
    if seconds < 50:
        return "less than one"
    return f"about {max(1, round(seconds / 60))}"


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what differs from run to run or machine to machine, join the pieces of what was
    printed, and number the cells 1, 2, 3."""
    count = 0
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = join_streams(cell.outputs)
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    return notebook


def join_streams(outputs: list) -> list:
    """Outputs with neighbouring pieces of one stream as one, as JupyterLab shows them.

    A cell that prints while it waits (05 streams an answer) sends each piece as an output of its
    own, and on a page each would stand in a box of its own.
    """
    joined = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def fill_table(first: nbformat.NotebookNode, last: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Notebook 01 with the whole table of claims as it was at the end of notebook 06.

    Both show it by the same call. When 01 ran, the claims of the others had no measurement yet.
    """

    def showing(notebook: nbformat.NotebookNode) -> list:
        return [cell for cell in notebook.cells if cell.source.endswith(WHOLE_TABLE)]

    for cell, other in zip(showing(first), showing(last), strict=True):
        cell.outputs = deepcopy(other.outputs)
    return first


def save_figures(notebook: nbformat.NotebookNode, stem: str) -> None:
    """Write each PNG of a notebook to `output/figures/<notebook>-<number>.png`."""
    folder = config.OUTPUT / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [
        output.data["image/png"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    for number, picture in enumerate(pictures, 1):
        (folder / f"{stem}-{number:02d}.png").write_bytes(base64.b64decode(picture))


def summary() -> str:
    """What was trained, its last losses, and where ChrisGPT's mails lie."""
    from helpers import jobs

    client = config.client()
    lines = ["", "Trained models (training loss, full validation loss at the end):"]
    for job in client.fine_tuning.jobs.list(limit=100):
        if job.status != "succeeded":
            continue
        history = jobs.loss_history(jobs.all_events(client, job.id))
        last = history.ffill().iloc[-1]
        lines.append(
            f"  {job.fine_tuned_model}  {last['train_loss']:.2f}  "
            f"{last.get('full_valid_loss', float('nan')):.2f}"
        )
    answers = config.OUTPUT / "answers"
    count = len(list(answers.glob("*.txt"))) if answers.exists() else 0
    lines.append(f"ChrisGPT's mails: {count} files in {answers}")
    lines.append(f"Executed notebooks and figures: {config.OUTPUT}")
    return "\n".join(lines)


def _progress(name: str, state: dict, total: int, end: str = "\n") -> None:
    if end == "":  # not a terminal: one line a notebook is enough
        return
    seconds = time.monotonic() - state["start"]
    print(f"{name:<32} {state['done']:>3}/{total} cells {seconds:6.1f} s", end=end, flush=True)
