"""The workbook's one command: python -m helpers lab | run | test | doctor | site | setup | ...

This file imports only the standard library, because it runs before anything is installed: it
makes `.venv`, installs the requirements there, and starts itself again inside.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
import venv
from glob import glob
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
SUPPORTED = ((3, 11), (3, 13))
INSIDE = "WORKBOOK_INSIDE"  # set for the second start, inside the environment
TORCH_CPU = "https://download.pytorch.org/whl/cpu"  # without the gigabytes of CUDA
# Colab shows its notebooks itself: another version of these breaks the page that the learner sees.
COLAB_SHOWS = ("jupyterlab", "ipykernel", "nbclient")
COLAB_KEEPS = ("ipython", "ipykernel", "tornado", "prompt_toolkit", "pyzmq")
# Colab has these for its own torch; transformers and peft import them if they are there, and fail.
COLAB_DROPS = ("torchvision", "torchaudio", "torchao")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run one command; returns the exit status."""
    options = parse(arguments)
    if not supported():
        low, high = (".".join(map(str, version)) for version in SUPPORTED)
        print(
            f"This workbook needs Python {low} to {high}; this is {sys.version.split()[0]}.\n"
            f"Install one of those and call it by name, for example: "
            f"python{high} -m helpers {options.command}",
            file=sys.stderr,
        )
        return 2
    if options.command == "doctor":
        from helpers import doctor

        return doctor.main()
    if options.command == "results":
        return class_results(options.files, options.out)
    if options.command == "badges":
        return write_badges(options)
    if options.command == "setup" and options.here:
        return 0 if install_here() else 1
    if os.environ.get(INSIDE) or options.here:
        return run_inside(options)
    author = options.command in ("test", "site")
    wanted = ROOT / ("requirements-dev.txt" if author else "requirements.txt")
    if not ready(wanted) and not install(wanted):
        return 1
    if options.command == "setup":
        print(f"The libraries are in {ENVIRONMENT.name}. Next: python -m helpers lab")
        return 0
    environment = {**os.environ, INSIDE: "1"}
    again = [str(python()), "-m", "helpers", *(sys.argv[1:] if arguments is None else arguments)]
    return subprocess.call(again, env=environment, cwd=ROOT)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace with `command` and its own options."""
    parser = argparse.ArgumentParser(prog="python -m helpers", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--here",
        action="store_true",
        help="use the Python that runs this, make no .venv; setup installs into it "
        "(Colab, containers)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="install the libraries, and stop there")
    commands.add_parser("lab", help="set up and open JupyterLab on notebook 01")
    run = commands.add_parser("run", help="set up and execute notebooks 01 to 06 in order")
    run.add_argument("--only", help="numbers, such as 04 or 02,03")
    run.add_argument(
        "--in-place",
        action="store_true",
        help="write the outputs back into notebooks/ (for authors)",
    )
    test = commands.add_parser("test", help="set up and run the tests")
    test.add_argument("pytest", nargs=argparse.REMAINDER, help="passed on to pytest")
    commands.add_parser("site", help="build the HTML copy of the course in output/site")
    commands.add_parser("doctor", help="say what is missing or misconfigured, with the cure")
    results = commands.add_parser("results", help="for teachers: a class's progress as one CSV")
    results.add_argument("files", nargs="+", type=Path, help="the learners' progress.json files")
    results.add_argument("--out", type=Path, default=ROOT / "output" / "class.csv")
    badge = commands.add_parser("badges", help="for owners: badges that open Colab and Binder")
    badge.add_argument("repository", nargs="?", help="OWNER/REPOSITORY on GitHub")
    badge.add_argument("--branch", default="main", help="the branch that readers get (main)")
    badge.add_argument("--remove", action="store_true", help="take them away again")
    platform = commands.add_parser("platform", help="the local platform by hand")
    platform.add_argument("action", choices=["start", "stop", "status", "reset"])
    return parser.parse_args(arguments)


def run_inside(options: argparse.Namespace) -> int:
    """Run a command in the environment that holds the requirements."""
    if options.command == "setup":
        print("The libraries are here already.")
        return 0
    if options.command == "platform":
        from helpers.local_platform import server

        return server.main([options.action])
    if options.command == "test":
        return subprocess.call([sys.executable, "-m", "pytest", *options.pytest], cwd=ROOT)
    if options.command == "site":
        from helpers import site

        print(site.build())
        return 0
    if options.command == "lab":
        first = sorted((ROOT / "notebooks").glob("01_*.ipynb"))[0]
        return subprocess.call([sys.executable, "-m", "jupyter", "lab", str(first)], cwd=ROOT)
    from helpers import runner

    return runner.main(only=options.only, in_place=options.in_place)


def class_results(files: list[Path], target: Path) -> int:
    """Write the table of a class and say how it went; returns the exit status."""
    from helpers import classroom

    # The shell of Windows hands a pattern on as it stands.
    found = [Path(name) for file in files for name in sorted(glob(str(file))) or [str(file)]]
    try:
        rows = classroom.export(found, target)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{target}: {len(rows)} learners")
    return 0


def write_badges(options: argparse.Namespace) -> int:
    """Write or remove the badges and say which files changed; returns the exit status."""
    from helpers import badges

    if not options.remove and not options.repository:
        print("Say which repository: python -m helpers badges OWNER/REPOSITORY", file=sys.stderr)
        return 2
    try:
        changed = (
            badges.remove(ROOT)
            if options.remove
            else badges.write(ROOT, options.repository, options.branch)
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for path in changed:
        print(path.relative_to(ROOT))
    print(f"{len(changed)} files changed.")
    return 0


def supported(version: tuple[int, int] = sys.version_info[:2]) -> bool:
    """Whether this Python is one that the pinned libraries are built for."""
    return SUPPORTED[0] <= version <= SUPPORTED[1]


def python(environment: Path = ENVIRONMENT) -> Path:
    """The environment's interpreter: `Scripts` on Windows, `bin` elsewhere."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint(requirements: Path) -> str:
    """Changes when a requirements file, the package's settings or Python itself change."""
    texts = [
        path.read_bytes()
        for path in (ROOT / "requirements.txt", requirements, ROOT / "pyproject.toml")
    ]
    return hashlib.sha256(b"\0".join([*texts, sys.version.encode()])).hexdigest()


