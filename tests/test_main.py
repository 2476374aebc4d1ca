"""The command line: what it imports, what it says, how it sets up."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import __main__ as command
from helpers import doctor

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        **options,
    )


def test_only_the_standard_library_is_imported_before_the_environment_exists():
    # -S leaves site-packages out: any third-party import would fail.
    done = run(
        "-S",
        "-c",
        "import sys; import helpers.__main__, helpers.doctor; "
        "print(sorted({m.split('.')[0] for m in sys.modules} - sys.stdlib_module_names))",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("['__main__', 'helpers']", "['helpers']")


def test_help_names_every_command():
    said = run("-m", "helpers", "--help").stdout
    words = ("lab", "run", "test", "doctor", "platform", "setup", "site", "results", "badges")
    assert all(word in said for word in words)


def test_every_command_that_the_readme_names_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    orders = re.findall(r"python3 -m helpers ([^`#\n]+)", text)
    parsed = [command.parse(order.split()) for order in orders]
    assert {"lab", "run", "test", "site", "results", "badges", "setup"} <= {
        options.command for options in parsed
    }


def test_setup_installs_and_stops_there(monkeypatch, capsys):
    done = []
    monkeypatch.delenv(command.INSIDE, raising=False)
    monkeypatch.setattr(command, "ready", lambda wanted: False)
    monkeypatch.setattr(command, "install", lambda wanted: done.append(wanted.name) or True)
    monkeypatch.setattr(command.subprocess, "call", lambda *_, **__: pytest.fail("went on"))
    assert command.main(["setup"]) == 0
    assert done == ["requirements.txt"]
    assert ".venv" in capsys.readouterr().out
    monkeypatch.setattr(command, "install", lambda wanted: False)
    assert command.main(["setup"]) == 1


def test_setup_inside_the_environment_has_nothing_to_do(monkeypatch, capsys):
    monkeypatch.setenv(command.INSIDE, "1")
    monkeypatch.setattr(command, "install", lambda wanted: pytest.fail("installed again"))
    assert command.main(["setup"]) == 0
    assert "already" in capsys.readouterr().out


def test_an_unsupported_python_is_told_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(command, "supported", lambda: False)
    assert command.main(["run"]) == 2
    assert "3.11 to 3.13" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("version", "fine"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)]
)
def test_supported_versions(version, fine):
    assert command.supported(version) is fine


def test_the_environment_is_ready_only_while_nothing_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "ENVIRONMENT", tmp_path)
    monkeypatch.setattr(command, "python", lambda: Path(sys.executable))
    wanted = ROOT / "requirements.txt"
    assert not command.ready(wanted)
    (tmp_path / "requirements.sha256").write_text(command.fingerprint(wanted), encoding="utf-8")
    assert command.ready(wanted)
    changed = tmp_path / "requirements.txt"
    changed.write_text("other==1\n", encoding="utf-8")
    assert not command.ready(changed)


def test_a_failing_install_names_the_package(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "ENVIRONMENT", tmp_path)
    monkeypatch.setattr(command, "python", lambda: Path(sys.executable))
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("./no-such-package-here\n", encoding="utf-8")
    assert command.install(wanted) is False
    assert "no-such-package-here" in capsys.readouterr().err
    assert not (tmp_path / "requirements.sha256").exists()


def test_every_setting_in_use_is_documented():
    used = set()
    for path in (ROOT / "helpers").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        used |= {name for name in doctor.known_settings() if name in text}
    assert used == doctor.known_settings()


def test_doctor_finds_an_unknown_name_and_a_missing_key(tmp_path, monkeypatch):
    env = tmp_path / ".env"
    monkeypatch.setattr(doctor, "read_env", lambda path: {"PROVIDR": "local"})
    assert doctor.check_settings()[0] is False
    monkeypatch.delenv("PROVIDER", raising=False)
    monkeypatch.setattr(doctor, "read_env", lambda path: {"PROVIDER": "openai"})
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    fine, found, cure = doctor.check_settings()
    assert not fine
    assert "OPENAI_API_KEY" in cure
    assert not env.exists()


def test_doctor_passes_here():
    done = run("-m", "helpers", "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[CURE]" not in done.stdout
