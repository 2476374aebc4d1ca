"""Jobs, answers, retrieval, figures: the parts that need no server."""

from __future__ import annotations

import itertools
import threading
import time
from types import SimpleNamespace

import httpx2
import numpy as np
import openai
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import config, inference, jobs, plots, retrieval


def metric(step: int, **more) -> SimpleNamespace:
    data = {"step": step, "train_loss": 4.0 / step, "train_mean_token_accuracy": 0.5, **more}
    return SimpleNamespace(type="metrics", data=data, message="")


def test_the_loss_history_reads_data_and_keeps_the_last_report_of_a_step():
    said = SimpleNamespace(type="message", data={}, message="Step 9/9")
    again = metric(2, valid_loss=3.0, full_valid_loss=3.5)
    events = [said, metric(1, valid_loss=4.0), metric(2), again]
    history = jobs.loss_history(events)
    assert list(history["step"]) == [1, 2]
    assert history["valid_loss"].tolist() == [4.0, 3.0]
    assert history["full_valid_loss"].iloc[-1] == 3.5
    assert len(jobs.loss_history([])) == 0


def test_the_sentence_names_overfitting_and_nothing_else():
    history = jobs.loss_history(
        [metric(s, valid_loss=v, full_valid_loss=v) for s, v in ((1, 4.0), (2, 3.0), (3, 3.6))]
    )
    assert "overfit" in plots.describe_losses(history)
    assert "overfit" not in plots.describe_losses(history.iloc[:2])
    assert "on the validation sample it fell to 3.60;" in plots.describe_losses(history)
    assert "on all validation examples it ended at 3.60" in plots.describe_losses(history)
    assert plots.describe_losses(history.iloc[:0]) == "No step has been reported yet"


def refusal(status: int, code: str) -> openai.APIStatusError:
    request = httpx2.Request("POST", "https://example.org")
    kinds = {403: openai.PermissionDeniedError, 401: openai.AuthenticationError}
    body = {"message": "no", "code": code}
    return kinds[status]("no", response=httpx2.Response(status, request=request), body=body)


def test_a_refused_training_tells_how_to_go_on():
    said = jobs.explain_error(refusal(403, "training_not_available"))
    assert "PROVIDER=local" in said
    assert "2027-01-06" in said
    assert ".env" in jobs.explain_error(refusal(401, "invalid_api_key"))


def test_a_model_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "OUTPUT", tmp_path)
    assert jobs.recall_model("chris") is None
    jobs.remember_model("chris", "ft:a")
    jobs.remember_model("faq", "ft:b")
    assert jobs.recall_model("chris") == "ft:a"


def test_several_are_sent_at_once_and_their_answers_keep_their_order():
    under_way = threading.Barrier(inference.AT_ONCE)  # passes only if so many wait at it together

    def send(item, number):
        if number < inference.AT_ONCE:
            under_way.wait(timeout=30)
        time.sleep(0.001 * (number % 3))
        return f"{item}{number}"

    expected = [f"{item}{number}" for number, item in enumerate("abcdefghijklm")]
    assert inference.at_once(send, "abcdefghijklm", itertools.count()) == expected


def test_a_call_that_fails_is_heard_and_those_behind_it_are_not_sent():
    sent = []

    def send(number):
        sent.append(number)
        if number == 2:
            raise ValueError("broken")
        time.sleep(0.02)

    with pytest.raises(ValueError, match="broken"):
        inference.at_once(send, range(1000))
    assert len(sent) < 500


def test_no_answer_replaces_another(tmp_path):
    paths = [inference.save_answer(f"text {n} 🦆", "mail", tmp_path) for n in range(5)]
    assert len(set(paths)) == 5
    assert [path.read_text(encoding="utf-8")[5] for path in paths] == list("01234")


@given(st.text(alphabet="ab ", max_size=200), st.integers(2, 9), st.integers(0, 1))
def test_chunks_hold_every_word_and_overlap(text, words, overlap):
    chunks = retrieval.chunk(text, words, overlap)
    assert set(text.split()) == {word for chunk in chunks for word in chunk.split()}
    assert all(len(chunk.split()) <= words for chunk in chunks)


def test_an_index_finds_replaces_and_refuses():
    index = retrieval.Index("test")
    vectors = np.eye(3, dtype=np.float32)
    index.build(vectors, [{"text": name} for name in "abc"])
    assert [hit["text"] for hit in index.search(vectors[1], 1)] == ["b"]
    index.add(vectors[1:2], [{"text": "new"}], ids=[1])
    assert index.search(vectors[1], 1)[0]["text"] == "new"
    with pytest.raises(ValueError, match="1 vectors but 2"):
        index.add(vectors[:1], [{}, {}])
    index.close()


def test_a_search_by_words_prefers_the_rare_word_and_the_short_text():
    texts = ["the lamp is on", "the tank is full", "the tank is full and the day is long and dry"]
    assert retrieval.keyword_scores("Is the lamp broken?", texts).argmax() == 0
    tank = retrieval.keyword_scores("TANKS", texts)
    assert tank[0] == 0
    assert tank[1] > tank[2] > 0
    assert retrieval.keyword_scores("zebra", texts).tolist() == [0, 0, 0]
    assert retrieval.keyword_scores("zebra", []).shape == (0,)


def test_a_word_counts_by_the_published_formula():
    # Two texts of two words, the word once in one of them: idf is ln 2 and length plays no part.
    assert retrieval.keyword_scores("lamp", ["a lamp", "a tank"]).tolist() == pytest.approx(
        [np.log(2), 0]
    )
    every_time = retrieval.keyword_scores("glass", ["glass glass", "glass pot", "pot pot"])
    assert every_time[0] < 2 * every_time[1]
    assert retrieval.keyword_scores("glas", ["glass"]).tolist() == [0]  # no plural: it ends in ss


def test_figures_are_png_with_labels():
    history = jobs.loss_history([metric(s, valid_loss=3.0 / s) for s in range(1, 5)])
    figure = plots.loss_curves(history, total_steps=10)
    axes = figure.axes[0]
    assert axes.get_xlabel()
    assert "nats" in axes.get_ylabel()
    assert axes.get_xlim() == (0, 10)
    assert plots.png(figure).startswith(b"\x89PNG")
    results = pd.DataFrame({"answerer": ["a", "b"], "group": ["g", "g"], "right": [1, 0]})
    assert plots.png(plots.accuracy_bars(results, "t")).startswith(b"\x89PNG")


def test_a_key_never_shows_in_a_profile():
    profile = config.Profile("openai", "https://example.org", "sk-secret", "a", "b", True)
    assert "sk-secret" not in repr(profile)


def test_a_missing_setting_is_named(monkeypatch):
    monkeypatch.setenv("PROVIDER", "custom")
    monkeypatch.delenv("CUSTOM_BASE_URL", raising=False)
    with pytest.raises(config.SettingsError, match="CUSTOM_BASE_URL"):
        config.provider()
    monkeypatch.setenv("PROVIDER", "nobody")
    with pytest.raises(config.SettingsError, match="none of local"):
        config.provider()
