"""The course as a static site: executed pages with search, by Jupyter Book."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from helpers import config

SETTINGS = config.ROOT / "docs" / "site"
PAGES = ["*.md", "notebooks/[0-9]*.ipynb", "data/README.md", "data/*/README.md", "docs/*.png"]


def build(target: Path | None = None) -> Path:
    """Build the HTML copy from the committed notebooks; returns its first page.

    Nothing is executed: the pages show the outputs that the notebooks hold.
    Raises: RuntimeError with the end of Jupyter Book's log where it fails.
    """
    target = target or config.OUTPUT / "site"
    pages = target / "pages"  # Jupyter Book walks through its whole folder: give it one of its own
    shutil.rmtree(target, ignore_errors=True)
    for pattern in PAGES:
        for path in config.ROOT.glob(pattern):
            copy = pages / path.relative_to(config.ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    (pages / "_static").mkdir()  # whose style sheets Jupyter Book takes up by itself
    shutil.copyfile(SETTINGS / "course.css", pages / "_static" / "course.css")
    start = "from jupyter_book.cli.main import main; main()"  # it has no __main__ of its own
    command = [sys.executable, "-c", start, "build", str(pages), "--all",
               "--config", str(SETTINGS / "_config.yml"), "--toc", str(SETTINGS / "_toc.yml"),
               "--path-output", str(target)]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", errors="replace"
    )
    page = target / "_build" / "html" / "index.html"
    if done.returncode or not page.is_file():
        raise RuntimeError("Jupyter Book failed:\n" + (done.stdout + done.stderr)[-3000:])
    return page
