"""badges.py, and the set-ups that its badges lead to: Colab's cell, Binder, the dev container."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nbformat
import pytest
from packaging.requirements import Requirement

from helpers import __main__ as command
from helpers import badges

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "ada/fine-tuning"


@pytest.fixture
def copy(tmp_path) -> Path:
    """A copy of what the badges are written into, free of badges."""
    (tmp_path / "notebooks").mkdir()
    for path in [ROOT / "README.md", *(ROOT / "notebooks").glob("[0-9]*.ipynb")]:
        shutil.copyfile(path, tmp_path / path.relative_to(ROOT))
    badges.remove(tmp_path)
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def notebooks(folder: Path) -> list[nbformat.NotebookNode]:
    return [nbformat.read(path, 4) for path in sorted((folder / "notebooks").glob("*.ipynb"))]


def test_every_page_gets_two_badges_that_lead_to_itself(copy):
    badges.write(copy, REPOSITORY, "main")
    for path in sorted((copy / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, 4)
        nbformat.validate(notebook)
        title, line = notebook.cells[0].source.split("\n\n")[:2]
        assert title.startswith("# ")
        assert re.findall(r"\[!\[(.+?)\]\((.+?)\)\]\((.+?)\)", line) == [
            ("Open in Colab", "https://colab.research.google.com/assets/colab-badge.svg",
             f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/notebooks/{path.name}"),
            ("Launch Binder", "https://mybinder.org/badge_logo.svg",
             f"https://mybinder.org/v2/gh/{REPOSITORY}/main?labpath=notebooks%2F{path.name}"),
        ]  # fmt: skip
    readme = (copy / "README.md").read_text(encoding="utf-8")
    assert readme.count("badge_logo.svg") == readme.count("colab-badge.svg") == 1
    assert "notebooks/01_concepts.ipynb)" in readme.split("\n\n")[1]


def test_a_second_time_changes_nothing_and_another_address_replaces_the_first(copy):
    assert len(badges.write(copy, REPOSITORY)) == 7
    once = files(copy)
    assert badges.write(copy, REPOSITORY) == []
    assert files(copy) == once
    badges.write(copy, "grace/course", "spring")
    assert not any(REPOSITORY.encode() in content for content in files(copy).values())
    badges.write(copy, REPOSITORY)
    assert files(copy) == once


def test_removal_restores_every_byte(copy):
    before = files(copy)
    badges.write(copy, REPOSITORY)
    assert all(before[name] != content for name, content in files(copy).items())
    assert len(badges.remove(copy)) == 7
    assert files(copy) == before
    assert badges.remove(copy) == []


def counts(notebook: nbformat.NotebookNode) -> list[int | None]:
    return [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]


def test_the_cells_are_numbered_as_after_a_run_that_began_with_the_set_up(copy):
    before = [counts(notebook) for notebook in notebooks(copy)]
    badges.write(copy, REPOSITORY)
    for notebook, old in zip(notebooks(copy), before, strict=True):
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert code[0].metadata.tags == ["colab"]
        run = old[0] is not None
        moved = [count if count is None else count + run for count in old]
        assert counts(notebook) == [1 if run else None, *moved]
        results = [(o.execution_count, cell.execution_count) for cell in code
                   for o in cell.outputs if o.output_type == "execute_result"]  # fmt: skip
        assert all(one == other for one, other in results)


def test_the_set_up_cell_is_short_and_in_good_style(code, tmp_path):
    assert len(code.splitlines()) < 20
    alone = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbformat.write(alone, tmp_path / "alone.ipynb")
    style = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    for order in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *order, *style, str(tmp_path / "alone.ipynb")],
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("address", ["fine-tuning", "a/b/c", "https://github.com/a/b", "a b/c", ""])
def test_what_is_no_address_is_refused_and_nothing_is_written(copy, address):
    before = files(copy)
    with pytest.raises(ValueError, match="OWNER/REPOSITORY"):
        badges.write(copy, address)
    assert files(copy) == before


def test_the_command_line_writes_removes_and_asks_for_the_address(copy, monkeypatch, capsys):
    monkeypatch.setattr(command, "ROOT", copy)
    before = files(copy)
    assert command.main(["badges", REPOSITORY, "--branch", "main"]) == 0
    assert "README.md" in capsys.readouterr().out
    assert command.main(["badges", "--remove"]) == 0
    assert files(copy) == before
    assert command.main(["badges"]) == 2
    assert command.main(["badges", "nobody"]) == 2
    assert capsys.readouterr().err.count("OWNER/REPOSITORY") == 2


def test_badges_need_the_standard_library_only():
    loaded = "import sys; import helpers.badges; print({m.split('.')[0] for m in sys.modules}"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"{loaded} - sys.stdlib_module_names)"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() in ("{'helpers', '__main__'}", "{'__main__', 'helpers'}"), (
        done.stderr
    )


# What Colab's badge leads to: the set-up cell, run as a kernel would run it.


class Kernel:
    """Runs the set-up cell and notes what it would have done to the machine."""

    def __init__(self, monkeypatch, colab: bool, cloned: bool = False, ready: bool = False):
        self.deeds: list[tuple] = []
        find = importlib.util.find_spec
        shell = SimpleNamespace(kernel=SimpleNamespace(do_shutdown=self._restart))
        self.names = {"get_ipython": lambda: shell}
        if colab:
            monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
        else:
            monkeypatch.delitem(sys.modules, "google.colab", raising=False)
        monkeypatch.setattr(subprocess, "run", self._run)
        monkeypatch.setattr(os, "chdir", lambda folder: self.deeds.append(("chdir", folder)))
        monkeypatch.setattr(os.path, "isdir", lambda folder: cloned)
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name: (ready or None) if name == "helpers" else find(name),
        )

    def _run(self, arguments, cwd=None, check=False):
        assert check, "a step that fails must stop the cell"
        self.deeds.append((Path(arguments[0]).name, *arguments[1:], cwd))

    def _restart(self, restart: bool):
        self.deeds.append(("restart", restart))

    def run(self, code: str) -> list[tuple]:
        exec(compile(code, "set-up", "exec"), self.names)
        return self.deeds


@pytest.fixture
def code(copy) -> str:
    """The set-up cell as it stands in the first notebook."""
    badges.write(copy, REPOSITORY, "main")
    cells = notebooks(copy)[0].cells
    (found,) = [cell for cell in cells if "colab" in cell.metadata.get("tags", [])]
    return found.source


def test_elsewhere_than_on_colab_the_cell_does_nothing(code, monkeypatch, capsys):
    assert Kernel(monkeypatch, colab=False).run(code) == []
    assert capsys.readouterr().out == ""


def test_on_colab_it_clones_installs_and_starts_anew(code, monkeypatch, capsys):
    clone, chdir, install, restart = Kernel(monkeypatch, colab=True).run(code)
    home = "/content/fine-tuning"
    address = f"https://github.com/{REPOSITORY}"
    assert clone == ("git", "clone", "--depth", "1", "--branch", "main", address, home, None)
    assert chdir == ("chdir", f"{home}/notebooks")
    assert install[1:] == ("-m", "helpers", "--here", "setup", home)
    assert restart == ("restart", True)
    assert "run all cells again" in capsys.readouterr().out


def test_after_the_new_start_it_only_goes_to_the_notebooks(code, monkeypatch):
    deeds = Kernel(monkeypatch, colab=True, cloned=True, ready=True).run(code)
    assert deeds == [("chdir", "/content/fine-tuning/notebooks")]


def test_where_the_installation_failed_the_next_try_does_not_clone_again(code, monkeypatch):
    deeds = Kernel(monkeypatch, colab=True, cloned=True).run(code)
    assert [deed[0] for deed in deeds][:2] == ["chdir", Path(sys.executable).name]


# What its install command does: `python -m helpers --here setup`.


@pytest.fixture
def pip(monkeypatch) -> list[list[str]]:
    """The calls of pip, with the text of each file that `-r` and `-c` name."""
    calls = []

    def run(arguments, **_):
        texts = [
            Path(after).read_text(encoding="utf-8")
            for flag, after in zip(arguments, arguments[1:], strict=False)
            if flag in ("-r", "-c")
        ]
        calls.append([*arguments, *texts])
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(command.subprocess, "run", run)
    return calls


def test_here_installs_the_requirements_into_this_python(pip, monkeypatch):
    monkeypatch.setattr(command, "on_colab", lambda: False)
    assert command.main(["--here", "setup"]) == 0
    (call,) = pip
    assert call[0] == sys.executable and "install" in call
    assert call[-2] == str(ROOT / "requirements.txt")


def test_on_colab_it_keeps_what_shows_the_page_and_drops_what_would_clash(pip, monkeypatch):
    monkeypatch.setattr(command, "on_colab", lambda: True)
    assert command.main(["--here", "setup"]) == 0
    install, uninstall = pip
    chosen, kept = install[-2:]
    wanted = [line.split("#")[0].strip() for line in chosen.splitlines()]
    names = {Requirement(line).name for line in wanted if line and not line.startswith("-")}
    assert {"torch", "openai", "ipywidgets"} <= names
    assert not {"jupyterlab", "ipykernel", "nbclient"} & names
    assert "-e ." in wanted  # the helpers themselves
    assert {line.split("==")[0] for line in kept.splitlines()} >= {"ipython", "ipykernel"}
    assert "https://download.pytorch.org/whl/cpu" in install
    assert "uninstall" in uninstall and "torchvision" in uninstall


def test_a_failed_installation_here_is_told(monkeypatch, capsys):
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: no torch for this machine")
    monkeypatch.setattr(command.subprocess, "run", lambda *_, **__: failed)
    monkeypatch.setattr(command, "on_colab", lambda: True)
    assert command.main(["--here", "setup"]) == 1
    assert "no torch for this machine" in capsys.readouterr().err


def test_this_machine_is_not_taken_for_colab():
    assert command.on_colab() is False


# Binder and the dev container, by form: nothing is built here.


def requirements(path: Path) -> list[Requirement]:
    """The requirements of a file and of those that it includes."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.split(" #")[0].strip()
        if line.startswith("-r "):
            found += requirements(path.parent / line[3:].strip())
        elif line and not line.startswith(("#", "-")):
            found.append(Requirement(line))
    return found


def test_binder_installs_the_course_on_a_python_that_it_supports():
    names = {wanted.name for wanted in requirements(ROOT / ".binder" / "requirements.txt")}
    assert {"torch", "openai", "jupyterlab"} <= names
    version = (ROOT / ".binder" / "runtime.txt").read_text(encoding="utf-8").strip()
    numbers = re.fullmatch(r"python-(\d+)\.(\d+)", version)
    assert command.supported((int(numbers[1]), int(numbers[2])))


def test_the_dev_container_sets_up_with_a_command_that_exists():
    path = ROOT / ".devcontainer" / "devcontainer.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    order = settings["postCreateCommand"].split(" -m helpers ")[1].split()
    assert command.parse(order).command == "setup"
    version = re.search(r":(\d+)\.(\d+)$", settings["image"])
    assert command.supported((int(version[1]), int(version[2])))
    interpreter = settings["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert interpreter.endswith("/.venv/bin/python")


def test_ci_calls_a_command_that_exists():
    orders = re.findall(r"python3 -m helpers (.+)", (ROOT / ".ci" / "run").read_text("utf-8"))
    assert [command.parse(order.split()).command for order in orders] == ["test"]
