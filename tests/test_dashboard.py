"""The dashboard without a browser: its buttons are clicked, and the provider is asked what came."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx2
import openai
import pytest

from helpers import config, dashboard, jobs, widgets


@pytest.fixture(scope="module")
def client():
    return config.client()


@pytest.fixture(scope="module")
def content() -> bytes:
    rows = [
        {"messages": [{"role": "user", "content": f"Where is shelf {n}?"},
                      {"role": "assistant", "content": f"Shelf {n} is in room {n % 3}."}]}
        for n in range(12)
    ]  # fmt: skip
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def wait_until(true, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def test_a_file_is_uploaded_inspected_and_deleted(client, content):
    tab = dashboard.FilesTab(client)
    now = datetime.now(UTC)
    tab.upload.value = [
        {"name": "shelves.jsonl", "type": "", "size": len(content), "last_modified": now,
         "content": memoryview(content)}
    ]  # fmt: skip
    uploaded = tab.list.value
    assert client.files.retrieve(uploaded).filename == "shelves.jsonl"
    tab.buttons["inspect"].click()
    assert "Where is shelf 0?" in tab.said.value
    assert "shelves.jsonl" in tab.table().index
    tab.buttons["delete"].click()
    assert uploaded not in {file.id for file in client.files.list()}


def test_a_broken_file_is_inspected_with_its_line_and_cure(client, content):
    tab = dashboard.FilesTab(client)
    tab.send("broken.jsonl", content + b'{"messages": []}\n')
    tab.buttons["inspect"].click()
    assert "line 13" in tab.said.value
    tab.buttons["delete"].click()


def test_the_form_says_what_is_wrong_and_creates_nothing(client, content):
    board = dashboard.Dashboard(client)
    before = len(list(client.fine_tuning.jobs.list()))
    board.files.send("shelves.jsonl", content)
    board.new.model.value = "workbook-mini"
    assert board.new.training.value is not None  # for the page shows one as chosen
    board.new.training.value = board.files.list.value
    board.new.epochs.value = "many"
    board.new.buttons["create"].click()
    assert "Epochs" in board.new.said.value and "many" in board.new.said.value
    board.new.epochs.value, board.new.model.value = "1", "no-such-model"
    board.new.buttons["create"].click()
    assert "no-such-model" in board.new.said.value
    assert len(list(client.fine_tuning.jobs.list())) == before


def test_a_job_is_created_followed_and_cancelled_by_its_buttons(client, content):
    board = dashboard.Dashboard(client)
    board.files.send("shelves.jsonl", content)
    form = board.new
    form.model.value, form.suffix.value = "workbook-mini", "shelves"
    form.training.value = form.validation.value = board.files.list.value
    form.epochs.value, form.batch.value, form.rate.value, form.seed.value = "50", "2", "0.5", "3"
    form.buttons["create"].click()
    assert "is created" in form.said.value
    (job_id,) = board.jobs.list.value
    job = client.fine_tuning.jobs.retrieve(job_id)
    chosen = job.method.supervised.hyperparameters
    assert (chosen.n_epochs, chosen.batch_size, chosen.learning_rate_multiplier) == (50, 2, 0.5)
    assert (job.seed, job.user_provided_suffix) == (3, "shelves")

    def has_steps() -> bool:
        board.jobs.keep_up(poll=0.1, rounds=1)
        return len(jobs.loss_history(board.jobs.events[job_id])) >= 5

    wait_until(has_steps)
    board.jobs.update(redraw=True)
    assert bytes(board.jobs.curve.value).startswith(b"\x89PNG")
    assert {"step", "training loss", "validation loss"} <= set(board.jobs.detail(job_id))
    assert board.jobs.bar.max == 300
    board.jobs.buttons["cancel"].click()
    wait_until(lambda: client.fine_tuning.jobs.retrieve(job_id).status == "cancelled")
    board.jobs.refresh()
    board.jobs.update(redraw=True)
    assert board.jobs.buttons["cancel"].disabled
    drawn = jobs.loss_history(board.jobs.events[job_id])
    told = jobs.loss_history(jobs.all_events(client, job_id))
    assert drawn["train_loss"].tolist() == told["train_loss"].tolist()[: len(drawn)]


def test_several_jobs_lie_over_each_other_and_the_still_is_complete(client, content):
    board = dashboard.Dashboard(client)
    board.files.send("shelves.jsonl", content)
    for suffix in ("one", "two"):
        job = client.fine_tuning.jobs.create(
            model="workbook-mini", training_file=board.files.list.value, suffix=suffix,
            hyperparameters={"n_epochs": 1},
        )  # fmt: skip
        jobs.follow(client, job.id)
    board.jobs.refresh()
    latest = [job.id for job in client.fine_tuning.jobs.list(limit=2).data]
    board.jobs.list.value = tuple(latest)
    board.jobs.update(redraw=True)
    assert len(board.jobs.histories()) == 2
    assert "one" in board.jobs.sentence() and "two" in board.jobs.sentence()
    assert {"one", "two"} <= set(board.jobs.table()["job"])


def test_twenty_updates_a_second_draw_twice_a_second(client, monkeypatch):
    tab = dashboard.JobsTab(client)
    drawn = []
    monkeypatch.setattr(tab, "_draw", lambda: drawn.append(tab.__setattr__("_drawn", tab_time())))
    monkeypatch.setattr(tab, "_fetch", lambda job_id: True)
    clock = [0.0]

    def tab_time() -> float:
        return clock[0]

    monkeypatch.setattr(dashboard.time, "monotonic", tab_time)
    tab._drawn = 0.0
    for _ in range(100):  # five seconds of twenty updates
        clock[0] += 0.05
        tab.update()
    assert 9 <= len(drawn) <= 10


# From here on nothing trains: a provider of our own, which remembers what it was asked.


def a_job(name: str, **more) -> SimpleNamespace:
    numbers = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 1.0}
    numbers |= {key: more.pop(key) for key in list(more) if key in numbers}
    told = {"id": f"ftjob-{name}", "status": "running", "user_provided_suffix": name,
            "model": "workbook-mini", "fine_tuned_model": None, "training_file": "file-1",
            "trained_tokens": None, "hyperparameters": SimpleNamespace(**numbers)}  # fmt: skip
    return SimpleNamespace(**{**told, **more})


def some_events(name: str, steps: int, total: int | None = 40) -> list:
    """Newest first, as the API lists them."""
    rows = [
        {"step": n, "train_loss": 4 / n, "train_mean_token_accuracy": n / 100, "total_steps": total}
        for n in range(1, steps + 1)
    ]
    found = [
        SimpleNamespace(id=f"{name}-{row['step']}", type="metrics", data=row, message="",
                        created_at=row["step"])
        for row in rows
    ]  # fmt: skip
    hello = SimpleNamespace(id=f"{name}-0", type="message", data={}, message=f"hello from {name}",
                            created_at=0)  # fmt: skip
    return [*found[::-1], hello]


class Provider:
    """What the dashboard calls of the SDK's client; `refusal` is what every change meets."""

    def __init__(self, known: list, events: dict | None = None, refusal: Exception | None = None):
        self.known, self.events, self.refusal = known, events or {}, refusal
        self.created: list[dict] = []
        file = SimpleNamespace(id="file-1", filename="a.jsonl", bytes=9, status="processed",
                               purpose="fine-tune")  # fmt: skip
        self.files = SimpleNamespace(list=lambda: [file], delete=self._refuse, content=self._text)
        self.models = SimpleNamespace(list=lambda: [SimpleNamespace(id="workbook-mini")])
        checkpoints = SimpleNamespace(list=self._checkpoints)
        self.fine_tuning = SimpleNamespace(
            jobs=SimpleNamespace(
                list=lambda limit: list(self.known), create=self._create, cancel=self._refuse,
                list_events=lambda job_id, limit: self.events.get(job_id, []),
                retrieve=lambda job_id: next(job for job in self.known if job.id == job_id),
                checkpoints=checkpoints,
            )
        )  # fmt: skip

    def _text(self, file_id):
        return SimpleNamespace(text="")

    def _refuse(self, *_, **__):
        raise self.refusal

    def _create(self, **wish):
        if self.refusal:
            raise self.refusal
        self.created.append(wish)
        self.known.insert(0, a_job("new"))
        return self.known[0]

    def _checkpoints(self, job_id):
        metrics = SimpleNamespace(full_valid_loss=1.5)
        return [SimpleNamespace(step_number=7, metrics=metrics,
                                fine_tuned_model_checkpoint=f"{job_id}:ckpt-step-7")]  # fmt: skip


