"""privacy.py: what is found, what is left alone, and recall and precision on the shipped mails."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import dataset, privacy


def kinds(text, names=(), known=None):
    return [(f.kind, f.text) for f in privacy.find(text, names, known)]


@pytest.mark.parametrize(
    "number",
    ["(212) 555-0142", "+1 503-555-0187", "415-555-0123", "+1 718 555 0100", "555-0171",
     "+44 1632 960123", "+44 1632 960 123", "01632 960 123"],
)  # fmt: skip
def test_phone_numbers(number):
    assert kinds(f"Ring me on {number}. Or do not.") == [("Phone", number)]


@pytest.mark.parametrize(
    "text",
    ["It has 32,768 ticks and costs 1 200 000 units.", "On 2026-11-20 at 16:04.", "05-11-2026",
     "commit 3fa9c1e, port 8080, 192.168.0.1", "ISBN 978-0-306-40615-7", "version 3.11.0",
     "from 1999-2004", "0x1F600 and 0b1010", "3 more steps on my way", "12 Angry Ducks"],
)  # fmt: skip
def test_numbers_that_are_no_personal_data(text):
    assert kinds(text) == []


@pytest.mark.parametrize(
    "text",
    ["3 Hill Row", "1204 Saltbush Drive", "17 St Odo's Place", "Rue des Aulnes 18",
     "Via Lumaca 5", "Lindenstraße 12", "Ligustergasse 4b", "Björkgatan 19"],
)  # fmt: skip
def test_streets(text):
    assert kinds(f"It is on its way to {text}.") == [("Address", text)]


def test_links_and_mail_addresses():
    text = "See https://account.example.net/u/x7, or write to a.b+c@mail.example.org!"
    assert kinds(text) == [
        ("Link", "https://account.example.net/u/x7"),
        ("Email", "a.b+c@mail.example.org"),
    ]
    inside = "https://x.example.net/?who=a@example.org"
    assert kinds(inside) == [("Link", inside)]  # the longer finding wins


def test_the_readers_own_machine_is_no_personal_data():
    assert kinds("Open http://localhost:8888/lab or http://127.0.0.1:5000.") == []


def test_names_in_every_form():
    assert kinds("Hey Zoë, Zoë's cat", ["Zoë"]) == [("User", "Zoë"), ("User", "Zoë")]
    decomposed = "Zoe\u0308"
    assert kinds(f"Hey {decomposed}!", ["Zoë"]) == [("User", decomposed)]
    assert kinds("Samantha sambas", ["Sam"]) == []
    assert kinds("Hey Mei-Ling Szeto!", ["Mei-Ling Szeto", "Mei-Ling"]) == [
        ("User", "Mei-Ling Szeto")
    ]


def test_a_name_that_is_a_word_needs_a_second_sign():
    text = "Hey Mark,\n\nMark each line. A question mark? Thanks Mark, Mark! I, Mark."
    assert [f.start for f in privacy.find(text, ["Mark"])] == [4, 51, 57, 66]
    assert kinds("Will it rain? I Will tell.", ["Will"]) == []


def test_known_wordings_and_the_longest_wins():
    known = {"City": ["Leeds"], "Address": ["3 Hill Row, 4021 Leeds", "3 Hill Row"]}
    text = "From Leeds to 3 Hill Row,\n4021 Leeds."
    assert privacy.replace(text, known=known)[0] == "From {City} to {Address}."


@settings(deadline=None)
@given(st.text(), st.lists(st.text(max_size=5), max_size=3))
def test_replacing_keeps_everything_else(text, names):
    replaced, findings = privacy.replace(text, names)
    rebuilt, after = "", 0
    for finding in findings:
        assert text[finding.start : finding.end] == finding.text and finding.start >= after
        rebuilt += text[after : finding.start] + "{" + finding.kind + "}"
        after = finding.end
    assert rebuilt + text[after:] == replaced


@settings(deadline=None)
@given(st.sampled_from(["{User}", "{City}", "{Phone}", "{Email}", "{Address}", "{Link}"]))
def test_placeholders_are_left_alone(placeholder):
    assert privacy.find(f"Hey {placeholder}, hello.") == []


@pytest.fixture(scope="module")
def answers():
    path = dataset.newsletter_folder() / "personal_data.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def mails():
    return dataset.read_mails()


def test_recall_and_precision_on_the_shipped_mails(mails, answers):
    found, planted = Counter(), Counter()
    for mail in mails:
        findings = privacy.find(mail.text, mail.recipient.names, mail.recipient.known)
        found.update((mail.path.stem, f.kind, f.text) for f in findings)
        sheet = answers[mail.path.stem]["planted"]
        planted.update((mail.path.stem, item["kind"], item["text"]) for item in sheet)
    right = (found & planted).total()
    assert planted.total() > 200
    assert right / planted.total() >= 0.99, planted - found
    assert right / found.total() >= 0.99, found - planted


def test_nothing_personal_is_left_in_any_answer(mails, answers):
    for mail in mails:
        text = dataset.anonymous_text(mail)
        for item in answers[mail.path.stem]["footer"] + answers[mail.path.stem]["planted"]:
            if item["kind"] != "User":  # a name may be an everyday word
                assert item["text"] not in text
        assert mail.recipient.name not in text
        assert "example." not in text
