"""The training loop: what it learns, what it reports, and that it can be stopped and taken up."""

import json
from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from tiny import CONTEXT, FAMILIES, make_checkpoint, make_examples

from helpers.local_platform import training
from helpers.local_platform.modeling import encode_example, load_base


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("LOCAL_TRAINING_THREADS", "1")


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("base"), "llama")


def write(path, examples):
    path.write_text("".join(json.dumps(e) + "\n" for e in examples), encoding="utf-8")
    return path


def make_spec(folder, base, name="job", **changes):
    examples = make_examples(13)
    (folder / name).mkdir()
    spec = training.TrainingSpec(
        base_model=str(base),
        start_adapter=None,
        training_file=write(folder / f"{name}-train.jsonl", examples[:9]),
        validation_file=write(folder / f"{name}-valid.jsonl", examples[9:]),
        n_epochs=3,
        batch_size=2,
        learning_rate_multiplier=0.5,
        seed=7,
        job_dir=folder / name,
    )
    return replace(spec, **changes)


class Recorder:
    """Collects events; asks to stop after the given step; can die at one, as a killed process."""

    def __init__(self, stop_after=None, wish="pause", die_at=None):
        self.events, self.stop_after, self.wish, self.die_at = [], stop_after, wish, die_at

    def on_event(self, kind, data):
        if kind == "metrics" and data["step"] == self.die_at:
            raise KeyboardInterrupt
        self.events.append((kind, data))

    def should_stop(self):
        return self.wish if len(self.of("metrics")) == self.stop_after else None

    def of(self, kind):
        return [data for k, data in self.events if k == kind]


def run(spec, **how):
    recorder = Recorder(**how)
    return training.train(spec, recorder.on_event, recorder.should_stop), recorder


def adapter_weights(folder):
    return {p.name: p.read_bytes() for p in folder.glob("*.safetensors")}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_job_learns_reports_and_saves(tmp_path, family):
    base = make_checkpoint(tmp_path / "base", family)
    before = load_base(str(base))[0].state_dict()
    spec = make_spec(tmp_path, base, n_epochs=6, learning_rate_multiplier=2.5)
    outcome, recorder = run(spec)
    metrics = recorder.of("metrics")
    assert outcome.status == "completed" and outcome.steps == 30
    assert [m["step"] for m in metrics] == list(range(1, 31))
    assert {m["total_steps"] for m in metrics} == {30}
    assert all("valid_loss" in m for m in metrics)
    ends = [m["step"] for m in metrics if "full_valid_loss" in m]
    assert ends == [5, 10, 15, 20, 25, 30]
    assert [c["step"] for c in recorder.of("checkpoint")] == ends
    assert metrics[-1]["train_loss"] < 0.8 * metrics[0]["train_loss"]
    assert metrics[-1]["full_valid_loss"] < 0.9 * metrics[0]["valid_loss"]
    assert all(0 <= m["train_mean_token_accuracy"] <= 1 for m in metrics)
    kept = sorted(p.name for p in (spec.job_dir / "checkpoints").iterdir())
    assert kept == ["step-20", "step-25", "step-30"]
    tokenizer = load_base(str(base))[1]
    lines = spec.training_file.read_text(encoding="utf-8").splitlines()
    tokens = sum(len(encode_example(tokenizer, json.loads(line))[0]) for line in lines)
    assert outcome.trained_tokens == 6 * tokens

    model = load_base(str(base))[0]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    tuned = PeftModel.from_pretrained(model, recorder.of("checkpoint")[-1]["path"])
    held_out, _ = training.read_examples(spec.validation_file, tokenizer, CONTEXT)
    loss, accuracy = training.evaluate(tuned, held_out, tokenizer.pad_token_id)
    assert loss == pytest.approx(metrics[-1]["full_valid_loss"], rel=1e-5)
    assert accuracy == pytest.approx(metrics[-1]["full_valid_mean_token_accuracy"])


