"""The fine-tuning dashboard: files, jobs and new jobs of any provider, in one panel.

It is the notebook's answer to a provider's web page. Everything it does is a call of the SDK that
the notebook shows as well: the panel keeps no state of its own that the provider does not have.
Where no widget can run, `still` leaves a figure and two tables.
"""

from __future__ import annotations

import base64
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import ipywidgets as widgets
import openai
import pandas as pd
from IPython.display import display

from helpers import jobs, plots, pricing, tokens, validation
from helpers.widgets import (
    REDRAW,
    SYMBOLS,
    WIDE,
    WRAP,
    Consent,
    LiveText,
    Still,
    interactive,
    known_total,
    possible,
    safe,
    show_live,
    table_html,
)

ROWS = 8  # lines of the lists of files and jobs
AUTO = "auto"
LOSS, VALIDATION, ACCURACY = "loss", "validation loss", "accuracy"
COLUMNS = {LOSS: "train_loss", VALIDATION: "valid_loss", ACCURACY: "train_accuracy"}
LABELLED = {"description_width": "13em"}


class Dashboard:
    """Files, jobs and a form for a new job, in three tabs.

    Args: `client` the SDK's client. The tabs are `files`, `jobs` and `new`; each part can be used
    without a mouse by its methods.
    """

    def __init__(self, client: openai.OpenAI):
        self.files = FilesTab(client)
        self.jobs = JobsTab(client)
        self.new = NewJobTab(client, self.files, self._created)
        self.box = widgets.Tab([self.files.box, self.jobs.box, self.new.box])
        self.box.titles = ["Files", "Jobs", "New job"]
        self._thread = None

    def show(self) -> None:
        """Show the panel where somebody watches, and keep it up to date in a thread.

        Elsewhere its `still` is left.
        """
        if not interactive():
            self.still()
            return
        show_live(self.box, self.page())
        if self._thread is None:
            self._thread = threading.Thread(target=self.jobs.keep_up, daemon=True)
            self._thread.start()

    def still(self) -> None:
        """What stays on a page without widgets: the files, the jobs, and their losses."""
        self.files.refresh()
        self.jobs.refresh()
        display(self.files.table())
        display(self.jobs.table())
        figure = self.jobs.figure()
        if figure is not None:
            plots.show(figure, alt=self.jobs.sentence())

    def page(self) -> Still:
        """The same in one piece, for a page on which the panel itself does not run."""
        says = (
            f"Fine-tuning dashboard: {len(self.files.files)} files, {len(self.jobs.known)} jobs. "
            "The plain calls: client.files and client.fine_tuning.jobs."
        )
        parts = [f"<p>{safe(says)}</p>", table_html(self.files.table().reset_index()),
                 table_html(self.jobs.table())]  # fmt: skip
        figure = None
        with suppress(openai.APIError):
            figure = self.jobs.figure()
        if figure is not None:
            data = base64.b64encode(plots.png(figure)).decode()
            alt = safe(self.jobs.sentence()).replace('"', "&quot;")
            parts.append(f'<img alt="{alt}" src="data:image/png;base64,{data}">')
            says += f"\n{self.jobs.sentence()}"
        return Still(says, html="".join(parts))

    def _created(self, job_id: str) -> None:
        self.jobs.refresh()
        self.jobs.choose([job_id])
        self.box.selected_index = 1


