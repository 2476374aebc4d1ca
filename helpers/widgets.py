"""The live job panel: status, progress, losses, messages, and buttons that act on the job.

The panel is for watching. What stays in the notebook is a picture, a sentence and a small table,
so that the page reads the same on GitHub, in print and where no widget can run. Each button has
a plain call that does the same.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress

import ipywidgets as widgets
import openai
import pandas as pd
from IPython.core.getipython import get_ipython
from IPython.display import display

from helpers import jobs, plots

REDRAW = 0.5  # seconds between two drawings of the curve, so that it neither flickers nor lags
MESSAGES = 6  # how many of the last messages are shown
WIDE = widgets.Layout(width="98%")
SYMBOLS = {"succeeded": "✓", "failed": "✗", "cancelled": "■", "paused": "‖", "running": "▶"}


def interactive() -> bool:
    """Whether somebody watches: a notebook kernel that is not run headless."""
    shell = get_ipython()
    kernel = shell is not None and shell.__class__.__name__ == "ZMQInteractiveShell"
    return kernel and os.environ.get("WORKBOOK_HEADLESS", "") != "1"


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
        self.status = widgets.HTML()
        self.bar = widgets.IntProgress(min=0, max=1, description="steps", bar_style="info")
        self.curve = widgets.Image(format="png", width=650)
        self.messages = widgets.HTML()
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

        A thread of the kernel keeps it up to date. Where nobody watches, nothing is shown.
        """
        if interactive() and self._thread is None:
            display(self.box)
            self._thread = threading.Thread(target=self._keep_up, args=(poll,), daemon=True)
            self._thread.start()

    def watch(self, poll: float = 0.5):
        """Wait for the job's end; returns the job, and leaves a picture, a sentence and a table.

        Interrupting the cell stops the waiting, never the job. The panel is shown if it was not
        yet; but while this waits, its buttons wait too: use `show` in a cell before.

        Raises: jobs.JobFailed where the job failed or was cancelled.
        """
        self.show(poll)
        try:
            self.job = jobs.follow(self.client, self.job_id, poll=poll)
        finally:
            self.events = jobs.all_events(self.client, self.job_id)
            if len(self.history()):
                plots.show(self.figure(), alt=self.sentence())
                display(self.table())
        return self.job

    def _keep_up(self, poll: float) -> None:
        # The end of the job is on the panel already; only `watch` raises for it.
        with suppress(jobs.JobFailed, openai.APIError):
            jobs.follow(self.client, self.job_id, view=self.update, poll=poll)

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
        totals = [event.data["total_steps"] for event in jobs.metrics_of(self.events)]
        return int(totals[-1]) if totals else 0

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


def possible(action: str, status: str) -> bool:
    """Whether a job of that status can be cancelled, paused or resumed (`action`)."""
    if action == "resume":
        return status == "paused"
    return status in ("validating_files", "queued", "running") or (
        action == "cancel" and status == "paused"
    )


def safe(text: str) -> str:
    """The text as it may stand in the value of an HTML widget: no markup of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