def test_a_long_job_validates_now_and_then_and_at_each_end_of_an_epoch(tmp_path):
    spec = make_spec(tmp_path, make_checkpoint(tmp_path / "base", "llama"), n_epochs=12)
    metrics = run(spec)[1].of("metrics")
    assert len(metrics) == 60
    seen = {m["step"] for m in metrics if "valid_loss" in m}
    assert seen == set(range(1, 61, 2)) | set(range(5, 61, 5))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_the_one_transformers_computes(tmp_path, family):
    model, tokenizer = load_base(str(make_checkpoint(tmp_path / "base", family)))
    path = write(tmp_path / "x.jsonl", make_examples(4))
    examples, _ = training.read_examples(path, tokenizer, CONTEXT)
    batch = training.collate(examples, tokenizer.pad_token_id)
    assert batch["input_ids"].shape[1] > min(len(e.input_ids) for e in examples)
    loss, hits, labelled = training.loss_and_hits(model, batch)
    theirs = model(**batch)
    assert loss.item() / labelled == pytest.approx(theirs.loss.item(), rel=1e-5)
    guesses, targets = theirs.logits.argmax(-1)[:, :-1], batch["labels"][:, 1:]
    assert hits == int((guesses == targets).sum())
    assert labelled == int((targets != training.IGNORED).sum())


def test_padding_changes_nothing(tmp_path, llama):
    model, tokenizer = load_base(str(llama))
    examples, _ = training.read_examples(
        write(tmp_path / "x.jsonl", make_examples(4)), tokenizer, CONTEXT
    )
    alone = [training.evaluate(model, [e], tokenizer.pad_token_id)[0] for e in examples]
    counts = [sum(label != training.IGNORED for label in e.labels) for e in examples]
    together, _ = training.evaluate(model, examples, tokenizer.pad_token_id)
    mean = sum(a * c for a, c in zip(alone, counts, strict=True)) / sum(counts)
    assert together == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_paused_job_goes_on_as_if_never_stopped(tmp_path, family):
    base = make_checkpoint(tmp_path / "base", family)
    whole_spec, cut_spec = make_spec(tmp_path, base, "whole"), make_spec(tmp_path, base, "cut")
    _, whole = run(whole_spec)
    parts = []
    for stop_after in (3, 2, 1, None):  # in mid-epoch, at an epoch's end, right after it
        outcome, recorder = run(cut_spec, stop_after=stop_after)
        assert outcome.status == ("completed" if stop_after is None else "paused")
        parts += recorder.of("metrics")
    assert parts == whole.of("metrics")  # bit by bit
    for step in (5, 10, 15):
        ends = [s.job_dir / "checkpoints" / f"step-{step}" for s in (whole_spec, cut_spec)]
        assert adapter_weights(ends[0]) == adapter_weights(ends[1])


def test_a_killed_job_goes_back_to_its_last_epoch_and_on_as_before(tmp_path, llama):
    _, whole = run(make_spec(tmp_path, llama, "whole"))
    spec = make_spec(tmp_path, llama, "killed")
    recorder = Recorder(die_at=8)
    with pytest.raises(KeyboardInterrupt):
        training.train(spec, recorder.on_event, recorder.should_stop)
    outcome, after = run(spec)
    assert outcome == training.TrainingOutcome("completed", outcome.trained_tokens, 15)
    assert "step 5" in after.of("message")[0]["message"]
    assert [m["step"] for m in after.of("metrics")] == list(range(6, 16))
    assert after.of("metrics") == whole.of("metrics")[5:]


def test_a_state_that_could_not_be_written_leaves_the_one_before(tmp_path, llama, monkeypatch):
    spec = make_spec(tmp_path, llama)
    run(spec, stop_after=2)
    before = (spec.job_dir / "state.pt").read_bytes()

    def full(state, path):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(training.torch, "save", full)
        with pytest.raises(OSError, match="No space left"):
            run(spec)
    assert (spec.job_dir / "state.pt").read_bytes() == before
    assert run(spec)[0].status == "completed"


def test_a_cancelled_job_stops_within_one_step(tmp_path, llama):
    outcome, recorder = run(make_spec(tmp_path, llama), stop_after=3, wish="cancel")
    assert outcome.status == "cancelled" and outcome.steps == 3
    assert len(recorder.of("metrics")) == 3


def test_a_finished_job_run_again_does_nothing(tmp_path, llama):
    spec = make_spec(tmp_path, llama)
    first, _ = run(spec)
    second, recorder = run(spec)
    assert second == first and not recorder.of("metrics")


def test_a_state_of_another_job_is_refused(tmp_path, llama):
    spec = make_spec(tmp_path, llama)
    run(spec, stop_after=1)
    with pytest.raises(ValueError, match="other settings"):
        run(replace(spec, seed=8))


