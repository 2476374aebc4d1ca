"""The HTML copy of the course: it builds, its pages are whole, and axe finds no serious fault in
them, light or dark."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path

import pytest
import yaml

from helpers import site

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NOTEBOOKS = sorted((site.config.ROOT / "notebooks").glob("[0-9]*.ipynb"))


def test_the_contents_list_every_page_and_no_other():
    contents = yaml.safe_load((site.SETTINGS / "_toc.yml").read_text(encoding="utf-8"))
    listed = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    found = [path for pattern in site.PAGES for path in site.config.ROOT.glob(pattern)]
    pages = [path for path in found if path.suffix in (".md", ".ipynb")]
    names = {path.relative_to(site.config.ROOT).with_suffix("").as_posix() for path in pages}
    assert sorted([contents["root"], *listed]) == sorted(names)


@pytest.fixture(scope="module")
def html(tmp_path_factory) -> Path:
    return site.build(tmp_path_factory.mktemp("site")).parent


def test_every_notebook_has_a_page_with_its_figures_and_can_be_searched(html):
    index = (html / "searchindex.js").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        page = (html / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
        assert "<h1>" in page
        assert path.stem in index
    assert list((html / "_images").glob("*.png"))


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_axe_finds_no_serious_fault(html):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    faults = {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        pages = [path for path in sorted(html.rglob("*.html")) if "<h1" in path.read_text("utf-8")]
        assert len(pages) > len(NOTEBOOKS)  # the others only lead on to one of these
        for path, scheme in product(pages, ("light", "dark")):
            page = browser.new_page(color_scheme=scheme)
            page.goto(path.as_uri())
            for fault in Axe().run(page).response["violations"]:
                if fault["impact"] in ("serious", "critical"):
                    where = [node["html"][:200] for node in fault["nodes"][:3]]
                    faults.setdefault(fault["id"], []).append((path.stem, scheme, where))
            page.close()
        browser.close()
    assert faults == {}
