"""The live job panel: status, progress, losses, messages, and buttons that act on the job.

The panel is for watching. What stays in the notebook is a picture, a sentence and a small table,
so that the page reads the same on GitHub, in print and where no widget can run. Each button has
a plain call that does the same.

Every panel of the course is displayed by `show_live` (a saved page then holds its `Still` beside
the widget) and says what happened in a `LiveText`, which a screen reader reads out.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import anywidget
import ipywidgets as widgets
import openai
import pandas as pd
import traitlets
from IPython.core.getipython import get_ipython
from IPython.display import display

from helpers import config, jobs, plots, pricing, tokens

REDRAW = 0.5  # seconds between two drawings of the curve, so that it neither flickers nor lags
MESSAGES = 6  # how many of the last messages are shown
WIDE = widgets.Layout(width="98%")
WRAP = widgets.Layout(flex_flow="row wrap")
SYMBOLS = {"succeeded": "✓", "failed": "✗", "cancelled": "■", "paused": "‖", "running": "▶"}


def interactive() -> bool:
    """Whether somebody watches: a notebook kernel that is not run headless."""
    shell = get_ipython()
    kernel = shell is not None and shell.__class__.__name__ == "ZMQInteractiveShell"
    return kernel and not config.headless()


@dataclass(frozen=True)
class Still:
    """What a panel leaves where no widget runs: words always, and a page part or a picture.

    Args: `text` says what the panel is, what it shows, and which plain call does the same; `html`
    stands in its place on a page, or else `png`, which `text` then describes.
    """

    text: str
    html: str = ""
    png: bytes = b""

    def bundle(self) -> dict[str, str]:
        """The same as Jupyter's formats, of which a page shows the richest that it knows."""
        kinds = {"text/plain": self.text, "text/html": self.html,
                 "image/png": base64.b64encode(self.png).decode()}  # fmt: skip
        return {kind: data for kind, data in kinds.items() if data}

    def metadata(self) -> dict:
        """The words for those who cannot see the picture."""
        return {"image/png": {"alt": self.text}} if self.png else {}

    def show(self) -> None:
        """Display it; a picture with its words below."""
        display(self.bundle(), metadata=self.metadata(), raw=True)
        if self.png:
            print(self.text)


def show_live(box: widgets.Widget, still: Still) -> None:
    """Display a widget with its still beside it in the same output.

    A page that runs widgets shows the widget. GitHub, print, a saved notebook that is opened
    without its kernel: each shows the still instead of a dead box.
    """
    bundle = {**box._repr_mimebundle_(), **still.bundle()}
    display(bundle, metadata=still.metadata(), raw=True)


class LiveText(anywidget.AnyWidget):
    """Text that a screen reader reads out when it changes; `value` is HTML, as in `HTML`.

    The value of an `HTML` widget is replaced together with its element, so a live region in it
    would never be heard. Here the region stays and its content changes.
    """

    _esm = """
    function render({ model, el }) {
      const region = document.createElement("div");
      region.setAttribute("role", "status");
      region.setAttribute("aria-live", "polite");
      el.append(region);
      const draw = () => { region.innerHTML = model.get("value"); };
      model.on("change:value", draw);
      draw();
    }
    export default { render };
    """
    value = traitlets.Unicode("").tag(sync=True)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.add_class("widget-html")  # letters like those of the other texts of a panel


class Consent:
    """The tick by which the user of a panel accepts a price. Without a price there is no tick.

    Args: `said` where the panel says what happened.
    """

    def __init__(self, said: LiveText):
        self.said = said
        self.tick = widgets.Checkbox(description="I accept the estimated price", indent=False)
        if not config.provider().paid:
            self.tick.layout.display = "none"

    def covers(self, estimate: Callable[[], pricing.Estimate]) -> bool:
        """Whether the call is free, or its price was shown and accepted; else `said` tells why.

        Args: `estimate` a function that reckons the price; it is called only where one is due.
        """
        if not config.provider().paid:
            return True
        try:
            price = estimate()
        except (pricing.UnknownPrice, tokens.UnknownModel) as error:
            self.said.value = safe(str(error))
            return False
        answer = "yes" if self.tick.value else "no"
        if pricing.confirm(price, ask=None if config.headless() else lambda _: answer):
            return True
        self.said.value = safe(f"{price} Tick the box to accept it, then try again.")
        return False