class FilesTab:
    """List, upload, inspect and delete files."""

    def __init__(self, client: openai.OpenAI):
        self.client, self.files = client, []
        self.list = widgets.Select(rows=ROWS, layout=WIDE, description="Files")
        self.upload = widgets.FileUpload(accept=".jsonl", description="Upload .jsonl")
        self.upload.observe(self._uploaded, names="value")
        self.said = LiveText(layout=WIDE)
        self.buttons = _buttons(
            {"refresh": self.refresh, "inspect": self.inspect, "delete": self.delete}, self.said
        )
        row = widgets.HBox([self.upload, *self.buttons.values()], layout=WRAP)
        self.box = widgets.VBox([self.list, row, self.said])
        _try(self.refresh, self.said)

    def refresh(self) -> None:
        """Ask for the files anew and keep the choice if it is still there."""
        chosen = self.list.value
        self.files = [file for file in self.client.files.list() if file.purpose == "fine-tune"]
        self.list.options = [
            (f"{file.filename}  {file.bytes / 1000:,.0f} kB  {file.status}", file.id)
            for file in self.files
        ]
        if chosen in {file.id for file in self.files}:
            self.list.value = chosen

    def send(self, name: str, content: bytes) -> str | None:
        """Upload a file; returns its id, or None where the provider refuses it (and says why)."""
        try:
            file = self.client.files.create(file=(name, content), purpose="fine-tune")
        except openai.APIError as error:
            self.said.value = safe(jobs.explain_error(error))
            return None
        self.refresh()
        self.list.value = file.id
        self.said.value = safe(f"{name} is uploaded as {file.id}.")
        return file.id

    def inspect(self) -> None:
        """Show what validation finds in the chosen file, and its first example."""
        if self.list.value is None:
            self.said.value = "Choose a file first."
            return
        text = self.client.files.content(self.list.value).text
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "inspected.jsonl"
            path.write_text(text, encoding="utf-8", newline="\n")
            findings = validation.check_file(path)
        lines = [validation.summary(findings)]
        worst = sorted(findings, key=lambda found: found.severity)[:5]  # errors before warnings
        lines += [f"line {found.line}: {found.message} {found.cure}" for found in worst]
        first = text.split("\n", 1)[0][:600]
        self.said.value = "<br>".join(map(safe, lines)) + f"<pre>{safe(first)}</pre>"

    def delete(self) -> None:
        """Delete the chosen file from the provider."""
        if self.list.value is None:
            self.said.value = "Choose a file first."
            return
        gone = self.client.files.delete(self.list.value)
        self.said.value = safe(f"{gone.id} is deleted.")
        self.refresh()

    def table(self) -> pd.DataFrame:
        """The files as a table, the newest first."""
        rows = [{"file": f.filename, "kB": round(f.bytes / 1000), "status": f.status}
                for f in self.files[:ROWS]]  # fmt: skip
        return pd.DataFrame(rows, columns=["file", "kB", "status"]).set_index("file")

    def _uploaded(self, change: dict) -> None:
        for item in change["new"]:
            self.send(item["name"], bytes(item["content"]))


class NewJobTab:
    """A form for a job of supervised fine-tuning; empty or `auto` leaves an option to the provider.

    Other methods (DPO, reinforcement) need options of their own, and the local platform has none of
    them: the SDK's call creates such a job where a provider offers it.
    """

    def __init__(self, client: openai.OpenAI, files: FilesTab, created):
        self.client, self.files, self.created = client, files, created
        self.model = widgets.Combobox(description="Model", ensure_option=False)
        self.training = widgets.Dropdown(description="Training")
        self.validation = widgets.Dropdown(description="Validation")
        self.suffix = widgets.Text(description="Suffix", placeholder="part of the model's name")
        self.metadata = widgets.Textarea(
            description="Metadata", placeholder="key=value, one a line", rows=2
        )
        number = {"placeholder": AUTO, "style": LABELLED}
        self.seed = widgets.Text(AUTO, description="Seed", **number)
        self.epochs = widgets.Text(AUTO, description="Epochs", **number)
        self.batch = widgets.Text(AUTO, description="Batch size", **number)
        self.rate = widgets.Text(AUTO, description="Learning rate multiplier", **number)
        self.said = LiveText(layout=WIDE)
        self.consent = Consent(self.said)
        self.buttons = _buttons({"create": self.create}, self.said)
        left = [self.model, self.training, self.validation, self.suffix, self.metadata]
        right = [self.seed, self.epochs, self.batch, self.rate, self.consent.tick]
        columns = widgets.HBox([widgets.VBox(left), widgets.VBox(right)], layout=WRAP)
        self.box = widgets.VBox([columns, *self.buttons.values(), self.said])
        files.list.observe(lambda _: self.offer(), names="options")
        self.offer()

    def offer(self) -> None:
        """Offer the provider's models and the files that are there."""
        try:
            self.model.options = sorted(model.id for model in self.client.models.list())
        except openai.APIError as error:  # a name can be typed all the same
            self.said.value = safe(jobs.explain_error(error))
        choices = [(file.filename, file.id) for file in self.files.files]
        for dropdown, extra in ((self.training, []), (self.validation, [("none", None)])):
            chosen = dropdown.value
            dropdown.options = [*extra, *choices]
            known = [value for _, value in dropdown.options]
            if known:  # a browser shows the first line as chosen; so it must be
                dropdown.value = chosen if chosen in known else known[0]

    def create(self):
        """Create the job that the form describes; returns it, or None and says what is wrong."""
        try:
            wish = self.wish()
            if not self.consent.covers(lambda: self._price(wish)):
                return None
            job = self.client.fine_tuning.jobs.create(**wish)
        except ValueError as error:
            self.said.value = safe(str(error))
            return None
        except openai.APIError as error:
            self.said.value = safe(jobs.explain_error(error))
            return None
        self.said.value = safe(f"Job {job.id} is created.")
        self.created(job.id)
        return job

    def wish(self) -> dict:
        """The form as arguments of `fine_tuning.jobs.create`. Raises ValueError for bad input."""
        if not self.model.value:
            raise ValueError("Choose a model, or type the name of one.")
        if not self.training.value:
            raise ValueError("Choose a training file; the first tab uploads one.")
        numbers = {
            "n_epochs": _number(self.epochs, int),
            "batch_size": _number(self.batch, int),
            "learning_rate_multiplier": _number(self.rate, float),
        }
        wish = {
            "model": self.model.value,
            "training_file": self.training.value,
            "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}},
        }
        if self.validation.value:
            wish["validation_file"] = self.validation.value
        if self.suffix.value.strip():
            wish["suffix"] = self.suffix.value.strip()
        if (seed := _number(self.seed, int)) != AUTO:
            wish["seed"] = seed
        if pairs := _pairs(self.metadata):
            wish["metadata"] = pairs
        return wish

    def _price(self, wish: dict) -> pricing.Estimate:
        """What the job will cost, by the tokens of its file."""
        text = self.client.files.content(wish["training_file"]).text
        asked = wish["method"]["supervised"]["hyperparameters"]["n_epochs"]
        count = tokens.count_jsonl(text, wish["model"])
        epochs = pricing.auto_epochs(text.count("\n")) if asked == AUTO else asked
        return pricing.estimate_training(count, epochs, wish["model"])


