"""Panels to try things in: tokens, data, models side by side, a map of meaning, choice and cost.

Each panel has `show`, which displays it where somebody watches and nothing elsewhere, and plain
functions or methods that do the same without a mouse. The notebooks put a figure or a table beside
each, so that a page without widgets loses nothing.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anywidget
import ipywidgets as widgets
import numpy as np
import openai
import pandas as pd
import traitlets
from IPython.display import display

from helpers import plots, pricing, tokens, validation
from helpers.widgets import WIDE, interactive, safe

LABELLED = {"description_width": "12em"}
# Dark letters on light grounds: readable on a light page and on a dark one.
GROUNDS = ["#cfe8fc", "#fde8b8", "#c9efdd", "#f5d6e6"]


class Panel:
    """What all panels share: a `box`, and `show`."""

    box: widgets.Widget

    def show(self) -> None:
        """Display the panel where somebody watches."""
        if interactive():
            display(self.box)


class TokenView(Panel):
    """A text cut into tokens by several models' encodings, side by side, with the price of reading.

    Args: `text` to start with; `models` whose encodings are compared.
    """

    def __init__(self, text: str, models: Sequence[str]):
        self.models = list(models)
        self.text = widgets.Textarea(text, description="Text", layout=WIDE, continuous_update=True)
        self.columns = widgets.HTML(layout=WIDE)
        self.text.observe(lambda _: self.update(), names="value")
        self.box = widgets.VBox([self.text, self.columns])
        self.update()

    def update(self) -> None:
        """Cut the text anew."""
        cells = "".join(f"<td style='vertical-align:top;text-align:left'>{part}</td>"
                        for part in map(self._column, self.models))  # fmt: skip
        self.columns.value = f"<table><tr>{cells}</tr></table>"

    def _column(self, model: str) -> str:
        encoding = tokens.encoding_for(model)
        cut = tokens.pieces(self.text.value, encoding)  # an emoji's tokens stay together
        count = tokens.count_text(self.text.value, encoding)
        price = pricing.estimate_inference(1_000_000, count, 0, model).usd
        spans = (
            f'<span style="background:{GROUNDS[number % len(GROUNDS)]};color:#111">'
            f"{safe(piece)}</span>"
            for number, piece in enumerate(cut)
        )
        cost = f"{price:,.2f} USD to read it a million times"
        head = f"<b>{safe(model)}</b>: {count} tokens, {cost}"
        return f'{head}<pre style="white-space:pre-wrap">{"".join(spans)}</pre>'


class DatasetBrowser(Panel):
    """A training file, an example at a time, with what validation finds on its line.

    Args: `path` of the JSONL file; `model` it is meant for.
    """

    def __init__(self, path: Path, model: str | None = None):
        self.lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        self.findings: dict[int, list] = {}
        for finding in validation.check_file(path, **({"model": model} if model else {})):
            self.findings.setdefault(finding.line or 0, []).append(finding)
        last = max(1, len(self.lines))
        self.place = widgets.BoundedIntText(1, min=1, max=last, description="Line")
        self.slider = widgets.IntSlider(1, min=1, max=last, readout=False, layout=WIDE)
        widgets.link((self.place, "value"), (self.slider, "value"))
        self.next = widgets.Button(description="Next finding", disabled=not self.findings)
        self.next.on_click(lambda _: self.to_next_finding())
        self.view = widgets.HTML(layout=WIDE)
        self.place.observe(lambda _: self.update(), names="value")
        top = widgets.HBox([self.place, self.next, widgets.Label(f"of {len(self.lines)}")])
        self.box = widgets.VBox([top, self.slider, self.view])
        self.update()

    def to_next_finding(self) -> None:
        """Go to the next line with a finding, from the top again after the last."""
        places = sorted(line for line in self.findings if line)
        later = [line for line in places if line > self.place.value]
        if places:
            self.place.value = (later or places)[0]

    def update(self) -> None:
        """Show the chosen line."""
        number = self.place.value
        found = "".join(
            f"<li><b>{finding.severity}</b>: {safe(finding.message)} {safe(finding.cure)}</li>"
            for finding in [*self.findings.get(0, []), *self.findings.get(number, [])]
        )
        line = self.lines[number - 1] if self.lines else ""
        self.view.value = f"<ul>{found}</ul>" + _example_html(line)


class Playground(Panel):
    """One prompt for several models; their answers stream in side by side.

    Args: `client` the SDK's client; `models` a name for the column -> the model's id (a base
    model, a tuned one, a checkpoint); `system` and `prompt` to start with.
    """

    def __init__(self, client: openai.OpenAI, models: Mapping[str, str], system: str, prompt: str):
        self.client, self.models, self.answers = client, dict(models), {}
        self.system = widgets.Textarea(system, description="System", layout=WIDE)
        self.prompt = widgets.Textarea(prompt, description="Prompt", layout=WIDE, rows=5)
        self.heat = widgets.FloatSlider(0.7, min=0, max=2, step=0.1, description="Temperature")
        self.longest = widgets.IntSlider(300, min=20, max=800, step=20, description="Max tokens")
        self.button = widgets.Button(description="Ask", tooltip="ask all models")
        self.button.on_click(lambda _: threading.Thread(target=self.ask, daemon=True).start())
        self.columns = {name: widgets.HTML() for name in self.models}
        titled = [
            widgets.VBox([widgets.HTML(f"<b>{safe(name)}</b>"), column])
            for name, column in self.columns.items()
        ]
        settings = widgets.HBox([self.heat, self.longest, self.button])
        grid = widgets.GridBox(
            titled, layout=widgets.Layout(grid_template_columns=f"repeat({len(titled)}, 1fr)")
        )
        self.box = widgets.VBox([self.system, self.prompt, settings, grid])

    def ask(self) -> dict[str, str]:
        """Ask all models, one after the other; returns their answers by column name."""
        self.button.disabled = True
        try:
            for name, model in self.models.items():
                self._stream(name, model)
        finally:
            self.button.disabled = False
        return dict(self.answers)

    def _stream(self, name: str, model: str) -> None:
        messages = [{"role": "user", "content": self.prompt.value}]
        if self.system.value.strip():
            messages.insert(0, {"role": "system", "content": self.system.value})
        self.answers[name] = ""
        try:
            stream = self.client.chat.completions.create(
                model=model, messages=messages, temperature=self.heat.value, stream=True,
                max_tokens=self.longest.value,
            )  # fmt: skip
            for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    self.answers[name] += chunk.choices[0].delta.content
                    self.columns[name].value = _paragraphs(self.answers[name])
        except openai.APIError as error:
            self.answers[name] = f"({error.__class__.__name__})"
            self.columns[name].value = safe(str(error))


class _Points(anywidget.AnyWidget):
    """Points that can be clicked, or walked through with Tab and chosen with Enter."""

    _esm = Path(__file__).with_name("points.js")
    points = traitlets.List().tag(sync=True)  # [{x, y, group, label}], x and y from 0 to 1
    groups = traitlets.List().tag(sync=True)  # [{name, colour, shape}]
    chosen = traitlets.Int(-1).tag(sync=True)
    lit = traitlets.List().tag(sync=True)  # positions that a search found


class EmbeddingMap(Panel):
    """A map of texts by meaning: search it in words, click a point to read it and its neighbours.

    Args: `texts`; `vectors` (n, d) of length 1; `labels` a group a text; `embed` a function from a
    list of texts to their vectors, for the search.
    """

    def __init__(
        self,
        texts: Sequence[str],
        vectors: np.ndarray,
        labels: Sequence[str],
        embed: Callable[[list[str]], np.ndarray],
    ):
        self.texts, self.vectors, self.embed = list(texts), vectors, embed
        names = list(dict.fromkeys(labels))
        spots = _unit_square(vectors)
        self.points = _Points(
            points=[
                {"x": float(x), "y": float(y), "group": names.index(label), "label": text}
                for (x, y), label, text in zip(spots, labels, texts, strict=True)
            ],
            groups=[
                {"name": name, "colour": plots.PALETTE[n % len(plots.PALETTE)], "shape": n % 3}
                for n, name in enumerate(names)
            ],
        )
        self.query = widgets.Text(description="Search", placeholder="by meaning", layout=WIDE)
        self.query.observe(lambda change: self.search(change["new"]), names="value")
        self.query.continuous_update = False
        self.said = widgets.HTML(layout=WIDE)
        self.points.observe(lambda change: self.neighbours(change["new"]), names="chosen")
        self.box = widgets.VBox([self.query, self.points, self.said])

    def search(self, query: str, k: int = 5) -> list[str]:
        """The k texts nearest to a query; they are lit on the map."""
        if not query.strip():
            self.points.lit, self.said.value = [], ""
            return []
        return self._light(self.embed([query])[0], f"nearest to {query!r}", k)

    def neighbours(self, position: int, k: int = 5) -> list[str]:
        """The text at a position and the k nearest to it."""
        if not 0 <= position < len(self.texts):
            return []
        return self._light(self.vectors[position], "the text and its neighbours", k + 1)

    def _light(self, vector: np.ndarray, title: str, k: int) -> list[str]:
        likeness = self.vectors @ vector
        best = np.argsort(-likeness)[:k]
        self.points.lit = [int(place) for place in best]
        rows = "".join(f"<li>{likeness[p]:.2f} {safe(self.texts[p])}</li>" for p in best)
        self.said.value = f"{safe(title)}:<ol>{rows}</ol>"
        return [self.texts[place] for place in best]


@dataclass(frozen=True)
class Advice:
    """A tool and the reason for it."""

    tool: str
    why: str


def advise(
    prompt_works: bool, needs_facts: bool, changes_a_month: int, fixed_style: bool, examples: int
) -> Advice:
    """Which tool to begin with, by the order of questions in notebook 01.

    Args: `prompt_works` whether a prompt with a few examples does the task well enough;
    `needs_facts` whether answers depend on facts the model was not trained on, which change
    `changes_a_month` times; `fixed_style` whether one manner or one narrow task is wanted;
    `examples` how many good examples are at hand.
    """
    facts = needs_facts or changes_a_month > 0
    enough = examples >= 50  # the size from which notebook 09 sees the style settle
    if prompt_works and not facts:
        return Advice("prompting", "A prompt does it: nothing is cheaper to change.")
    if facts and fixed_style and enough:
        return Advice("both", "Retrieval brings the facts, the tuned model the manner.")
    if facts:
        return Advice("retrieval", "Facts belong beside the model, where they can be changed.")
    if fixed_style and enough:
        return Advice("fine-tuning", "A narrow manner, and examples to learn it from.")
    return Advice("prompting", "Too few examples to tune: start with a prompt and collect more.")


class DecisionGuide(Panel):
    """The choice between prompt, retrieval, fine-tuning and both, with its reason."""

    def __init__(self):
        self.prompt_works = _tick("A prompt does it well enough")
        self.needs_facts = _tick("Answers need facts of yours")
        self.fixed_style = _tick("One manner, or one narrow task")
        self.changes = _slide("Changes a month", 0, 0, 100)
        self.examples = _slide("Good examples", 20, 0, 500)
        self.said = widgets.HTML()
        ticks = [self.prompt_works, self.needs_facts, self.fixed_style]
        inputs = [*ticks, self.changes, self.examples]
        for part in inputs:
            part.observe(lambda _: self.update(), names="value")
        self.box = widgets.VBox([*inputs, self.said])
        self.update()

    def update(self) -> Advice:
        """Advise anew; returns the advice."""
        advice = advise(
            self.prompt_works.value,
            self.needs_facts.value,
            self.changes.value,
            self.fixed_style.value,
            self.examples.value,
        )
        self.said.value = f"<b>{advice.tool}</b>: {advice.why}"
        return advice


class CostCalculator(Panel):
    """What tuning and prompting cost over the number of calls, at dated prices."""

    def __init__(self, model: str = "gpt-4.1-mini"):
        table = pricing.price_table()
        sold = list(table.dropna(subset=["training", "tuned_input"]).index)
        self.model = widgets.Dropdown(options=sold, value=model, description="Model")
        self.examples = _slide("Examples", 100, 10, 2000)
        self.length = _slide("Tokens an example", 400, 20, 4000)
        self.epochs = _slide("Epochs", 3, 1, 10)
        self.long = _slide("Tokens of the long prompt", 1500, 50, 10_000)
        self.short = _slide("Tokens of the short prompt", 100, 10, 2000)
        self.answer = _slide("Tokens of an answer", 150, 1, 2000)
        self.calls = _slide("Calls", 10_000, 100, 1_000_000)
        self.curve, self.said = widgets.Image(format="png", width=600), widgets.HTML()
        inputs = [self.model, self.examples, self.length, self.epochs, self.long, self.short,
                  self.answer, self.calls]  # fmt: skip
        for part in inputs:
            part.observe(lambda _: self.update(), names="value")
        self.box = widgets.VBox([*inputs, self.said, self.curve])
        self.update()

    def costs(self) -> dict[str, float]:
        """USD: the training, one call with each prompt, and the break-even in calls (or inf)."""
        model = self.model.value
        read = self.examples.value * self.length.value
        training = pricing.estimate_training(read, self.epochs.value, model).usd
        answer = self.answer.value
        long = pricing.estimate_inference(1, self.long.value, answer, model).usd
        tuned = pricing.estimate_inference(1, self.short.value, answer, f"ft:{model}").usd
        even = training / (long - tuned) if long > tuned else float("inf")
        return {"training": training, "long call": long, "tuned call": tuned, "break-even": even}

    def update(self) -> None:
        """Work the sums out anew and draw them."""
        found = self.costs()
        volume = np.linspace(0, self.calls.value, 60)
        lines = {
            "long prompt": volume * found["long call"],
            "fine-tuned": found["training"] + volume * found["tuned call"],
        }
        even = found["break-even"]
        title = "The fine-tune never pays" if even == float("inf") else (
            f"The fine-tune pays from {even:,.0f} calls on")  # fmt: skip
        self.curve.value = plots.png(plots.cost_curves(volume, lines, title))
        sums = {name: f"{usd:.5f}" for name, usd in found.items() if name != "break-even"}
        dated = f"{title}. Prices of {pricing.PRICES_AS_OF}."
        self.said.value = dated + pd.DataFrame({"USD": sums}).to_html()


def _tick(text: str) -> widgets.Checkbox:
    return widgets.Checkbox(False, description=text, indent=False)


def _slide(text: str, value: int, low: int, high: int) -> widgets.IntSlider:
    return widgets.IntSlider(
        value, min=low, max=high, description=text, style=LABELLED, layout=WIDE,
        continuous_update=False,
    )  # fmt: skip


def _example_html(line: str) -> str:
    try:
        messages = [(m["role"], str(m.get("content"))) for m in json.loads(line)["messages"]]
    except (ValueError, TypeError, KeyError, AttributeError):  # broken lines are shown as they are
        return f"<pre style='white-space:pre-wrap'>{safe(line[:2000])}</pre>"
    return "".join(
        f"<p><b>{safe(str(role))}</b></p><pre style='white-space:pre-wrap'>{safe(text)}</pre>"
        for role, text in messages
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{safe(part)}</p>" for part in text.split("\n\n")).replace("\n", "<br>")


def _unit_square(vectors: np.ndarray) -> np.ndarray:
    """The two directions in which the vectors differ most (PCA), each scaled to 0 to 1."""
    centred = vectors - vectors.mean(axis=0)
    spots = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    low, high = spots.min(axis=0), spots.max(axis=0)
    return (spots - low) / np.where(high > low, high - low, 1)
