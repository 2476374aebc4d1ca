"""The panels without a browser: their controls are set, and what they show is read."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import httpx2
import numpy as np
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import config, panels, pricing, tokens, widgets

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
    chart.points.chosen = 0  # the same point again, after a search
    assert chart.points.lit[:2] == [0, 1]


@pytest.mark.skipif(shutil.which("node") is None, reason="no node on this machine")
def test_the_arrow_keys_reach_every_point_of_the_map(tmp_path):
    script = tmp_path / "points.mjs"  # its functions need no page
    shutil.copyfile(Path(panels.__file__).with_name("points.js"), script)
    program = """
    import { step } from "./points.mjs";
    const points = [{x: 0.5, y: 0.1}, {x: 0, y: 0.5}, {x: 1, y: 0.9}, {x: 0.5, y: 0}];
    const walk = (start, key) => {
      const seen = [start];
      for (let i = 0; i < 5; i++) seen.push(step(points, seen.at(-1), key));
      return seen;
    };
    console.log(JSON.stringify([walk(1, "ArrowRight"), walk(2, "ArrowLeft"), walk(3, "ArrowUp"),
      walk(2, "ArrowDown"), [step(points, 0, "Home"), step(points, 0, "End")]]));
    """
    (tmp_path / "program.mjs").write_text(program, encoding="utf-8")
    done = subprocess.run(
        ["node", "program.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    right, left, up, down, ends = json.loads(done.stdout)
    assert right == [1, 0, 3, 2, 2, 2] and left == [2, 3, 0, 1, 1, 1]
    assert up == [3, 0, 1, 2, 2, 2] and down == [2, 1, 0, 3, 3, 3]
    assert ends == [1, 2]


@given(
    st.booleans(), st.booleans(), st.integers(0, 100), st.booleans(), st.integers(0, 500),
    st.booleans(),
)  # fmt: skip
def test_advice_never_puts_changing_facts_into_weights_alone(
    works, facts, changes, style, examples, sorts
):
    advice = panels.advise(works, facts, changes, style, examples, sorts)
    if changes:
        assert advice.tool in (["embeddings"] if sorts else ["retrieval", "both"])
    if advice.tool in ("fine-tuning", "both"):
        assert examples >= 50 and style


def test_a_task_with_nothing_to_write_goes_to_embeddings_unless_a_prompt_does_it():
    asked = {"changes_a_month": 0, "fixed_style": True, "examples": 500, "only_sorts": True}
    for facts in (False, True):
        advice = panels.advise(prompt_works=False, needs_facts=facts, **asked)
        assert advice.tool == "embeddings"
    advice = panels.advise(prompt_works=True, needs_facts=False, **asked)
    assert advice.tool == "prompting" and "fine-tune" in advice.why  # at large volume


def test_the_guide_follows_its_controls():
    guide = panels.DecisionGuide()
    assert guide.update().tool == "prompting"
    guide.fixed_style.value, guide.examples.value = True, 200
    assert "fine-tuning" in guide.said.value
    guide.changes.value = 4
    assert "both" in guide.said.value
    guide.only_sorts.value = True
    assert "embeddings" in guide.said.value


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


class Speaker:
    """A client whose models answer a piece at a time, each only when all have been asked."""

    def __init__(self, models: int = 1):
        self.asked: list[dict] = []
        self.barrier = threading.Barrier(models, timeout=30)
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._create))
        points = [SimpleNamespace(step_number=n, fine_tuned_model_checkpoint=f"ft:x:ckpt-step-{n}")
                  for n in (30, 20, 10)]  # fmt: skip
        known = [SimpleNamespace(id="ftjob-2", fine_tuned_model=None),
                 SimpleNamespace(id="ftjob-1", fine_tuned_model="ft:x")]  # fmt: skip
        self.fine_tuning = SimpleNamespace(
            jobs=SimpleNamespace(
                list=lambda limit: known,
                checkpoints=SimpleNamespace(list=lambda job: points if job == "ftjob-1" else []),
            )
        )

    def _create(self, model, **asked):
        self.asked.append({"model": model, **asked})
        if model == "gone":
            response = httpx2.Response(404, request=httpx2.Request("POST", "http://provider"))
            raise openai.NotFoundError("there is no model <gone>", response=response, body=None)
        return self._pieces(model)

    def _pieces(self, model):
        self.barrier.wait()  # one after the other would wait for ever
        for piece in ("I am ", model):
            yield SimpleNamespace(choices=[SimpleNamespace(delta=SimpleNamespace(content=piece))])
        if model == "torn":
            raise httpx2.ReadError("torn")


def test_checkpoints_are_found_by_their_job_or_by_its_model_earliest_first():
    client = Speaker()
    steps = {f"step {n}": f"ft:x:ckpt-step-{n}" for n in (10, 20, 30)}
    for of in ("ftjob-1", "ft:x"):
        found = panels.checkpoints(client, of)
        assert found == steps and list(found) == list(steps)
    assert panels.checkpoints(client, "ft:unknown") == {}


def test_the_chosen_models_are_asked_at_the_same_time():
    client = Speaker(models=3)
    offered = panels.checkpoints(client, "ft:x")
    ground = panels.Playground(client, {"base": "b", "tuned": "ft:x"}, "Be kind.", "Hi", offered)
    assert [tick.value for tick in ground.chosen.values()] == [True, True, False, False, False]
    assert len(ground.grid.children) == 2
    ground.chosen["step 20"].value = True
    assert len(ground.grid.children) == 3
    assert ground.ask() == {
        "base": "I am b", "tuned": "I am ft:x", "step 20": "I am ft:x:ckpt-step-20"
    }  # fmt: skip
    assert "I am ft:x:ckpt-step-20" in ground.columns["step 20"].value
    assert {asked["model"] for asked in client.asked} == {"b", "ft:x", "ft:x:ckpt-step-20"}
    roles = [message["role"] for message in client.asked[0]["messages"]]
    assert roles == ["system", "user"] and client.asked[0]["stream"]
    for tick in ground.chosen.values():
        tick.value = False
    assert ground.ask() == {} and "Tick a model" in ground.said.value


@pytest.fixture
def paid(monkeypatch, tmp_path):
    """A paid provider, an empty ledger, and somebody who watches."""
    monkeypatch.setattr(config, "provider", lambda: SimpleNamespace(name="openai", paid=True))
    monkeypatch.setattr(config, "headless", lambda: False)
    monkeypatch.setattr(config, "OUTPUT", tmp_path)
    return tmp_path / "spending.jsonl"


def test_a_paid_answer_has_its_price_shown_and_accepted_first(paid):
    client = Speaker(models=2)
    models = {"plain": "gpt-4.1-mini", "tuned": "ft:gpt-4.1-mini:o:c:1"}
    ground = panels.Playground(client, models, "Be kind.", "Hi")
    assert ground.ask() == {} and client.asked == []
    assert "0.00 USD" in ground.said.value and "Tick the box" in ground.said.value
    ground.consent.tick.value = True
    assert set(ground.ask()) == set(models)
    (spent,) = map(json.loads, paid.read_text(encoding="utf-8").splitlines())
    assert 0 < spent["usd"] < 0.01 and "ft:gpt-4.1-mini" in spent["what"]


def test_a_model_without_a_price_is_not_asked(paid):
    client = Speaker()
    ground = panels.Playground(client, {"a": "gpt-9-unheard-of"}, "", "Hi")
    ground.consent.tick.value = True
    assert ground.ask() == {} and client.asked == []
    assert "gpt-9-unheard-of" in ground.said.value


def test_a_paid_search_has_its_price_shown_and_accepted_first(paid):
    vectors, asked = np.eye(3), []

    def embed(texts):
        asked.extend(texts)
        return vectors[:1]

    chart = panels.EmbeddingMap(["a", "b", "c"], vectors, list("xyz"), embed,
                                model="text-embedding-3-small")  # fmt: skip
    assert chart.search("where", 1) == [] and asked == []
    assert "Tick the box" in chart.said.value
    chart.consent.tick.value = True
    assert chart.search("where", 1) == ["a"] and asked == ["where"]


def test_where_nothing_costs_anything_there_is_no_tick():
    ground = panels.Playground(Speaker(), {"a": "b"}, "", "Hi")
    assert ground.consent.tick.layout.display == "none"


def test_a_model_that_fails_or_breaks_off_leaves_the_others_their_answers():
    client = Speaker(models=2)
    ground = panels.Playground(client, {"a": "b", "c": "gone", "d": "torn"}, "", "Hi")
    answers = ground.ask()
    assert answers["a"] == "I am b"
    assert "no model &lt;gone>" in ground.columns["c"].value
    assert answers["d"].startswith("I am torn (broken off")
    assert not ground.button.disabled


def test_the_still_of_the_playground_asks_only_where_no_answer_is_known(capsys):
    client = Speaker()
    ground = panels.Playground(client, {"a": "b"}, "", "Hi", answers={"a": "known <i>"})
    ground.show()
    ground.still()
    assert client.asked == []
    page = ground.page()
    assert "known &lt;i>" in page.html and "known <i>" in page.text
    assert "client.chat.completions.create(" in page.text
    new = panels.Playground(client, {"a": "b"}, "", "Hi")
    new.show()  # nobody watches, and nobody is asked
    assert client.asked == []
    new.still()
    assert "I am b" in new.page().html and len(client.asked) == 1
    long = panels.Playground(client, {"a": "b"}, "", "Hi", answers={"a": "word " * 500})
    assert long.page().html.count("word") == 500


def test_the_call_in_the_still_of_the_playground_is_python():
    ground = panels.Playground(Speaker(), {"a": "b"}, 'Say "it\'s".', "line\nline " * 20)
    compile(ground.call(), "call", "exec")
    assert '"role": "system"' in ground.call()


def the_panels(training_file):
    vectors = np.eye(4)[[0, 0, 1, 1]] * 0.8 + np.eye(4) * 0.1
    texts = ["a red fish", "a blue fish", "a tall tower", "a high house"]
    return {
        "tokens.pieces": panels.TokenView("A duck <b>🦆</b>\ndebugs.", MODELS),
        "validation.check_file": panels.DatasetBrowser(training_file),
        "client.chat.completions.create": panels.Playground(Speaker(), {"a": "b"}, "", "Hi"),
        "plots.embedding_map": panels.EmbeddingMap(texts, vectors, ["s", "s", "l", "l"], None),
        "panels.advise": panels.DecisionGuide(),
        "pricing.estimate_training": panels.CostCalculator(),
    }


def test_each_panel_names_the_plain_call_and_never_leaves_a_dead_box(training_file, monkeypatch):
    found = []
    monkeypatch.setattr(widgets, "display", lambda what, **more: found.append((what, more)))
    for call, panel in the_panels(training_file).items():
        found.clear()
        panel.show()  # headless: the still
        panel.still() if not isinstance(panel, panels.Playground) else panel.still(ask=False)
        monkeypatch.setattr(panels, "interactive", lambda: True)
        panel.show()
        monkeypatch.undo()
        monkeypatch.setattr(widgets, "display", lambda what, **more: found.append((what, more)))
        (headless, _), (still, _), (live, more) = found
        assert headless == still
        assert "application/vnd.jupyter.widget-view+json" not in still
        assert "application/vnd.jupyter.widget-view+json" in live
        for bundle in (still, live):
            assert call in bundle["text/plain"] and "VBox" not in bundle["text/plain"]
            assert len(bundle["text/plain"].splitlines()) <= 60
            assert ("text/html" in bundle) != ("image/png" in bundle)
        if "image/png" in live:
            assert more["metadata"]["image/png"]["alt"] == live["text/plain"]


def test_the_still_of_the_token_view_shows_where_tokens_end_without_colours():
    text = "Two ducks debug <i>it</i> 🦆\nnow"
    view = panels.TokenView(text, MODELS)
    page = view.page()
    for model in MODELS:
        cut = tokens.pieces(text, tokens.encoding_for(model))
        assert panels.END.join(cut).replace("\n", "↵") in page.text
    assert page.html.count(panels.END) == sum(
        len(tokens.pieces(text, tokens.encoding_for(model))) - 1 for model in MODELS
    )
    assert "<i>" not in page.html


def test_the_still_of_the_browser_shows_first_examples_and_first_findings(training_file):
    browser = panels.DatasetBrowser(training_file)
    table = browser.table().set_index("line")
    assert {1, 2, 3, 4, 11, 12} <= set(table.index)
    assert "system message" in table.loc[1, "findings"] and "Where?" in table.loc[1, "begins"]
    assert "error" in table.loc[11, "findings"] and "not json" in table.loc[11, "begins"]
    assert "&lt;i>" in browser.page().html
    training_file.write_text("", encoding="utf-8")
    assert "0 lines" in panels.DatasetBrowser(training_file).page().text


def test_the_still_of_the_map_follows_the_search():
    texts = ["a red fish", "a blue fish", "a tall tower", "a high house"]
    vectors = np.eye(4)[[0, 0, 1, 1]] * 0.8 + np.eye(4) * 0.1
    chart = panels.EmbeddingMap(texts, vectors, list("ssll"), lambda _: vectors[2:3])
    assert "1. a red fish" in chart.page().text
    assert chart.points.lit == []  # the still leaves the live map as it is
    chart.search("skyscraper", k=2)
    assert "1. a tall tower\n2. a high house" in chart.page().text


def test_the_table_of_advice_holds_for_every_way_to_answer():
    ways = {True: [True], False: [False], None: [True, False]}
    seen = []
    for case, row in zip(panels.CASES, panels.advice_table().itertuples(index=False), strict=True):
        for answers in itertools.product(*(ways[answer] for answer in case)):
            prompt, facts, sorts, style, enough = answers
            advice = panels.advise(prompt, facts, 0, style, panels.ENOUGH - (not enough), sorts)
            assert (advice.tool, advice.why) == (row[5], row[6])
            seen.append(answers)
    assert len(seen) == len(set(seen)) == 32


def test_text_that_changes_is_a_live_region_whose_element_stays():
    said = widgets.LiveText()
    said.value = "<b>done</b>"
    assert 'setAttribute("aria-live", "polite")' in said._esm
    assert "widget-html" in said._dom_classes