class JobsTab:
    """Jobs: choose one for its details, several to lay their curves over each other.

    `measure` switches between training loss, validation loss and token accuracy, `detailed` says
    which of the chosen jobs the messages and checkpoints are of, and `more` lists older jobs.
    """

    def __init__(self, client: openai.OpenAI):
        self.client = client
        self.known: dict = {}  # job id -> job
        self.events: dict[str, list] = {}  # job id -> its events, oldest first
        self.sizes: dict[str, int] = {}  # training file -> its tokens
        self.limit = ROWS  # how many of the newest jobs are listed
        self._drawn, self._stale, self._busy = 0.0, False, threading.Lock()
        # The thread and the buttons list jobs in turn, or an older answer would undo a new choice.
        self._turn = threading.RLock()
        self.list = widgets.SelectMultiple(rows=ROWS, layout=WIDE, description="Jobs")
        self._listing = False  # while the list changes, what it says is not yet the choice
        self.list.observe(lambda _: self._listing or self.update(redraw=True), names="value")
        self.said = LiveText(layout=WIDE)
        acts = {name: self._acting(name) for name in ("cancel", "pause", "resume")}
        self.buttons = _buttons({"refresh": self.refresh, **acts}, self.said)
        older = _buttons({"more": self.list_more}, self.said)
        self.more, self.count = older["more"], widgets.Label()
        self.bar = widgets.IntProgress(min=0, max=1, description="steps", layout=WIDE)
        self.facts = widgets.HTML(layout=WIDE)  # not a live region: it changes twice a second
        self.measure = widgets.ToggleButtons(options=list(COLUMNS), description="Curve")
        self.curve = widgets.Image(
            format="png", layout=widgets.Layout(width="650px", max_width="100%")
        )
        self.caption = widgets.HTML(layout=WIDE)
        self.detailed = widgets.Dropdown(description="Details of")
        for part in (self.measure, self.detailed):
            part.observe(lambda _: self.update(redraw=True), names="value")
        self.messages, self.checkpoints = LiveText(layout=WIDE), widgets.HTML()
        acting = widgets.HBox([*self.buttons.values(), self.more, self.count], layout=WRAP)
        curves = [self.facts, self.measure, self.curve, self.caption]
        details = [self.detailed, self.bar, self.messages, self.checkpoints]
        self.box = widgets.VBox([self.list, acting, self.said, *curves, *details])
        _try(self.refresh, self.said)

    def choose(self, job_ids: Iterable[str]) -> None:
        """Choose jobs by their ids, and list older ones until they are there."""
        wanted = tuple(job_ids)
        with self._turn:
            while not set(wanted) <= set(self.known) and not self.more.disabled:
                self.list_more()
            self.list.value = tuple(job_id for job_id in wanted if job_id in self.known)

    def list_more(self) -> None:
        """List as many older jobs again."""
        self.limit += ROWS
        self.refresh()

    def refresh(self) -> None:
        """Ask for the latest jobs; a choice that is still there stays."""
        with self._turn:
            wanted = self.limit + 1  # one more says whether there are more
            pages = self.client.fine_tuning.jobs.list(limit=min(wanted, 100))
            latest = list(islice(pages, wanted))
            self.known = {job.id: job for job in latest[: self.limit]}
            self.more.disabled = len(latest) < wanted
            self.count.value = f"the newest {len(self.known)} jobs" if len(latest) == wanted else (
                f"all {len(self.known)} jobs")  # fmt: skip
            options = [(_title(job), job.id) for job in self.known.values()]
            changed = options != list(self.list.options)
            chosen = self.list.value  # now: it may have changed since the jobs were asked for
            kept = tuple(job_id for job_id in chosen if job_id in self.known)
            self._listing = True
            try:
                with self.list.hold_sync():  # one message: the page never shows it half done
                    if changed:
                        self.list.options = options
                    self.list.value = kept or tuple(self.known)[:1]
            finally:
                self._listing = False
        if changed or self.list.value != chosen:
            self.update(redraw=True)

    def newest(self, suffix: str, count: int) -> tuple[str, ...]:
        """The ids of the latest jobs with a suffix, as a choice for the list."""
        found = [job.id for job in self.known.values() if job.user_provided_suffix == suffix]
        return tuple(found[:count])

    def keep_up(self, poll: float = 0.5, rounds: int | None = None) -> None:
        """Follow the chosen jobs: ask for new events, redraw twice a second at most."""
        while rounds is None or rounds > 0:
            with suppress(openai.APIError):
                if any(job.status not in jobs.FINISHED for job in self.known.values()):
                    self.refresh()
                self.update()
            rounds = None if rounds is None else rounds - 1
            time.sleep(poll)

    def update(self, redraw: bool = False) -> None:
        """Fetch what is new about the chosen jobs, and show it."""
        if not self._busy.acquire(blocking=False):
            self._stale = self._stale or redraw
            return  # the thread is at it already, and draws again at its next look
        try:
            fresh = [self._fetch(job_id) for job_id in self.list.value]
            self._stale = self._stale or any(fresh)
            if redraw or (self._stale and time.monotonic() - self._drawn >= REDRAW):
                self._draw()
        finally:
            self._busy.release()

    def act(self, action: str) -> None:
        """What a button does to every chosen job: `jobs.cancel(job_id)`, and so on."""
        for job_id in self.list.value:
            try:
                getattr(self.client.fine_tuning.jobs, action)(job_id)
                self.said.value = safe(f"{action}: {job_id}")
            except openai.APIError as error:
                self.said.value = safe(jobs.explain_error(error))
        self.refresh()

    def histories(self) -> dict[str, pd.DataFrame]:
        """The losses and accuracies of each chosen job that reports what `measure` asks for, by
        what tells the job apart."""
        names = labels([self.known[job_id] for job_id in self._chosen()])
        found = {
            name: jobs.loss_history(self.events.get(job_id, [])) for job_id, name in names.items()
        }
        column = COLUMNS[self.measure.value]
        return {name: history for name, history in found.items() if history[column].notna().any()}

    def figure(self):
        """One job's curves, or one curve of each of several over each other; None without any."""
        for job_id in self.list.value:
            self._fetch(job_id)
        return self._curves()

    def sentence(self) -> str:
        """What the figure shows, in words."""
        found = self.histories().items()
        accuracy = self.measure.value == ACCURACY
        describe = plots.describe_accuracy if accuracy else plots.describe_losses
        said = "; ".join(f"{name}: {describe(history)}" for name, history in found)
        return said or f"No chosen job has reported its {self.measure.value}."

    def table(self) -> pd.DataFrame:
        """The latest jobs as a table, the newest first."""
        rows = [
            {"job": job.user_provided_suffix or job.id, "status": job.status,
             "epochs": job.hyperparameters.n_epochs if job.hyperparameters else None,
             "trained tokens": job.trained_tokens}
            for job in self.known.values()
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["job", "status", "epochs", "trained tokens"])

    def detail(self, job_id: str) -> dict:
        """Numbers of one job: steps, losses, accuracy, tokens a second, seconds left."""
        metrics = jobs.metrics_of(self.events.get(job_id, []))
        if not metrics:
            return {"status": self.known[job_id].status}
        history, total = jobs.loss_history(metrics), known_total(metrics)
        last = history.iloc[-1]
        passed = metrics[-1].created_at - metrics[0].created_at
        pace = (len(metrics) - 1) / passed if passed > 0 else 0.0  # steps a second
        found = {"status": self.known[job_id].status,
                 "step": f"{int(last['step'])} of {total or 'unknown'}",
                 "training loss": round(last["train_loss"], 3)}  # fmt: skip
        if last["train_accuracy"] == last["train_accuracy"]:  # not every provider reports it
            found["accuracy"] = f"{last['train_accuracy']:.0%}"
        valid = history["valid_loss"].dropna()
        if len(valid):
            found["validation loss"] = round(valid.iloc[-1], 3)
        if pace and total and (count := self._tokens_a_step(job_id, total)):
            found["tokens a second"] = f"{pace * count:,.0f}"
        if pace and total and self.known[job_id].status == "running":
            found["seconds left"] = f"{(total - last['step']) / pace:.0f}"
        return found

    def _tokens_a_step(self, job_id: str, total: int) -> float:
        """Tokens of the file x epochs / steps: no provider reports them while a job runs.

        0 where the file is gone, or nobody knows its tokens.
        """
        job = self.known[job_id]
        if job.training_file not in self.sizes:
            try:
                text = self.client.files.content(job.training_file).text
                self.sizes[job.training_file] = tokens.count_jsonl(text, job.model)
            except (openai.APIError, tokens.UnknownModel):
                self.sizes[job.training_file] = 0
        epochs = job.hyperparameters.n_epochs if job.hyperparameters else 1
        return self.sizes[job.training_file] * (epochs if isinstance(epochs, int) else 1) / total

    def _fetch(self, job_id: str) -> bool:
        """Take in the new events of a job; whether there were any."""
        held = self.events.setdefault(job_id, [])
        new = jobs.new_events(self.client, job_id, {event.id for event in held})
        held += new
        return bool(new)

    def _draw(self) -> None:
        self._drawn, self._stale = time.monotonic(), False
        names = labels([self.known[job_id] for job_id in self._chosen()])
        statuses = [self.known[job_id].status for job_id in names]
        for name, button in self.buttons.items():
            button.disabled = name != "refresh" and not any(possible(name, s) for s in statuses)
        self.facts.value = "".join(_facts(name, self.detail(job)) for job, name in names.items())
        figure = self._curves()
        self.curve.layout.display = "none" if figure is None else None
        if figure is not None:
            self.curve.value = plots.png(figure)
        self.caption.value = safe(self.sentence())
        options = [(name, job_id) for job_id, name in names.items()]
        if options != list(self.detailed.options):
            kept = self.detailed.value
            self.detailed.options = options
            self.detailed.value = kept if kept in names else next(iter(names), None)
        if self.detailed.value is not None:
            self._draw_one(self.detailed.value)

    def _chosen(self) -> list[str]:
        return [job_id for job_id in self.list.value if job_id in self.known]

    def _curves(self):
        """The chosen jobs' curves, with the axis fixed where all of them say how long they are."""
        found, measure = self.histories(), self.measure.value
        if not found:
            return None
        drawn = (self.events.get(job_id, []) for job_id in self._chosen())
        totals = [known_total(events) for events in drawn if jobs.metrics_of(events)]
        total = max(totals) if all(totals) else None
        if len(found) == 1:
            draw = plots.accuracy_curves if measure == ACCURACY else plots.loss_curves
            return draw(next(iter(found.values())), total_steps=total)
        shown = measure if measure == VALIDATION else f"training {measure}"
        title = f"{shown.capitalize()} of {len(found)} jobs"
        return plots.compare_losses(found, title, COLUMNS[measure], total)

    def _draw_one(self, job_id: str) -> None:
        events = self.events.get(job_id, [])
        metrics = jobs.metrics_of(events)
        step, total = int(metrics[-1].data["step"]) if metrics else 0, known_total(events)
        self.bar.max, self.bar.value = max(1, total), step
        self.bar.description = f"{step}/{total}" if total else "waiting"
        texts = [event.message for event in events if event.type != "metrics"][-5:]
        self.messages.value = "<br>".join(map(safe, texts))
        with suppress(openai.APIError):
            rows = [
                {"step": c.step_number, "validation loss": c.metrics.full_valid_loss,
                 "name": c.fine_tuned_model_checkpoint}
                for c in self.client.fine_tuning.jobs.checkpoints.list(job_id)
            ]  # fmt: skip
            self.checkpoints.value = table_html(pd.DataFrame(rows).round(3)) if rows else ""

    def _acting(self, name: str):
        return lambda: self.act(name)


