"""The workbook's one command: python -m helpers lab | run | test | doctor | site | ...

This file imports only the standard library, because it runs before anything is installed: it
makes `.venv`, installs the requirements there, and starts itself again inside.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
SUPPORTED = ((3, 11), (3, 13))
INSIDE = "WORKBOOK_INSIDE"  # set for the second start, inside the environment


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
    if os.environ.get(INSIDE) or options.here:
        return run_inside(options)
    author = options.command in ("test", "site")
    wanted = ROOT / ("requirements-dev.txt" if author else "requirements.txt")
    if not ready(wanted) and not install(wanted):
        return 1
    environment = {**os.environ, INSIDE: "1"}
    again = [str(python()), "-m", "helpers", *(sys.argv[1:] if arguments is None else arguments)]
    return subprocess.call(again, env=environment, cwd=ROOT)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace with `command` and its own options."""
    parser = argparse.ArgumentParser(prog="python -m helpers", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--here",
        action="store_true",
        help="use the Python that runs this, make no .venv (Colab, containers)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
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
    platform = commands.add_parser("platform", help="the local platform by hand")
    platform.add_argument("action", choices=["start", "stop", "status", "reset"])
    return parser.parse_args(arguments)


def run_inside(options: argparse.Namespace) -> int:
    """Run a command in the environment that holds the requirements."""
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

    try:
        rows = classroom.export(files, target)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{target}: {len(rows)} learners")
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
    command = [
        str(python()),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        str(requirements),
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
        return False
    stamp = ENVIRONMENT / f"{requirements.stem}.sha256"
    stamp.write_text(fingerprint(requirements), encoding="utf-8")
    return True


if __name__ == "__main__":
    sys.exit(main())
