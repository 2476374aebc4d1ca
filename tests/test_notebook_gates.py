"""Static gates over the committed notebooks: no kernel needed."""

from __future__ import annotations

import ast
import re
import statistics
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import pytest

from helpers import runner

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
MACHINE_PATH = re.compile(r"(/home/|/root/|/Users/|/work/|/tmp/|[A-Z]:\\\\|site-packages)")
KEY = re.compile(r"\b(sk-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16})\b")
CLOCK = re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def outputs(path: Path) -> list:
    return [output for cell in code_cells(path) for output in cell.outputs]


def text_of(output) -> str:
    data = output.get("data", {})
    return "\n".join(
        [
            output.get("text", ""),
            *(str(value) for kind, value in data.items() if not kind.startswith("image/")),
        ]
    )


def headings(path: Path) -> list[int]:
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    return [len(marks) for marks in re.findall(r"^(#{1,6}) ", text, flags=re.M)]


def test_the_six_numbered_notebooks_are_there():
    assert [path.name[:2] for path in NOTEBOOKS[:6]] == ["01", "02", "03", "04", "05", "06"]


@each_notebook
def test_the_schema_is_valid(path):
    nbformat.validate(read(path))


@each_notebook
def test_it_was_executed_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_no_error_and_nothing_on_stderr(path):
    assert [o for o in outputs(path) if o.output_type == "error" or o.get("name") == "stderr"] == []


@each_notebook
def test_no_machine_path_key_or_clock_in_the_file(path):
    sources = "\n".join(cell.source for cell in read(path).cells)
    shown = "\n".join(text_of(output) for output in outputs(path))
    assert MACHINE_PATH.findall(shown) == []
    assert KEY.findall(sources + shown) == []
    assert CLOCK.findall(shown) == []


@each_notebook
def test_no_widget_box_that_would_be_dead_on_a_page(path):
    assert "widgets" not in read(path).metadata
    kinds = {kind for output in outputs(path) for kind in output.get("data", {})}
    assert "application/vnd.jupyter.widget-view+json" not in kinds


@each_notebook
def test_one_title_and_no_skipped_heading_level(path):
    levels = headings(path)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))


@each_notebook
def test_every_image_has_a_text_that_says_what_it_shows(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            assert re.findall(r"!\[\s*\]\(", cell.source) == []
            assert all("alt=" in tag for tag in re.findall(r"<img[^>]*>", cell.source))
    for cell in code_cells(path):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
                assert len(alt) > 20, "show figures with plots.show(figure, alt=...)"


@each_notebook
def test_cells_are_small(path):
    sizes = [
        sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in code_cells(path)
    ]
    assert statistics.median(sizes) <= 6
    assert sum(size < 15 for size in sizes) >= 0.9 * len(sizes)
    assert max(sizes) <= 25


@each_notebook
def test_no_output_floods_the_page(path):
    for output in outputs(path):
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        assert len(text.splitlines()) <= 60


@each_notebook
def test_imports_are_in_the_requirements(path):
    wanted = (ROOT / "requirements.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    distributions = packages_distributions()
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(cell.source)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            for name in {name.split(".")[0] for name in names} - {"helpers"}:
                if name not in sys.stdlib_module_names:
                    packages = [p.lower().replace("_", "-") for p in distributions[name]]
                    assert any(package in wanted for package in packages), name


@each_notebook
def test_it_has_exercises_a_recap_and_a_way_on(path):
    sources = [cell.source for cell in read(path).cells]
    checks = set(re.findall(r'\bcheck\("(\d\d\.\d+)"', "\n".join(sources)))
    assert len(checks) >= 2
    assert any(source.startswith("## Recap") for source in sources)
    assert any("## Where to go next" in source for source in sources)


@each_notebook
def test_the_time_it_states_is_the_time_it_takes_to_read(path):
    stated = re.search(
        r"\| Time \| about (\d+) minutes to read, .+ to run on", read(path).cells[0].source
    )
    assert int(stated[1]) == runner.reading_minutes(read(path))


def claims_table(path: Path, call: str) -> str:
    """The HTML of the claims that the cell ending in `call` shows."""
    (cell,) = [cell for cell in code_cells(path) if cell.source.endswith(call)]
    (shown,) = [output for output in cell.outputs if "text/html" in output.get("data", {})]
    return shown["data"]["text/html"]


def test_the_whole_table_of_claims_is_filled_by_one_run_of_all_notebooks():
    first, last = NOTEBOOKS[0], NOTEBOOKS[5]
    whole = claims_table(last, runner.WHOLE_TABLE)
    assert "not run yet" not in whole
    assert claims_table(first, runner.WHOLE_TABLE) == whole
    for path in NOTEBOOKS[1:6]:
        own = claims_table(path, f'claims.show("{path.name[:2]}")')
        rows = re.findall(r"<th scope='row'.*?</tr>", own)
        assert rows and all(row in whole for row in rows), path.name