def refusing(message: str) -> openai.APIError:
    response = httpx2.Response(403, request=httpx2.Request("POST", "http://provider"))
    return openai.PermissionDeniedError(message, response=response, body=None)


@pytest.fixture
def free(monkeypatch):
    monkeypatch.setattr(config, "provider", lambda: SimpleNamespace(name="local", paid=False))


def test_the_form_sends_every_option_it_offers(free):
    provider = Provider([])
    form = dashboard.Dashboard(provider).new
    form.model.value, form.suffix.value = "workbook-mini", " mine "
    form.training.value = form.validation.value = "file-1"
    form.seed.value, form.epochs.value, form.batch.value, form.rate.value = "3", "2", "4", "0.5"
    form.metadata.value = "owner = Ada\n\nnote=a=b"
    form.buttons["create"].click()
    numbers = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}
    assert provider.created == [
        {"model": "workbook-mini", "training_file": "file-1", "validation_file": "file-1",
         "suffix": "mine", "seed": 3, "metadata": {"owner": "Ada", "note": "a=b"},
         "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}}}
    ]  # fmt: skip


def test_what_is_auto_is_left_to_the_provider(free):
    provider = Provider([])
    form = dashboard.Dashboard(provider).new
    form.model.value = "workbook-mini"
    form.epochs.value = ""
    form.buttons["create"].click()
    (wish,) = provider.created
    assert set(wish) == {"model", "training_file", "method"}
    assert set(wish["method"]["supervised"]["hyperparameters"].values()) == {"auto"}


@pytest.mark.parametrize(
    ("field", "value"), [("metadata", "owner"), ("metadata", "=x"), ("seed", "x"), ("rate", "fast")]
)
def test_a_field_that_cannot_be_read_is_named_and_nothing_is_sent(free, field, value):
    provider = Provider([])
    form = dashboard.Dashboard(provider).new
    form.model.value = "workbook-mini"
    part = getattr(form, field)
    part.value = value
    form.buttons["create"].click()
    assert part.description in form.said.value and value in form.said.value
    assert provider.created == []


def test_a_refusal_is_told_in_the_panel_whatever_was_asked(free):
    provider = Provider([a_job("one")], refusal=refusing("not on <this> plan"))
    board = dashboard.Dashboard(provider)
    board.new.model.value = "workbook-mini"
    board.new.buttons["create"].click()
    board.jobs.buttons["cancel"].click()
    board.files.list.value = "file-1"
    board.files.buttons["delete"].click()
    for tab in (board.new, board.jobs, board.files):
        assert "not on &lt;this> plan" in tab.said.value


def test_a_provider_that_lists_nothing_says_why_and_the_board_still_stands():
    provider = Provider([])

    def refuse(*_, **__):
        raise refusing("no listing")

    provider.files.list = provider.models.list = provider.fine_tuning.jobs.list = refuse
    board = dashboard.Dashboard(provider)
    for tab in (board.files, board.jobs, board.new):
        assert "no listing" in tab.said.value


def test_the_curve_switches_to_accuracy_and_its_axis_spans_the_whole_job():
    tab = dashboard.JobsTab(Provider([a_job("one")], {"ftjob-one": some_events("one", 5)}))
    loss = bytes(tab.curve.value)
    assert tab.figure().axes[0].get_xlim() == (0, 40)
    assert "Training loss" in tab.caption.value
    tab.measure.value = "accuracy"
    assert "Token accuracy rose from 1% to" in tab.caption.value
    assert tab.figure().axes[0].get_xlim() == (0, 40)
    assert "per cent" in tab.figure().axes[0].get_ylabel()
    assert bytes(tab.curve.value) not in (b"", loss)


def test_validation_losses_are_compared_of_those_jobs_that_report_them():
    known, events = [], {}
    for number, name in enumerate(("one", "two", "blind"), start=1):
        known.append(a_job(name))
        events[f"ftjob-{name}"] = some_events(name, 4)
        for event in events[f"ftjob-{name}"]:
            if event.data and name != "blind":
                event.data["valid_loss"] = float(number)
    tab = dashboard.JobsTab(Provider(known, events))
    tab.list.value = tuple(events)
    tab.measure.value = "validation loss"
    axes = tab.figure().axes[0]
    assert [set(line.get_ydata()) for line in axes.lines] == [{1.0}, {2.0}]
    assert "blind" not in tab.sentence()
    tab.list.value = ("ftjob-blind",)
    assert tab.figure() is None
    assert tab.caption.value == "No chosen job has reported its validation loss."


def test_several_jobs_share_an_axis_as_long_as_the_longest_if_all_say_how_long_they_are():
    known = [a_job("one"), a_job("two")]
    events = {"ftjob-one": some_events("one", 3, 40), "ftjob-two": some_events("two", 5, 90)}
    provider = Provider(known, events)
    tab = dashboard.JobsTab(provider)
    tab.list.value = ("ftjob-one", "ftjob-two")
    assert tab.figure().axes[0].get_xlim() == (0, 90)
    tab.measure.value = "accuracy"
    assert "accuracy" in tab.figure().axes[0].get_title(loc="left")
    silent = dashboard.JobsTab(
        Provider(known, {**events, "ftjob-two": some_events("two", 5, None)})
    )
    silent.list.value = ("ftjob-one", "ftjob-two")
    assert silent.figure().axes[0].get_xlim()[1] < 10
    assert silent.detail("ftjob-two")["step"] == "5 of unknown"


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ([a_job("a")], ["a"]),
        ([a_job("a"), a_job("b")], ["a", "b"]),
        (
            [a_job("a", id=f"j{m}", learning_rate_multiplier=m) for m in (0.1, 2.0)],
            ["multiplier 0.1", "multiplier 2"],
        ),
        ([a_job("a", id="j1", n_epochs=1), a_job("b", id="j2")], ["a, 1 epoch", "b, 2 epochs"]),
        ([a_job("a", id="job-0001"), a_job("a", id="job-0002")], ["a …0001", "a …0002"]),
        ([a_job("", id="j1", fine_tuned_model="ft:x"), a_job("", id="j2")],
         ["ft:x", "workbook-mini"]),
        ([a_job("a", id="j1", hyperparameters=None), a_job("a", id="j2")],
         ["a", "multiplier 1, 2 epochs, batch size 4"]),
    ],
)  # fmt: skip
def test_a_label_says_in_what_jobs_differ(known, said):
    found = dashboard.labels(known)
    assert list(found) == [job.id for job in known]
    assert list(found.values()) == said