def _buttons(actions: dict, said: LiveText) -> dict[str, widgets.Button]:
    """A button an action; what the provider refuses is told in `said`."""
    made = {}
    for name, action in actions.items():
        made[name] = widgets.Button(description=name.capitalize(), tooltip=name)
        made[name].on_click(lambda _, act=action: _try(act, said))
    return made


def _try(action: Callable[[], object], said: LiveText) -> None:
    try:
        action()
    except openai.APIError as error:
        said.value = safe(jobs.explain_error(error))


def _number(field: widgets.Text, kind):
    """The field's number, or "auto" where it is empty or says so. Raises ValueError."""
    text = field.value.strip()
    if text in ("", AUTO):
        return AUTO
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{field.description}: a number or `auto`, not {text!r}.") from None


def _pairs(field: widgets.Textarea) -> dict[str, str]:
    """The field's lines as metadata. Raises ValueError for a line that is no key=value."""
    pairs = {}
    for line in filter(None, map(str.strip, field.value.splitlines())):
        key, sign, value = (part.strip() for part in line.partition("="))
        if not (key and sign):
            raise ValueError(f"{field.description}: one key=value a line, not {line!r}.")
        pairs[key] = value
    return pairs


def labels(chosen: Sequence) -> dict[str, str]:
    """What tells jobs apart, by their ids: of name, multiplier, epochs and batch size those in
    which they differ. Alone, or where these are all the same, the name; a tie gets its id's end."""
    traits = {job.id: _traits(job) for job in chosen}
    differing = [place for place in range(4) if len({had[place] for had in traits.values()}) > 1]
    said = {
        job_id: ", ".join(filter(None, (had[place] for place in differing))) or had[0]
        for job_id, had in traits.items()
    }
    names = list(said.values())
    return {
        job_id: name if names.count(name) == 1 else f"{name} …{job_id[-4:]}"
        for job_id, name in said.items()
    }


