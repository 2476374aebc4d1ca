"""The fine-tuning dashboard: files, jobs and new jobs of any provider, in one panel.

It is the notebook's answer to a provider's web page. Everything it does is a call of the SDK that
the notebook shows as well: the panel keeps no state of its own that the provider does not have.
Where no widget can run, `still` leaves a figure and two tables.
"""

from __future__ import annotations

import tempfile
import threading
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path

import ipywidgets as widgets
import openai
import pandas as pd
from IPython.display import display

from helpers import jobs, plots, pricing, tokens, validation
from helpers.widgets import REDRAW, SYMBOLS, WIDE, interactive, possible, safe

ROWS = 8  # lines of the lists of files and jobs
AUTO = "auto"


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

    def show(self) -> None:
        """Show the panel where somebody watches, and keep it up to date in a thread."""
        if interactive():
            display(self.box)
            threading.Thread(target=self.jobs.keep_up, daemon=True).start()

    def still(self) -> None:
        """What stays on a page without widgets: the files, the jobs, and their losses."""
        self.files.refresh()
        self.jobs.refresh()
        display(self.files.table())
        display(self.jobs.table())
        figure = self.jobs.figure()
        if figure is not None:
            plots.show(figure, alt=self.jobs.sentence())

    def _created(self, job_id: str) -> None:
        self.jobs.refresh()
        self.jobs.list.value = (job_id,)
        self.box.selected_index = 1


class FilesTab:
    """List, upload, inspect and delete files."""

    def __init__(self, client: openai.OpenAI):
        self.client, self.files = client, []
        self.list = widgets.Select(rows=ROWS, layout=WIDE, description="Files")
        self.upload = widgets.FileUpload(accept=".jsonl", description="Upload .jsonl")
        self.upload.observe(self._uploaded, names="value")
        self.buttons = _buttons(
            {"refresh": self.refresh, "inspect": self.inspect, "delete": self.delete}
        )
        self.said = _live_text()
        self.box = widgets.VBox(
            [self.list, widgets.HBox([self.upload, *self.buttons.values()]), self.said]
        )
        self.refresh()

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
        try:
            gone = self.client.files.delete(self.list.value)
            self.said.value = safe(f"{gone.id} is deleted.")
        except openai.APIError as error:
            self.said.value = safe(jobs.explain_error(error))
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
    """A form for a job with every option of the API; empty or `auto` leaves it to the provider."""

    def __init__(self, client: openai.OpenAI, files: FilesTab, created):
        self.client, self.files, self.created = client, files, created
        self.model = widgets.Combobox(description="Model", ensure_option=False)
        self.training = widgets.Dropdown(description="Training")
        self.validation = widgets.Dropdown(description="Validation")
        self.suffix = widgets.Text(description="Suffix", placeholder="part of the model's name")
        self.seed = widgets.Text(description="Seed", placeholder="a whole number, or empty")
        self.epochs = widgets.Text(AUTO, description="Epochs")
        self.batch = widgets.Text(AUTO, description="Batch size")
        self.rate = widgets.Text(AUTO, description="Rate ×")
        self.agreed = widgets.Checkbox(description="I accept the estimated price")
        self.buttons = _buttons({"create": self.create})
        self.said = _live_text()
        left = [self.model, self.training, self.validation, self.suffix, self.seed]
        right = [self.epochs, self.batch, self.rate, self.agreed, *self.buttons.values()]
        columns = widgets.HBox([widgets.VBox(left), widgets.VBox(right)])
        self.box = widgets.VBox([columns, self.said])
        files.list.observe(lambda _: self.offer(), names="options")
        self.offer()

    def offer(self) -> None:
        """Offer the provider's models and the files that are there."""
        names = sorted(model.id for model in self.client.models.list())
        self.model.options = names
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
            if not self._affordable(wish):
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
        if self.seed.value.strip():
            wish["seed"] = _number(self.seed, int)
        return wish

    def _affordable(self, wish: dict) -> bool:
        """Whether the job is free, or its price was shown and accepted."""
        text = self.client.files.content(wish["training_file"]).text
        asked = wish["method"]["supervised"]["hyperparameters"]["n_epochs"]
        count = tokens.count_jsonl(text, wish["model"])
        epochs = pricing.auto_epochs(text.count("\n")) if asked == AUTO else asked
        estimate = pricing.estimate_training(count, epochs, wish["model"])
        answer = "yes" if self.agreed.value else "no"
        if pricing.confirm(estimate, ask=lambda _: answer):
            return True
        self.said.value = safe(f"{estimate} Tick the box to accept it, then create the job again.")
        return False


