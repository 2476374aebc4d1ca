"""Panels to try things in: tokens, data, models side by side, a map of meaning, choice and cost.

Each panel has `show`, which displays it where somebody watches; `still`, which leaves a table or a
figure in its place, and which `show` calls where nobody does; and plain functions or methods that
do the same without a mouse.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import anywidget
import httpx2
import ipywidgets as widgets
import numpy as np
import openai
import pandas as pd
import traitlets

from helpers import jobs, plots, pricing, tokens, validation
from helpers.widgets import (
    WIDE,
    WRAP,
    Consent,
    LiveText,
    Still,
    interactive,
    safe,
    show_live,
    table_html,
)

LABELLED = {"description_width": "15em"}
# Dark letters on light grounds: readable on a light page and on a dark one.
GROUNDS = ["#cfe8fc", "#fde8b8", "#c9efdd", "#f5d6e6"]
# Where a token ends: colours alone tell nothing to some readers, and pages may drop them.
END = "│"
SHOWN = 4  # examples of a file that stay on a page
SHORT = 90  # characters of a text that stand in a line


class Panel:
    """What all panels share: a `box`, what stays of it on a `page`, `show` and `still`."""

    box: widgets.Widget

    def page(self) -> Still:
        """What stands in the panel's place where no widget runs."""
        raise NotImplementedError

    def show(self) -> None:
        """Display the panel where somebody watches, and its still elsewhere."""
        if interactive():
            show_live(self.box, self.page())
        else:
            self.page().show()

    def still(self) -> None:
        """Leave what the panel shows as a table or a figure, which any page can hold."""
        self.page().show()


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

    def page(self) -> Still:
        """The text cut by each encoding, in colours and with a line at each token's end."""
        says = [f"Tokens of a text, cut at {END} (tokens.pieces(text, tokens.encoding_for(model)))"]
        for model in self.models:
            cut, head = self._cut(model)
            says += [f"{model}: {head}", "  " + _line(END.join(cut), 500)]
        return Still("\n".join(says), html=self.columns.value)

    def _cut(self, model: str) -> tuple[list[str], str]:
        encoding = tokens.encoding_for(model)
        cut = tokens.pieces(self.text.value, encoding)  # an emoji's tokens stay together
        count = tokens.count_text(self.text.value, encoding)
        price = pricing.estimate_inference(1_000_000, count, 0, model).usd
        return cut, f"{count} tokens, {price:,.2f} USD to read it a million times"

    def _column(self, model: str) -> str:
        cut, head = self._cut(model)
        spans = (
            f'<span style="background:{GROUNDS[number % len(GROUNDS)]};color:#111">'
            f"{safe(piece)}</span>"
            for number, piece in enumerate(cut)
        )
        parts = f'<span style="color:#767676">{END}</span>'.join(spans)
        return f'<b>{safe(model)}</b>: {head}<pre style="white-space:pre-wrap">{parts}</pre>'


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
        count = widgets.Label(f"of {len(self.lines)}")
        top = widgets.HBox([self.place, count, self.next], layout=WRAP)
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

    def table(self) -> pd.DataFrame:
        """The first lines and the first ones with findings, those with errors before others: what
        is said, and what was found."""
        worst = {line: min(f.severity for f in found) for line, found in self.findings.items()}
        flawed = sorted((line for line in worst if line), key=lambda line: (worst[line], line))
        chosen = sorted({*range(1, SHOWN + 1), *flawed[:SHOWN]} & {*range(1, len(self.lines) + 1)})
        rows = [{"line": number, "begins": _beginning(self.lines[number - 1]),
                 "findings": self._found(number)} for number in chosen]  # fmt: skip
        if 0 in self.findings:
            rows.insert(0, {"line": "all", "begins": "the file", "findings": self._found(0)})
        return pd.DataFrame(rows, columns=["line", "begins", "findings"])

    def page(self) -> Still:
        """The table, and how many lines have findings."""
        flawed = sum(1 for line in self.findings if line)
        says = (
            f"The file's {len(self.lines)} lines, {flawed} of them with findings "
            "(validation.check_file(path))."
        )
        rows = self.table()
        lines = [f"{row.line}: {row.begins} -> {row.findings}" for row in rows.itertuples()]
        return Still("\n".join([says, *lines]), html=f"<p>{safe(says)}</p>{table_html(rows)}")

    def _found(self, number: int) -> str:
        said = (f"{found.severity}: {found.message}" for found in self.findings.get(number, []))
        return " ".join(said) or "none"


