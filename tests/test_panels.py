"""The panels without a browser: their controls are set, and what they show is read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import config, panels, pricing, tokens

MODELS = ["gpt-3.5-turbo", "gpt-4.1", "workbook-mini"]


def test_the_token_view_counts_with_each_models_own_encoding():
    view = panels.TokenView("A duck 🦆 debugs.", MODELS)
    view.text.value = "Zwei Enten <b>🦆🦆</b>"
    for model in MODELS:
        count = tokens.count_text(view.text.value, tokens.encoding_for(model))
        assert f"<b>{model}</b>: {count} tokens" in view.columns.value
    assert "<b>🦆" not in view.columns.value  # the text is shown, not obeyed


@pytest.fixture
def training_file(tmp_path):
    good = {"messages": [{"role": "user", "content": "Where?"},
                         {"role": "assistant", "content": "Here <i>it</i> is."}]}  # fmt: skip
    rows = [json.dumps(good)] * 10 + ["not json", json.dumps({"messages": []})]
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_the_browser_shows_an_example_and_goes_from_finding_to_finding(training_file):
    browser = panels.DatasetBrowser(training_file)
    assert "Where?" in browser.view.value and "&lt;i>" in browser.view.value
    places = set()
    for _ in range(12):
        browser.next.click()
        places.add(browser.place.value)
    assert {11, 12} <= places
    browser.slider.value = 11
    assert browser.place.value == 11
    assert "not json" in browser.view.value and "error" in browser.view.value


def test_the_playground_streams_every_model_and_reports_a_missing_one():
    client = config.client()
    ground = panels.Playground(
        client, {"base": "workbook-mini", "gone": "ft:workbook-mini:x:y:z"}, "", "- a red lamp"
    )
    ground.longest.value, ground.heat.value = 40, 0
    answers = ground.ask()
    assert len(answers["base"]) > 10
    assert "gone" in answers and "ft:workbook-mini:x:y:z" in ground.columns["gone"].value
    plain = client.chat.completions.create(
        model="workbook-mini", temperature=0, max_tokens=40,
        messages=[{"role": "user", "content": "- a red lamp"}],
    )  # fmt: skip
    assert answers["base"] == plain.choices[0].message.content
    assert not ground.button.disabled


def test_the_map_is_searched_by_meaning_and_clicked():
    texts = ["a red fish", "a blue fish", "a tall tower", "a high house"]
    vectors = np.eye(4)[[0, 0, 1, 1]] * 0.8 + np.eye(4) * 0.1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chart = panels.EmbeddingMap(
        texts, vectors, ["sea", "sea", "land", "land"], lambda _: vectors[2:3]
    )
    chart.query.value = "skyscraper"
    assert chart.points.lit[:2] == [2, 3]
    assert "a tall tower" in chart.said.value
    chart.points.chosen = 0  # what a click or Enter sets
    assert chart.points.lit[:2] == [0, 1]
    assert all(0 <= point[axis] <= 1 for point in chart.points.points for axis in "xy")
    chart.query.value = ""
    assert chart.points.lit == []


@given(st.booleans(), st.booleans(), st.integers(0, 100), st.booleans(), st.integers(0, 500))
def test_advice_never_puts_changing_facts_into_weights_alone(
    works, facts, changes, style, examples
):
    advice = panels.advise(works, facts, changes, style, examples)
    if changes:
        assert advice.tool in ("retrieval", "both")
    if advice.tool in ("fine-tuning", "both"):
        assert examples >= 50 and style


def test_the_guide_follows_its_controls():
    guide = panels.DecisionGuide()
    assert guide.update().tool == "prompting"
    guide.fixed_style.value, guide.examples.value = True, 200
    assert "fine-tuning" in guide.said.value
    guide.changes.value = 4
    assert "both" in guide.said.value


def test_the_calculator_agrees_with_the_price_table():
    calculator = panels.CostCalculator()
    found = calculator.costs()
    training = pricing.estimate_training(100 * 400, 3, "gpt-4.1-mini").usd
    assert found["training"] == pytest.approx(training)
    saved = found["long call"] - found["tuned call"]
    assert found["break-even"] == pytest.approx(training / saved)
    calculator.long.value = 50  # now the tuned call is the dearer one
    assert "never pays" in calculator.said.value
    assert bytes(calculator.curve.value).startswith(b"\x89PNG")
