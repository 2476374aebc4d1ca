"""Starting, stopping, killing: no job is lost and none runs for ever."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys

import psutil
import pytest
from conftest import create_job, wait

from helpers.local_platform import server as lifecycle

LONG = {"n_epochs": 40, "batch_size": 2}


def test_start_status_stop(own_platform):
    assert own_platform.run("status").returncode == 1
    assert own_platform.run("start").returncode == 0
    found = lifecycle.running(own_platform.folder)
    assert found["url"].startswith("http://127.0.0.1:")
    assert own_platform.run("start").returncode == 0  # once more: it says that it runs
    assert lifecycle.running(own_platform.folder) == found
    assert found["url"] in own_platform.run("status").stdout
    assert own_platform.run("stop").returncode == 0
    assert lifecycle.running(own_platform.folder) is None
    assert own_platform.run("stop").returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no POSIX modes")
def test_only_the_owner_can_read_the_key_and_no_log_has_it(own_platform):
    own_platform.run("start")
    key = own_platform.folder / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    own_platform.client().models.list()
    log = (own_platform.folder / "server.log").read_text(encoding="utf-8")
    assert key.read_text(encoding="utf-8") not in log


def test_a_second_server_on_the_same_folder_is_refused(own_platform):
    own_platform.run("start")
    second = own_platform.run("serve")
    assert second.returncode == lifecycle.BUSY
    assert "already serves" in second.stderr
    assert own_platform.client().models.list().data


def test_a_stopped_platform_keeps_its_models_and_key(own_platform):
    own_platform.run("start")
    client = own_platform.client()
    model = wait(client, create_job(client).id, "succeeded").fine_tuned_model
    key = (own_platform.folder / "key").read_text(encoding="utf-8")
    server = psutil.Process(lifecycle.running(own_platform.folder)["pid"])
    processes = [server, *server.children(recursive=True)]  # one is ready for the next job
    own_platform.run("stop")
    psutil.wait_procs(processes, timeout=30)
    assert not any(process.is_running() for process in processes)
    own_platform.run("start")
    assert (own_platform.folder / "key").read_text(encoding="utf-8") == key
    assert model in [found.id for found in own_platform.client().models.list()]


def test_a_job_outlives_a_killed_server(own_platform):
    own_platform.run("start")
    client = own_platform.client()
    job = create_job(client, numbers=LONG)
    wait(client, job.id, "running")
    server = psutil.Process(lifecycle.running(own_platform.folder)["pid"])
    workers = server.children(recursive=True)
    server.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    psutil.wait_procs([server, *workers], timeout=30)
    assert not any(process.is_running() for process in workers), "no worker without its server"
    own_platform.run("start")
    client = own_platform.client()
    ended = wait(client, job.id, "succeeded")
    messages = [event.message for event in client.fine_tuning.jobs.list_events(job.id)]
    assert any("The platform was stopped" in message for message in messages)
    assert ended.fine_tuned_model


def test_a_job_outlives_its_killed_worker(own_platform):
    own_platform.run("start")
    client = own_platform.client()
    job = create_job(client, numbers=LONG)
    waiting = create_job(client)
    wait(client, job.id, "running")
    server = psutil.Process(lifecycle.running(own_platform.folder)["pid"])
    for process in server.children(recursive=True):
        process.kill()
    assert wait(client, job.id, "succeeded").fine_tuned_model
    assert wait(client, waiting.id, "succeeded").fine_tuned_model
    messages = [event.message for event in client.fine_tuning.jobs.list_events(job.id)]
    assert any("The training process died" in message for message in messages)


def test_a_closed_client_leaves_the_job_running(own_platform):
    own_platform.run("start")
    program = (
        "import sys, openai\n"
        "client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2])\n"
        "client.models.list()\n"
    )
    client = own_platform.client()
    job = create_job(client)
    found = lifecycle.running(own_platform.folder)
    key = (own_platform.folder / "key").read_text(encoding="utf-8")
    subprocess.run([sys.executable, "-c", program, found["url"], key], check=True)
    assert wait(client, job.id, "succeeded")