def checkpoints(client: openai.OpenAI, of: str) -> dict[str, str]:
    """A job's checkpoints by their steps, earliest first: "step 38" -> the id that can be asked.

    Args: `of` the id of a job, or of the model that it made (then the latest 100 jobs are searched;
    empty where none of them made it).
    """
    job_id = of
    if not of.startswith("ftjob"):
        latest = islice(client.fine_tuning.jobs.list(limit=100), 100)
        job_id = next((job.id for job in latest if job.fine_tuned_model == of), None)
    if job_id is None:
        return {}
    found = client.fine_tuning.jobs.checkpoints.list(job_id)
    steps = sorted((point.step_number, point.fine_tuned_model_checkpoint) for point in found)
    return {f"step {number}": model for number, model in steps}


class Playground(Panel):
    """One prompt for several models; their answers stream in side by side, all at once.

    Args: `client` the SDK's client; `models` a name for the column -> the model's id (a base
    model, a tuned one, a checkpoint); `system` and `prompt` to start with; `offered` more models,
    to be ticked by whoever wants them (such as `checkpoints`); `answers` known ones to start with,
    by the names of the columns.
    """

    def __init__(
        self,
        client: openai.OpenAI,
        models: Mapping[str, str],
        system: str,
        prompt: str,
        offered: Mapping[str, str] | None = None,
        answers: Mapping[str, str] | None = None,
    ):
        self.client, self.models = client, {**models, **(offered or {})}
        self.answers = dict(answers or {})
        self.chosen = {
            name: widgets.Checkbox(name in models, description=name, indent=False,
                                   layout=widgets.Layout(width="auto"))
            for name in self.models
        }  # fmt: skip
        for tick in self.chosen.values():
            tick.observe(lambda _: self._lay_out(), names="value")
        self.system = widgets.Textarea(system, description="System", layout=WIDE)
        self.prompt = widgets.Textarea(prompt, description="Prompt", layout=WIDE, rows=5)
        whole = {"description_width": "initial"}  # else "Temperature" is cut
        self.heat = widgets.FloatSlider(
            0.7, min=0, max=2, step=0.1, description="Temperature", style=whole
        )
        self.longest = widgets.IntSlider(
            300, min=20, max=800, step=20, description="Max tokens", style=whole
        )
        self.button = widgets.Button(description="Ask", tooltip="ask the ticked models")
        self.button.on_click(lambda _: threading.Thread(target=self.ask, daemon=True).start())
        self.said = LiveText(layout=WIDE)
        self.columns = {
            name: widgets.HTML(_paragraphs(self.answers[name]) if name in self.answers else "")
            for name in self.models
        }
        self.titled = {
            name: widgets.VBox([widgets.HTML(f"<b>{safe(name)}</b>"), column])
            for name, column in self.columns.items()
        }
        ticks = widgets.HBox(list(self.chosen.values()), layout=WRAP)
        self.consent = Consent(self.said)
        settings = [self.heat, self.longest, self.button, self.consent.tick]
        settings = widgets.HBox(settings, layout=WRAP)
        columns = "repeat(auto-fit, minmax(15em, 1fr))"  # as many as fit, the others below
        self.grid = widgets.GridBox(layout=widgets.Layout(grid_template_columns=columns))
        parts = [self.system, self.prompt, ticks, settings, self.said, self.grid]
        self.box = widgets.VBox(parts)
        self._lay_out()

    def ask(self) -> dict[str, str]:
        """Ask the ticked models at the same time; returns their answers by column name."""
        names = [name for name, tick in self.chosen.items() if tick.value]
        if not names:
            self.said.value = "Tick a model first."
            return {}
        if not self.consent.covers(lambda: self._price(names)):
            return {}
        self.button.disabled = True
        self.said.value = safe(f"Asking {plots.listed(names)}.")
        try:
            with ThreadPoolExecutor(max_workers=len(names)) as threads:
                list(threads.map(self._stream, names))
        finally:
            self.button.disabled = False
        self.said.value = safe(f"Answered: {plots.listed(names)}.")
        return {name: self.answers[name] for name in names}

    def still(self, ask: bool = True) -> None:
        """Leave the plain call and a table of the answers.

        Args: `ask` whether ticked models without an answer are asked now.
        """
        if ask and any(tick.value and name not in self.answers
                       for name, tick in self.chosen.items()):  # fmt: skip
            self.ask()
        self.page().show()

    def page(self) -> Still:
        """The plain call, and the answers that there are; asks nobody."""
        call = self.call()
        known = {name: text for name, text in self.answers.items() if name in self.models}
        lines = [f"{name}: {_line(text)}" for name, text in known.items()]
        says = f"One prompt for {plots.listed(self.models)}. The plain call, its texts shortened:"
        table = pd.DataFrame({"model": known.keys(), "answer": known.values()})
        html = f"<p>{safe(says)}</p><pre>{safe(call)}</pre>"
        return Still(
            "\n".join([says, call, *lines]),
            html=html + (table_html(table) if known else ""),
        )

    def call(self) -> str:
        """The call of the SDK that does what the button does, with the texts shortened."""

        def text(message: dict) -> str:
            return json.dumps(_line(message["content"], 60), ensure_ascii=False)

        messages = ",\n              ".join(
            f'{{"role": "{message["role"]}", "content": {text(message)}}}'
            for message in self._messages()
        )
        return (
            "reply = client.chat.completions.create(\n"
            f"    model=model, temperature={self.heat.value:g}, max_tokens={self.longest.value},\n"
            f"    messages=[{messages}])\n"
            "print(reply.choices[0].message.content)"
        )

    def _lay_out(self) -> None:
        """A column for each ticked model."""
        self.grid.children = [self.titled[name] for name, tick in self.chosen.items() if tick.value]

    def _price(self, names: Sequence[str]) -> pricing.Estimate:
        """What one answer of each of these models costs at most."""
        example, asked = {"messages": self._messages()}, []
        for model in (self.models[name] for name in names):
            count = tokens.count_example(example, tokens.encoding_for(model))
            asked.append(pricing.estimate_inference(1, count, self.longest.value, model))
        return pricing.together(asked)

    def _messages(self) -> list[dict]:
        messages = [{"role": "user", "content": self.prompt.value}]
        if self.system.value.strip():
            messages.insert(0, {"role": "system", "content": self.system.value})
        return messages

    def _stream(self, name: str) -> None:
        said = self.answers[name] = ""
        self.columns[name].value = ""
        try:
            stream = self.client.chat.completions.create(
                model=self.models[name], messages=self._messages(), stream=True,
                temperature=self.heat.value, max_tokens=self.longest.value,
            )  # fmt: skip
            for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    said += chunk.choices[0].delta.content
                    self.answers[name], self.columns[name].value = said, _paragraphs(said)
        except openai.APIError as error:
            self.answers[name] = f"({error.__class__.__name__})"
            self.columns[name].value = safe(jobs.explain_error(error))
        except httpx2.HTTPError as error:  # the SDK lets through what breaks a stream midway
            self.answers[name] = f"{said} (broken off: {error.__class__.__name__})"
            self.columns[name].value = _paragraphs(self.answers[name])