class JobPanel:
    """A panel for one job of any provider: `show` it in one cell, `watch` its end in the next.

    Args: `client` the SDK's client; `job_id` the job, running or ended.
    """

    def __init__(self, client: openai.OpenAI, job_id: str):
        self.client, self.job_id = client, job_id
        self.events: list = []
        self.job = client.fine_tuning.jobs.retrieve(job_id)
        self._drawn = 0.0
        self._thread = None
        self.status = LiveText()
        self.bar = widgets.IntProgress(min=0, max=1, description="steps", bar_style="info")
        # An image has a margin of its own: at its full width it would stick out of a narrow page.
        self.curve = widgets.Image(format="png", width=650, layout=widgets.Layout(max_width="98%"))
        self.messages = LiveText()
        self.buttons = {
            name: widgets.Button(description=name.capitalize(), tooltip=f"{name} this job")
            for name in ("cancel", "pause", "resume")
        }
        for name, button in self.buttons.items():
            button.on_click(lambda _, action=name: self.act(action))
        self.box = widgets.VBox(
            [
                widgets.HBox([self.status, self.bar]),
                self.curve,
                self.messages,
                widgets.HBox(list(self.buttons.values())),
            ]
        )

    def show(self, poll: float = 0.5) -> None:
        """Show the live panel and return at once, so that the kernel is free for its buttons.

        A thread of the kernel keeps it up to date. Where nobody watches, a line says what stands
        here and which calls do the same.
        """
        if not interactive():
            self.page().show()
        elif self._thread is None:
            show_live(self.box, self.page())
            self._thread = threading.Thread(target=self._keep_up, args=(poll,), daemon=True)
            self._thread.start()

    def page(self) -> Still:
        """What stands in the panel's place; the job's picture and table are left by `watch`."""
        return Still(
            "Live panel of a job: status, losses, messages, and buttons to cancel, pause and "
            "resume it.\nThe plain calls: jobs.follow(client, job_id), and "
            "client.fine_tuning.jobs.cancel(job_id), pause and resume."
        )

    def watch(self, poll: float = 0.5):
        """Wait for the job's end; returns the job, and leaves a picture, a sentence and a table.

        Interrupting the cell stops the waiting, never the job. The panel is shown if it was not
        yet; but while this waits, its buttons wait too: use `show` in a cell before.

        Raises: jobs.JobFailed where the job failed or was cancelled.
        """
        if interactive():
            self.show(poll)
        try:
            self.job = jobs.follow(self.client, self.job_id, poll=poll)
        finally:
            self.still()
        return self.job

    def still(self) -> None:
        """Leave a picture of the losses, a sentence and a table; nothing before the first step."""
        self.events = jobs.all_events(self.client, self.job_id)
        if len(self.history()):
            plots.show(self.figure(), alt=self.sentence())
            display(self.table())

    def _keep_up(self, poll: float) -> None:
        # The end of the job is on the panel already; only `watch` raises for it.
        with suppress(jobs.JobFailed, openai.APIError):
            while jobs.follow(self.client, self.job_id, self.update, poll).status == "paused":
                while self.client.fine_tuning.jobs.retrieve(self.job_id).status == "paused":
                    time.sleep(poll)
                self.events = []  # the next look brings all of them

    def update(self, job, new_events: list) -> None:
        """Take in what is new; the curve is drawn at most twice a second."""
        self.job = job
        self.events += new_events
        history = self.history()
        total = self.total_steps()
        done = int(history["step"].iloc[-1]) if len(history) else 0
        self.status.value = f"<b>{SYMBOLS.get(job.status, '…')} {job.status}</b>&nbsp;"
        self.bar.max, self.bar.value = max(1, total), done
        self.bar.description = f"{done}/{total}" if total else "waiting"
        texts = [event.message for event in self.events if event.type != "metrics"][-MESSAGES:]
        self.messages.value = "<br>".join(safe(text) for text in texts)
        for name, button in self.buttons.items():
            button.disabled = not possible(name, job.status)
        ended = job.status in jobs.FINISHED
        if len(history) and (ended or time.monotonic() - self._drawn >= REDRAW):
            self.curve.value = plots.png(self.figure())
            self._drawn = time.monotonic()

    def act(self, action: str) -> None:
        """What a button does: `client.fine_tuning.jobs.cancel(job_id)`, and so on."""
        try:
            getattr(self.client.fine_tuning.jobs, action)(self.job_id)
        except openai.APIError as error:
            self.messages.value = safe(jobs.explain_error(error))

    def history(self) -> pd.DataFrame:
        """The losses so far, a row a step."""
        return jobs.loss_history(self.events)

    def total_steps(self) -> int:
        """How many steps the job will have, as its events say; 0 before the first."""
        return known_total(self.events)

    def figure(self):
        """The loss curves with their axis fixed to the whole job."""
        return plots.loss_curves(self.history(), total_steps=self.total_steps() or None)

    def sentence(self) -> str:
        """What the curve shows, in words."""
        return f"{plots.describe_losses(self.history())}."

    def table(self) -> pd.DataFrame:
        """One row an epoch that was validated, or the first and the last step."""
        history = self.history()
        rows = history.dropna(subset=["full_valid_loss"])
        if not len(rows):
            rows = history.iloc[[0, -1]] if len(history) else history
        columns = ["step", "train_loss", "full_valid_loss", "full_valid_accuracy"]
        return rows[columns].round(3).set_index("step")


def known_total(events: list) -> int:
    """How many steps a job will have, as the last of its events with numbers says; else 0."""
    totals = [event.data.get("total_steps") or 0 for event in jobs.metrics_of(events)]
    return int(totals[-1]) if totals else 0


def possible(action: str, status: str) -> bool:
    """Whether a job of that status can be cancelled, paused or resumed (`action`)."""
    if action == "resume":
        return status == "paused"
    return status in ("validating_files", "queued", "running") or (
        action == "cancel" and status == "paused"
    )


def table_html(table: pd.DataFrame) -> str:
    """A table as HTML without its index: whole texts, their lines kept, all of it to the left."""

    def row(values, kind: str) -> str:
        known = ("" if value is None or value != value else str(value) for value in values)
        texts = (safe(text).replace("\n", "<br>") for text in known)
        return "<tr>" + "".join(f"<{kind}>{text}</{kind.split()[0]}>" for text in texts) + "</tr>"

    place = 'style="text-align:left;vertical-align:top"'
    head = row(table.columns, f'th scope="col" {place}')
    body = "".join(row(values, f"td {place}") for values in table.itertuples(index=False))
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def safe(text: str) -> str:
    """The text as it may stand in the value of an HTML widget: no markup of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