def test_messages_and_checkpoints_are_those_of_the_picked_job_and_stay_so():
    known = [a_job("one"), a_job("two")]
    events = {job.id: some_events(job.user_provided_suffix, 3) for job in known}
    tab = dashboard.JobsTab(Provider(known, events))
    tab.list.value = ("ftjob-one", "ftjob-two")
    assert [value for _, value in tab.detailed.options] == ["ftjob-one", "ftjob-two"]
    assert "hello from one" in tab.messages.value
    tab.detailed.value = "ftjob-two"
    assert "hello from two" in tab.messages.value
    assert "ftjob-two:ckpt-step-7" in tab.checkpoints.value
    known[0].status = "succeeded"  # the list is written anew; the choice stays
    tab.keep_up(poll=0, rounds=1)
    assert tab.list.value == ("ftjob-one", "ftjob-two") and tab.detailed.value == "ftjob-two"
    assert "hello from two" in tab.messages.value
    tab.list.value = ("ftjob-one",)
    assert "hello from one" in tab.messages.value


def test_older_jobs_are_counted_and_listed_on_demand():
    tab = dashboard.JobsTab(Provider([a_job(f"n{number}") for number in range(11)]))
    assert len(tab.list.options) == 8 and "newest 8" in tab.count.value
    tab.more.click()
    assert len(tab.list.options) == 11 and "all 11" in tab.count.value
    assert tab.more.disabled
    fresh = dashboard.JobsTab(Provider([a_job(f"n{number}") for number in range(11)]))
    fresh.choose(["ftjob-n9", "ftjob-gone"])
    assert fresh.list.value == ("ftjob-n9",)