def ready(requirements: Path) -> bool:
    """Whether the environment already holds exactly these requirements."""
    stamp = ENVIRONMENT / f"{requirements.stem}.sha256"
    return (
        python().exists()
        and stamp.exists()
        and stamp.read_text(encoding="utf-8") == fingerprint(requirements)
    )


def install(requirements: Path) -> bool:
    """Make the environment where it is missing and install into it; says what failed."""
    if not python().exists():
        print("Making .venv ...", flush=True)
        venv.EnvBuilder(with_pip=True).create(ENVIRONMENT)
    print(f"Installing {requirements.name} (the first time takes some minutes) ...", flush=True)
    if not pip_install(python(), "-r", requirements):
        return False
    stamp = ENVIRONMENT / f"{requirements.stem}.sha256"
    stamp.write_text(fingerprint(requirements), encoding="utf-8")
    return True


def install_here() -> bool:
    """Install the requirements into the Python that runs this; says what failed.

    On Colab around the libraries that Colab itself needs, and with the CPU build of torch.
    """
    wanted = ROOT / "requirements.txt"
    print("Installing the libraries (some minutes) ...", flush=True)
    if not on_colab():
        return pip_install(sys.executable, "-r", wanted)
    with tempfile.TemporaryDirectory() as folder:
        chosen, kept = Path(folder) / "chosen.txt", Path(folder) / "kept.txt"
        lines = wanted.read_text(encoding="utf-8").splitlines()
        chosen.write_text(
            "\n".join(line for line in lines if line.split("==")[0].strip() not in COLAB_SHOWS),
            encoding="utf-8",
        )
        kept.write_text("\n".join(map(pin, filter(installed, COLAB_KEEPS))), encoding="utf-8")
        fine = pip_install(sys.executable, "-r", chosen, "-c", kept, "--extra-index-url", TORCH_CPU)
    if fine:
        remove = [sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", *COLAB_DROPS]
        subprocess.run(remove, capture_output=True)
    return fine


def on_colab() -> bool:
    """Whether this Python is Google Colab's."""
    try:
        return importlib.util.find_spec("google.colab") is not None
    except ModuleNotFoundError:  # there is no package `google` at all
        return False


def installed(package: str) -> str | None:
    """The version of a package that this Python has, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def pin(package: str) -> str:
    """A requirement that keeps an installed package at its version."""
    return f"{package}=={installed(package)}"


def pip_install(interpreter: str | Path, *arguments: str | Path) -> bool:
    """Let an interpreter's pip install something; where it fails, say what pip said."""
    command = [
        str(interpreter),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *map(str, arguments),
    ]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        print("pip could not install the requirements:", file=sys.stderr)
        print(
            "\n".join(f"  {line}" for line in said or done.stderr.splitlines()[-15:]),
            file=sys.stderr,
        )
        print(
            f"Look at the line that names a package, then try:\n  {' '.join(command)}",
            file=sys.stderr,
        )
    return not done.returncode


if __name__ == "__main__":
    sys.exit(main())