class _Points(anywidget.AnyWidget):
    """Points that can be clicked, or walked through with the arrow keys and chosen with Enter."""

    _esm = Path(__file__).with_name("points.js")
    points = traitlets.List().tag(sync=True)  # [{x, y, group, label}], x and y from 0 to 1
    groups = traitlets.List().tag(sync=True)  # [{name, colour, shape}]
    chosen = traitlets.Int(-1).tag(sync=True)
    lit = traitlets.List().tag(sync=True)  # positions that a search found


class EmbeddingMap(Panel):
    """A map of texts by meaning: search it in words, click a point to read it and its neighbours.

    Args: `texts`; `vectors` (n, d) of length 1; `labels` a group a text; `embed` a function from a
    list of texts to their vectors, for the search, and `model` the name of the model that makes
    them, by which a paid search has its price.
    """

    def __init__(
        self,
        texts: Sequence[str],
        vectors: np.ndarray,
        labels: Sequence[str],
        embed: Callable[[list[str]], np.ndarray],
        model: str = "",
    ):
        self.texts, self.vectors, self.embed, self.model = list(texts), vectors, embed, model
        self.labels = list(labels)
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
        self.said = LiveText(layout=WIDE)
        self.points.observe(lambda change: self.neighbours(change["new"]), names="chosen")
        self.consent = Consent(self.said)
        self.box = widgets.VBox([self.query, self.consent.tick, self.points, self.said])

    def search(self, query: str, k: int = 5) -> list[str]:
        """The k texts nearest to a query; they are lit on the map."""
        self.points.chosen = -1  # so that the point chosen last can be chosen again
        if not query.strip():
            self.points.lit, self.said.value = [], ""
            return []
        if not self.consent.covers(lambda: self._price(query)):
            return []
        return self._light(self.embed([query])[0], f"nearest to {query!r}", k)

    def _price(self, query: str) -> pricing.Estimate:
        count = tokens.count_text(query, tokens.encoding_for(self.model))
        return pricing.estimate_inference(1, count, 0, self.model)

    def neighbours(self, position: int, k: int = 5) -> list[str]:
        """The text at a position and the k nearest to it."""
        if not 0 <= position < len(self.texts):
            return []
        return self._light(self.vectors[position], "the text and its neighbours", k + 1)

    def page(self) -> Still:
        """The map with what is lit ringed, or else what a click on the first text lights."""
        places = list(self.points.lit) or self._nearest(self.vectors[0], 6)
        first = _line(self.texts[places[0]])
        figure = plots.embedding_map(
            self.vectors, self.labels, f"Ringed, nearest first: {first!r} and its like", lit=places
        )
        rows = (f"{rank}. {_line(self.texts[p])}" for rank, p in enumerate(places, start=1))
        says = "Map of texts by meaning (plots.embedding_map; retrieval.embed for a search)."
        return Still("\n".join([says, "The ringed texts:", *rows]), png=plots.png(figure))

    def _nearest(self, vector: np.ndarray, k: int) -> list[int]:
        return [int(place) for place in np.argsort(-(self.vectors @ vector), kind="stable")[:k]]

    def _light(self, vector: np.ndarray, title: str, k: int) -> list[str]:
        likeness, best = self.vectors @ vector, self._nearest(vector, k)
        self.points.lit = best
        rows = "".join(f"<li>{likeness[p]:.2f} {safe(self.texts[p])}</li>" for p in best)
        self.said.value = f"{safe(title)}:<ol>{rows}</ol>"
        return [self.texts[place] for place in best]