def test_the_seed_decides_the_order_and_the_numbers(tmp_path, llama):
    first = run(make_spec(tmp_path, llama, "a"))[1].of("metrics")
    again = run(make_spec(tmp_path, llama, "b"))[1].of("metrics")
    other = run(make_spec(tmp_path, llama, "c", seed=8))[1].of("metrics")
    assert first == again
    assert first[0]["train_loss"] != other[0]["train_loss"]
    orders = [training.example_order(50, 7, epoch) for epoch in range(3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1] != orders[2]


def test_training_goes_on_from_a_finished_model(tmp_path, llama):
    _, first = run(make_spec(tmp_path, llama, "first", learning_rate_multiplier=2.0))
    adapter = first.of("checkpoint")[-1]["path"]
    _, second = run(make_spec(tmp_path, llama, "second", start_adapter=adapter))
    ended, begins = first.of("metrics")[-1], second.of("metrics")[0]
    # The first step's rate is a fraction of the peak: the validation loss is still about the same.
    assert begins["valid_loss"] == pytest.approx(ended["valid_loss"], rel=0.05)
    assert begins["valid_loss"] < 0.9 * first.of("metrics")[0]["valid_loss"]


def test_without_a_validation_file_there_is_no_validation(tmp_path, llama):
    _, recorder = run(make_spec(tmp_path, llama, validation_file=None))
    assert not any("valid" in key for m in recorder.of("metrics") for key in m)


def test_a_long_example_loses_its_end_and_the_learner_is_told(tmp_path, llama):
    long = make_examples(1)[0]
    long["messages"][2]["content"] = "robot " * 2 * CONTEXT
    file = write(tmp_path / "long.jsonl", [long, *make_examples(3)])
    _, recorder = run(make_spec(tmp_path, llama, training_file=file, n_epochs=1))
    warning = recorder.of("message")[0]
    assert warning["level"] == "warn"
    assert warning["message"].startswith("1 example(s) of the training file are longer")
    tokenizer = load_base(str(llama))[1]
    examples, cut = training.read_examples(file, tokenizer, CONTEXT)
    assert cut == 1 and len(examples[0].input_ids) == CONTEXT


def test_examples_without_anything_to_learn_are_left_out(tmp_path, llama):
    silent = make_examples(1)[0]
    silent["messages"][2]["weight"] = 0
    tokenizer = load_base(str(llama))[1]
    file = write(tmp_path / "x.jsonl", [silent, *make_examples(2)])
    assert len(training.read_examples(file, tokenizer, CONTEXT)[0]) == 2
    with pytest.raises(ValueError, match="no example with an assistant message"):
        run(make_spec(tmp_path, llama, training_file=write(tmp_path / "y.jsonl", [silent])))


def test_an_unknown_method_is_refused(tmp_path, llama):
    with pytest.raises(ValueError, match="reinforcement"):
        run(make_spec(tmp_path, llama, method="reinforcement"))


def test_the_learning_rate_warms_up_and_falls():
    rates = [training.learning_rate(step, 100, 1.0) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([0.1 * i for i in range(1, 11)])
    assert all(a > b for a, b in zip(rates[9:], rates[10:], strict=False))
    assert rates[-1] == pytest.approx(training.FINAL_LEARNING_RATE_SHARE)
    assert training.learning_rate(1, 1, 1.0) == 1.0


@pytest.mark.parametrize(
    "examples, epochs",
    [(1, 25), (4, 25), (10, 10), (33, 3), (34, 3), (120, 3), (8333, 3), (8334, 2), (30_000, 1)],
)
def test_epochs_follow_the_documented_rule(examples, epochs):
    auto = training.auto_hyperparameters(examples, {"n_epochs": "auto"})
    assert auto["n_epochs"] == epochs


def test_what_is_asked_for_is_kept():
    asked = {"n_epochs": 7, "batch_size": None, "learning_rate_multiplier": 0.5}
    chosen = training.auto_hyperparameters(120, asked)
    assert chosen == {"n_epochs": 7, "batch_size": 2, "learning_rate_multiplier": 0.5}
    sizes = [training.auto_hyperparameters(n, {})["batch_size"] for n in (10, 120, 10_000)]
    assert sizes == [1, 2, 16]


def test_few_tokens_a_step_are_trained_by_one_thread(monkeypatch):
    short, long = training.Example([1] * 40, [1] * 40), training.Example([1] * 400, [1] * 400)
    assert training.threads_for([short, long], 1) == 1  # it was asked for, see the fixture
    monkeypatch.delenv("LOCAL_TRAINING_THREADS")
    for cores, threads in ((1, 1), (2, 2), (8, 7)):
        monkeypatch.setattr(training.os, "cpu_count", lambda cores=cores: cores)
        assert training.threads_for([short, short], 2) == 1
        assert training.threads_for([short, long], 4) == threads
    monkeypatch.setenv("LOCAL_TRAINING_THREADS", "3")
    assert training.threads_for([short], 1) == 3