def _traits(job) -> tuple[str, str, str, str]:
    """A job's name, multiplier, epochs and batch size in words; empty where it has none."""
    supervised = getattr(getattr(job, "method", None), "supervised", None)
    numbers = getattr(supervised, "hyperparameters", None) or job.hyperparameters
    rate, epochs, batch = (
        getattr(numbers, name, None)
        for name in ("learning_rate_multiplier", "n_epochs", "batch_size")
    )
    return (
        job.user_provided_suffix or job.fine_tuned_model or job.model,
        f"multiplier {_short(rate)}" if rate else "",
        f"{epochs} epoch{'s' * (epochs != 1)}" if epochs else "",
        f"batch size {batch}" if batch else "",
    )


def _short(number: float | str) -> str:
    return number if isinstance(number, str) else f"{number:g}"  # "auto", or 2 for 2.0


def _title(job) -> str:
    """A job's line in the list: no longer than a narrow page shows. Its messages have the id."""
    symbol = SYMBOLS.get(job.status, "…")
    return f"{symbol} {job.status} {job.user_provided_suffix or job.model} …{job.id[-4:]}"


def _facts(name: str, detail: dict) -> str:
    said = " · ".join(f"{name} <b>{safe(str(value))}</b>" for name, value in detail.items())
    return f"<div>{safe(name)}: {said}</div>"