ENOUGH = 50  # examples: the start that OpenAI's guide recommends


@dataclass(frozen=True)
class Advice:
    """A tool and the reason for it."""

    tool: str
    why: str


def advise(
    prompt_works: bool,
    needs_facts: bool,
    changes_a_month: int,
    fixed_style: bool,
    examples: int,
    only_sorts: bool = False,
) -> Advice:
    """Which tool to begin with, by the order of questions in notebook 01.

    Args: `prompt_works` whether a prompt with a few examples does the task well enough;
    `needs_facts` whether answers depend on facts the model was not trained on, which change
    `changes_a_month` times; `fixed_style` whether one manner or one narrow task is wanted;
    `examples` how many good examples are at hand; `only_sorts` whether nothing has to be written,
    since the answer is a label or a text to be found.
    """
    facts = needs_facts or changes_a_month > 0
    enough = examples >= ENOUGH
    if prompt_works and not facts:
        return Advice(
            "prompting",
            "A prompt does it, and is quickly changed. With many calls, reckon it against a "
            "fine-tune.",
        )
    if only_sorts:  # before the facts: a new label or text is one more vector, nothing is trained
        return Advice("embeddings", "Nothing is to be written: the nearest known text decides.")
    if facts and fixed_style and enough:
        return Advice("both", "Retrieval brings the facts, the tuned model the manner.")
    if facts:
        return Advice("retrieval", "Facts belong beside the model, where they can be changed.")
    if fixed_style and enough:
        return Advice("fine-tuning", "A narrow manner, and examples to learn it from.")
    return Advice("prompting", "Too few examples to tune: start with a prompt and collect more.")


# The questions of `advise`: a prompt does it, facts of yours, nothing to be written, one manner,
# enough examples. None stands for either answer.
CASES = (
    (True, False, None, None, None),
    (False, False, True, None, None),
    (None, True, True, None, None),
    (None, True, False, True, True),
    (None, True, False, True, False),
    (None, True, False, False, None),
    (False, False, False, True, True),
    (False, False, False, True, False),
    (False, False, False, False, None),
)