class JobsTab:
    """Jobs: choose one for its details, several to lay their losses over each other."""

    def __init__(self, client: openai.OpenAI):
        self.client = client
        self.known: dict = {}  # job id -> job
        self.events: dict[str, list] = {}  # job id -> its events, oldest first
        self.sizes: dict[str, int] = {}  # training file -> its tokens
        self._drawn, self._stale, self._busy = 0.0, False, threading.Lock()
        self.list = widgets.SelectMultiple(rows=ROWS, layout=WIDE, description="Jobs")
        self.list.observe(lambda _: self.update(redraw=True), names="value")
        acts = {name: self._acting(name) for name in ("cancel", "pause", "resume")}
        self.buttons = _buttons({"refresh": self.refresh, **acts})
        self.bar = widgets.IntProgress(min=0, max=1, description="steps", layout=WIDE)
        self.facts, self.said = _live_text(), _live_text()
        self.curve = widgets.Image(format="png", width=650)
        self.messages, self.checkpoints = _live_text(), widgets.HTML()
        parts = [self.bar, self.facts, self.curve, self.messages, self.checkpoints]
        self.box = widgets.VBox(
            [self.list, widgets.HBox(list(self.buttons.values())), self.said, *parts]
        )
        self.refresh()

    def refresh(self) -> None:
        """Ask for the latest jobs; a choice that is still there stays."""
        chosen = self.list.value
        latest = islice(self.client.fine_tuning.jobs.list(limit=ROWS), ROWS)  # its first page
        self.known = {job.id: job for job in latest}
        options = [(_title(job), job.id) for job in self.known.values()]
        if options != list(self.list.options):
            self.list.options = options
        kept = tuple(job_id for job_id in chosen if job_id in self.known)
        self.list.value = kept or tuple(self.known)[:1]

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
            return  # the thread is at it already
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
        """The losses of each chosen job that has any, by its title."""
        found = {}
        for job_id in self.list.value:
            history = jobs.loss_history(self.events.get(job_id, []))
            if len(history):
                found[f"{self.known[job_id].user_provided_suffix or 'job'} {job_id[-4:]}"] = history
        return found

    def figure(self):
        """One job's curves, or the training losses of several over each other; None without any."""
        for job_id in self.list.value:
            self._fetch(job_id)
        return _curves(self.histories())

    def sentence(self) -> str:
        """What the figure shows, in words."""
        found = self.histories().items()
        return "; ".join(f"{name}: {plots.describe_losses(history)}" for name, history in found)

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
        history = jobs.loss_history(metrics)
        last, total = history.iloc[-1], int(metrics[-1].data["total_steps"])
        passed = metrics[-1].created_at - metrics[0].created_at
        pace = (len(metrics) - 1) / passed if passed > 0 else 0.0  # steps a second
        found = {"status": self.known[job_id].status, "step": f"{int(last['step'])} of {total}",
                 "training loss": round(last["train_loss"], 3),
                 "accuracy": f"{last['train_accuracy']:.0%}"}  # fmt: skip
        valid = history["valid_loss"].dropna()
        if len(valid):
            found["validation loss"] = round(valid.iloc[-1], 3)
        if pace:
            found["tokens a second"] = f"{pace * self._tokens_a_step(job_id, total):,.0f}"
        if pace and self.known[job_id].status == "running":
            found["seconds left"] = f"{(total - last['step']) / pace:.0f}"
        return found

    def _tokens_a_step(self, job_id: str, total: int) -> float:
        """Tokens of the file x epochs / steps: no provider reports them while a job runs."""
        job = self.known[job_id]
        if job.training_file not in self.sizes:
            try:
                text = self.client.files.content(job.training_file).text
                self.sizes[job.training_file] = tokens.count_jsonl(text, job.model)
            except (openai.APIError, tokens.UnknownModel):
                self.sizes[job.training_file] = 0  # the file is gone, or nobody knows its tokens
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
        chosen = [job_id for job_id in self.list.value if job_id in self.known]
        statuses = [self.known[job_id].status for job_id in chosen]
        for name, button in self.buttons.items():
            button.disabled = name != "refresh" and not any(possible(name, s) for s in statuses)
        self.facts.value = "".join(_facts(job_id, self.detail(job_id)) for job_id in chosen)
        figure = _curves(self.histories())
        if figure is not None:
            self.curve.value = plots.png(figure)
        if chosen:
            self._draw_one(chosen[0])

    def _draw_one(self, job_id: str) -> None:
        events = self.events.get(job_id, [])
        metrics = jobs.metrics_of(events)
        if metrics:
            self.bar.max = int(metrics[-1].data["total_steps"])
            self.bar.value = int(metrics[-1].data["step"])
            self.bar.description = f"{self.bar.value}/{self.bar.max}"
        texts = [event.message for event in events if event.type != "metrics"][-5:]
        self.messages.value = "<br>".join(map(safe, texts))
        with suppress(openai.APIError):
            rows = [
                {"step": c.step_number, "validation loss": c.metrics.full_valid_loss,
                 "name": c.fine_tuned_model_checkpoint}
                for c in self.client.fine_tuning.jobs.checkpoints.list(job_id)
            ]  # fmt: skip
            self.checkpoints.value = pd.DataFrame(rows).to_html(index=False) if rows else ""

    def _acting(self, name: str):
        return lambda: self.act(name)


def _buttons(actions: dict) -> dict[str, widgets.Button]:
    made = {}
    for name, action in actions.items():
        made[name] = widgets.Button(description=name.capitalize(), tooltip=name)
        made[name].on_click(lambda _, act=action: act())
    return made


def _live_text() -> widgets.HTML:
    return widgets.HTML(layout=WIDE)


def _number(field: widgets.Text, kind):
    """The field's number, or "auto" where it is empty or says so. Raises ValueError."""
    text = field.value.strip()
    if text in ("", AUTO):
        return AUTO
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{field.description}: a number or `auto`, not {text!r}.") from None


def _curves(found: dict[str, pd.DataFrame]):
    if not found:
        return None
    if len(found) == 1:
        return plots.loss_curves(next(iter(found.values())))
    return plots.compare_losses(found, title="Training loss of the chosen jobs")


def _title(job) -> str:
    symbol = SYMBOLS.get(job.status, "…")
    return f"{symbol} {job.status:<16} {job.user_provided_suffix or job.model}  {job.id}"


def _facts(job_id: str, detail: dict) -> str:
    said = " · ".join(f"{name} <b>{safe(str(value))}</b>" for name, value in detail.items())
    return f"<div>{job_id[-4:]}: {said}</div>"