def test_an_answer_that_was_asked_for_earlier_does_not_undo_a_new_choice():
    old, new = a_job("old"), a_job("new")
    provider, asked, chosen = Provider([old]), threading.Event(), threading.Event()
    tab = dashboard.JobsTab(provider)

    def slow(limit):  # it knows nothing yet of the new job, and comes after the choice if it can
        provider.fine_tuning.jobs.list = lambda limit: list(provider.known)
        asked.set()
        chosen.wait(1)
        return [old]

    provider.fine_tuning.jobs.list = slow
    thread = threading.Thread(target=tab.refresh)
    thread.start()
    asked.wait()
    provider.known = [new, old]
    tab.refresh()
    tab.choose([new.id])
    chosen.set()
    thread.join()
    assert tab.list.value == (new.id,)


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, as (object, arguments)."""
    found = []
    for module in (dashboard, widgets, dashboard.plots):
        monkeypatch.setattr(module, "display", lambda what, **more: found.append((what, more)))
    return found


def test_without_anybody_watching_show_leaves_the_still(shown):
    provider = Provider([a_job("one")], {"ftjob-one": some_events("one", 5)})
    dashboard.Dashboard(provider).show()
    files, jobs_table = (what for what, _ in shown[:2])
    assert "a.jsonl" in files.index and "one" in set(jobs_table["job"])
    assert "one: Training loss" in shown[2][1]["metadata"]["image/png"]["alt"]


def test_a_live_board_carries_words_and_tables_for_pages_without_widgets(shown, monkeypatch):
    monkeypatch.setattr(dashboard, "interactive", lambda: True)
    monkeypatch.setattr(dashboard.JobsTab, "keep_up", lambda self: None)
    provider = Provider([a_job("<b>")], {"ftjob-<b>": some_events("one", 5)})
    dashboard.Dashboard(provider).show()
    ((bundle, more),) = shown
    assert more["raw"] and "application/vnd.jupyter.widget-view+json" in bundle
    assert "client.fine_tuning.jobs" in bundle["text/plain"] and "VBox" not in bundle["text/plain"]
    assert "a.jsonl" in bundle["text/html"] and 'alt="&lt;b>: Training' in bundle["text/html"]


def test_the_panel_of_one_job_says_in_words_what_stands_there(shown, monkeypatch):
    provider = Provider([a_job("one")], {"ftjob-one": some_events("one", 5)})
    panel = widgets.JobPanel(provider, "ftjob-one")
    panel.show()
    ((bundle, _),) = shown
    assert "jobs.follow(client, job_id)" in bundle["text/plain"] and len(bundle) == 1
    monkeypatch.setattr(widgets, "interactive", lambda: True)
    monkeypatch.setattr(panel, "_keep_up", lambda poll: None)
    panel.show()
    assert {"text/plain", "application/vnd.jupyter.widget-view+json"} <= set(shown[1][0])
    assert "jobs.follow" in shown[1][0]["text/plain"]
    panel.still()
    assert "Training loss" in shown[2][1]["metadata"]["image/png"]["alt"]
