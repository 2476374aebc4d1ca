"""Badges that open the course in Colab or Binder, in the README and in every notebook.

They need the address of the repository, which only its owner knows: `python -m helpers badges
OWNER/REPOSITORY` writes them, and `--remove` restores the files byte for byte. Colab opens a
notebook's file alone, without the helpers and the data, so each notebook also gets a first code
cell that fetches both there and does nothing elsewhere. Standard library only.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

COLAB_IMAGE = "https://colab.research.google.com/assets/colab-badge.svg"
BINDER_IMAGE = "https://mybinder.org/badge_logo.svg"
TAG = "colab"  # marks the set-up cell, so that it is found again
ADDRESS = re.compile(r"\w[\w.-]*/\w[\w.-]*")  # OWNER/REPOSITORY
BRANCH = re.compile(r"\w[\w./-]*")
BADGES = re.compile(rf"\n\n\[!\[Open in Colab\]\({re.escape(COLAB_IMAGE)}\).*")
SET_UP = """\
# On Colab this fetches the course and its libraries; elsewhere it does nothing.
import importlib.util
import os
import subprocess
import sys

if "google.colab" in sys.modules:
    home = "/content/{name}"
    if not os.path.isdir(home):
        address = "https://github.com/{repository}"
        clone = ["git", "clone", "--depth", "1", "--branch", "{branch}", address, home]
        subprocess.run(clone, check=True)
    os.chdir(f"{{home}}/notebooks")
    if importlib.util.find_spec("helpers") is None:
        subprocess.run([sys.executable, "-m", "helpers", "--here", "setup"], cwd=home, check=True)
        print("The libraries are there. Colab starts anew now: then run all cells again.")
        get_ipython().kernel.do_shutdown(restart=True)"""


def write(root: Path, repository: str, branch: str = "main") -> list[Path]:
    """Put the badges into README.md and the notebooks under `root`; returns the changed files.

    Args: `repository` as OWNER/REPOSITORY on GitHub; `branch` the one that readers get. Badges
    that are there already are replaced. Raises: ValueError where either is no such name.
    """
    if not ADDRESS.fullmatch(repository):
        raise ValueError(f"{repository!r} is not of the form OWNER/REPOSITORY.")
    if not BRANCH.fullmatch(branch):
        raise ValueError(f"{branch!r} is no name of a branch.")
    return _change(root, repository, branch)


def remove(root: Path) -> list[Path]:
    """Take the badges and the set-up cells away again; returns the changed files."""
    return _change(root, None, "")


def badges(repository: str, branch: str, notebook: str) -> str:
    """The two badges as one line of Markdown, both leading to a notebook (its file's name)."""
    colab = f"https://colab.research.google.com/github/{repository}/blob/{branch}"
    binder = f"https://mybinder.org/v2/gh/{repository}/{branch.replace('/', '%2F')}"
    return (
        f"[![Open in Colab]({COLAB_IMAGE})]({colab}/notebooks/{notebook}) "
        f"[![Launch Binder]({BINDER_IMAGE})]({binder}?labpath=notebooks%2F{notebook})"
    )


def set_up(repository: str, branch: str) -> str:
    """The code of the cell that sets the course up on Colab."""
    name = repository.partition("/")[2]
    return SET_UP.format(repository=repository, branch=branch, name=name)


def _change(root: Path, repository: str | None, branch: str) -> list[Path]:
    """Bring every file to its state with the badges of a repository, or without any (None)."""
    notebooks = sorted((root / "notebooks").glob("[0-9]*.ipynb"))
    changed = []
    for path in [root / "README.md", *notebooks]:
        before = path.read_bytes().decode("utf-8")
        first = notebooks[0].name if path.suffix == ".md" else path.name
        line = badges(repository, branch, first) if repository else None
        if path.suffix == ".md":
            after = _with_line(before, line)
        else:
            after = _notebook(before, line, set_up(repository, branch) if repository else None)
        if after != before:
            path.write_bytes(after.encode("utf-8"))
            changed.append(path)
    return changed


def _with_line(text: str, line: str | None) -> str:
    """The text with the badges after its first line, the title, and no others."""
    title, end, rest = BADGES.sub("", text).partition("\n")
    return title + (f"\n\n{line}" if line else "") + end + rest


def _notebook(text: str, line: str | None, code: str | None) -> str:
    """The text of a notebook's file with badges and set-up cell, or without (None)."""
    notebook = json.loads(text)
    cells = notebook["cells"]
    opening = next(cell for cell in cells if cell["cell_type"] == "markdown")
    opening["source"] = _with_line("".join(opening["source"]), line).splitlines(keepends=True)
    for cell in [cell for cell in cells if TAG in cell["metadata"].get("tags", [])]:
        cells.remove(cell)
        if cell["execution_count"]:
            _renumber(cells, -1)
    if code is not None:
        place = next(n for n, cell in enumerate(cells) if cell["cell_type"] == "code")
        executed = cells[place]["execution_count"] is not None
        if executed:  # a run elsewhere than on Colab would leave the cell as it is written here
            _renumber(cells, 1)
        cells.insert(place, _set_up_cell(code, executed))
    # as nbformat writes it, so that the rest of the file stays as it was
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def _set_up_cell(code: str, executed: bool) -> dict:
    return {
        "cell_type": "code",
        "execution_count": 1 if executed else None,
        "id": TAG,
        "metadata": {"slideshow": {"slide_type": "skip"}, "tags": [TAG]},
        "outputs": [],
        "source": code.splitlines(keepends=True),
    }


def _renumber(cells: list[dict], by: int) -> None:
    """Add to the number of every executed cell and of its results."""
    for cell in cells:
        if cell["cell_type"] == "code":
            for part in (cell, *cell["outputs"]):
                if part.get("execution_count") is not None:
                    part["execution_count"] += by