def advice_table() -> pd.DataFrame:
    """Every way through the questions of `advise`, a row each, with the tool that it leads to."""
    words = {True: "yes", False: "no", None: "either"}
    rows = []
    for case in CASES:
        prompt, facts, sorts, style, enough = map(bool, case)
        advice = advise(prompt, facts, 0, style, ENOUGH if enough else 0, sorts)
        rows.append([*(words[answer] for answer in case), advice.tool, advice.why])
    columns = ["a prompt does it", "needs facts of yours", "only sorts or finds",
               "one manner or task", f"{ENOUGH} good examples", "begin with",
               "because"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


class DecisionGuide(Panel):
    """The choice between prompt, embeddings, retrieval, fine-tuning and both, with its reason."""

    def __init__(self):
        self.prompt_works = _tick("A prompt does it well enough")
        self.needs_facts = _tick("Answers need facts of yours")
        self.only_sorts = _tick("Nothing to write: a label, or a text to be found")
        self.fixed_style = _tick("One manner, or one narrow task")
        self.changes = _slide("Changes a month", 0, 0, 100)
        self.examples = _slide("Good examples", 20, 0, 500)
        self.said = LiveText(layout=WIDE)
        ticks = [self.prompt_works, self.needs_facts, self.only_sorts, self.fixed_style]
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
            self.only_sorts.value,
        )
        self.said.value = f"<b>{advice.tool}</b>: {advice.why}"
        return advice

    def page(self) -> Still:
        """The questions and the tool that each answer leads to."""
        table = advice_table()
        *questions, _, _ = table.columns
        lines = []
        for *answers, tool, _ in table.itertuples(index=False, name=None):
            asked = zip(questions, answers, strict=True)
            lines.append("; ".join(f"{q}: {a}" for q, a in asked if a != "either") + f" -> {tool}")
        says = (
            "Which tool to begin with (panels.advise). Facts that change count as facts of yours."
        )
        return Still("\n".join([says, *lines]), html=f"<p>{says}</p>{table_html(table)}")


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
        fits = widgets.Layout(width="600px", max_width="100%")
        self.curve = widgets.Image(format="png", layout=fits)
        self.said, self.sums = LiveText(layout=WIDE), widgets.HTML()
        inputs = [self.model, self.examples, self.length, self.epochs, self.long, self.short,
                  self.answer, self.calls]  # fmt: skip
        for part in inputs:
            part.observe(lambda _: self.update(), names="value")
        self.box = widgets.VBox([*inputs, self.said, self.sums, self.curve])
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
        self.curve.value = plots.png(self.figure())
        self.said.value = self.sentence()
        sums = {name: f"{usd:.5f}" for name, usd in found.items() if name != "break-even"}
        self.sums.value = pd.DataFrame({"USD": sums}).to_html()

    def page(self) -> Still:
        """The figure, and the sums in words."""
        found = self.costs()
        says = (
            f"{self.sentence()} {self.model.value}: {found['training']:.2f} USD to train, "
            f"{found['long call']:.5f} USD for a call with the long prompt, "
            f"{found['tuned call']:.5f} for one to the tuned model "
            "(pricing.estimate_training, pricing.estimate_inference)."
        )
        return Still(says, png=plots.png(self.figure()))

    def sentence(self) -> str:
        """From how many calls on the fine-tune pays, and the day of the prices."""
        return f"{self._title()}. Prices of {pricing.PRICES_AS_OF}."

    def figure(self):
        """The cost of both ways over the calls."""
        found = self.costs()
        volume = np.linspace(0, self.calls.value, 60)
        lines = {
            "long prompt": volume * found["long call"],
            "fine-tuned": found["training"] + volume * found["tuned call"],
        }
        return plots.cost_curves(volume, lines, self._title())

    def _title(self) -> str:
        even = self.costs()["break-even"]
        if even == float("inf"):
            return "The fine-tune never pays"
        return f"The fine-tune pays from {even:,.0f} calls on"


def _tick(text: str) -> widgets.Checkbox:
    return widgets.Checkbox(False, description=text, indent=False, layout=WIDE)


def _slide(text: str, value: int, low: int, high: int) -> widgets.IntSlider:
    return widgets.IntSlider(
        value, min=low, max=high, description=text, style=LABELLED, layout=WIDE,
        continuous_update=False,
    )  # fmt: skip


def _line(text: str, length: int = SHORT) -> str:
    """A text as one line of at most so many characters."""
    line = text.replace("\n", "↵")
    return line if len(line) <= length else line[: length - 1] + "…"


def _said_in(line: str) -> list[tuple[str, str]] | None:
    """The roles and texts of an example's messages; None for a line that holds no example."""
    try:
        return [(str(m["role"]), str(m.get("content"))) for m in json.loads(line)["messages"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _beginning(line: str) -> str:
    """How an example goes on, or a broken line reads, in one line."""
    said = _said_in(line)
    return _line("; ".join(f"{role}: {_line(text, 40)}" for role, text in said) if said else line)


def _example_html(line: str) -> str:
    messages = _said_in(line)
    if messages is None:  # broken lines are shown as they are
        return f"<pre style='white-space:pre-wrap'>{safe(line[:2000])}</pre>"
    return "".join(
        f"<p><b>{safe(role)}</b></p><pre style='white-space:pre-wrap'>{safe(text)}</pre>"
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
