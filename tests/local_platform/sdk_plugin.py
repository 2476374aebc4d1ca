"""A pytest plugin for the openai package's own tests: it seeds what those tests name.

They were written for a mock server that answers to any id. Ours is real, so before each test the
objects that it asks for are put into the store of the running server, in the right state.
"""

import json
import os
from pathlib import Path

import pytest

from helpers.local_platform.store import Store

JOB = "ft-AF1WoRqd3aJAHsqc9NY7iL8F"
FILES = ("file-abc123", "file_id")
CHAT_MODEL, TUNED = "gpt-6-astra", "ft:gpt-4o-mini:acemeco:suffix:abc123"
STORE = Store(Path(os.environ["SDK_SUITE_STORE"]))


def _seed_files(examples: bytes) -> None:
    for file_id in FILES:
        STORE.file_path(file_id).write_bytes(examples)
        if STORE.file(file_id) is None:
            body = {"id": file_id, "object": "file", "bytes": len(examples), "created_at": 1}
            body |= {"filename": "train.jsonl", "purpose": "fine-tune", "status": "processed"}
            STORE.add_file(body)


def _seed_models() -> None:
    for name in (CHAT_MODEL, "gpt-4o-mini"):
        STORE.add_model(name, base="workbook-mini", adapter=None)
    STORE.add_model("text-embedding-3-small", "all-MiniLM-L6-v2", None, owner="embedding")
    adapter = STORE.folder / "models" / "sdk-suite"
    adapter.mkdir(exist_ok=True)
    STORE.add_model(TUNED, base="workbook-mini", adapter=adapter)


def _seed_job(status: str) -> None:
    numbers = {"n_epochs": 1, "batch_size": 4, "learning_rate_multiplier": 1.0}
    body = {
        "object": "fine_tuning.job", "id": JOB, "model": "gpt-4o-mini", "created_at": 1,
        "finished_at": None, "fine_tuned_model": None, "organization_id": "org-local",
        "result_files": [], "status": status, "training_file": FILES[0], "validation_file": None,
        "hyperparameters": numbers, "trained_tokens": None, "error": None, "seed": 1,
        "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}},
        "estimated_finish": None, "integrations": [], "metadata": None,
    }  # fmt: skip
    if STORE.job(JOB) is None:
        STORE.add_job(body, {"tag": "abc123", "model_name": TUNED})
        STORE.add_event(JOB, "Created fine-tuning job")
        checkpoint = {
            "object": "fine_tuning.job.checkpoint", "id": "ftckpt_1", "created_at": 1,
            "fine_tuned_model_checkpoint": f"{TUNED}:ckpt-step-1", "fine_tuning_job_id": JOB,
            "step_number": 1, "metrics": {"step": 1, "train_loss": 1.0},
        }  # fmt: skip
        STORE.add_checkpoint(checkpoint)
    STORE.change_job(JOB, **body)


@pytest.fixture(autouse=True)
def seeded(request):
    """Everything that the test may name, as it must be when the test begins."""
    _seed_files(json.loads(os.environ["SDK_SUITE_EXAMPLES"]).encode())
    _seed_models()
    _seed_job("paused" if "resume" in request.node.name else "running")
