"""dataset.py: from raw mails to examples, without losing an emoji or leaking a footer."""

import base64
import json
import re
from email.header import Header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import config, dataset


@pytest.fixture(scope="module")
def mails():
    return dataset.read_mails()


@pytest.fixture(scope="module")
def answers():
    path = dataset.newsletter_folder() / "personal_data.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_shipped_mails_clean_to_what_was_written(mails, answers):
    assert len(mails) == len(answers) >= 120
    wrong = [m.path.stem for m in mails
             if dataset.anonymous_text(m) != answers[m.path.stem]["expected"]]  # fmt: skip
    assert len(wrong) <= 2, wrong
    assert [m.path.stem for m in mails if m.subject != answers[m.path.stem]["subject"]] == []


def test_no_frame_no_mojibake_no_markup_is_left(mails):
    for mail in mails:
        assert re.match(r"Hey .+[,!]\n", mail.text), mail.path
        assert not re.search(r"[Uu]nsubscribe|click\.example|View this mail|<p|&#\d", mail.text)
        assert not re.search("ðŸ|â€|[\ud800-\udfff\ufffd\u200b]", mail.text), mail.path
        assert 100 <= len(mail.text.split()) <= 360
        assert "\nChris" in mail.text


def test_the_defects_are_really_there(mails, answers):
    """The raw mails must need the repair that this module teaches."""
    planted = [d for sheet in answers.values() for d in sheet["defects"]]
    for defect in ("latin1_declared", "mojibake_baked", "split_emoji_decimal", "curly_quotes"):
        assert planted.count(defect) >= 10
    by_stem = {mail.path.stem: mail for mail in mails}
    for stem, sheet in answers.items():
        if "split_emoji_decimal" in sheet["defects"]:
            assert re.search(r"&#55\d{3};&#5[67]\d{3};", by_stem[stem].html)
        if "mojibake_baked" in sheet["defects"]:
            assert "ðŸ" in by_stem[stem].html or "â" in by_stem[stem].html


def test_drafts_are_dry_and_close_to_their_mails(mails):
    for mail in mails:
        bullets = dataset.read_draft(mail.draft_path)
        assert 4 <= len(bullets) <= 6
        assert all(3 <= len(bullet.split()) <= 16 for bullet in bullets), mail.path
        assert all(ord(sign) < 0x2500 for sign in "".join(bullets))


def raw_mail(html: str | bytes, charset: str | None = "utf-8", subject: str = "Hi") -> bytes:
    body = html if isinstance(html, bytes) else html.encode(charset or "utf-8")
    of = f'; charset="{charset}"' if charset else ""
    head = (
        f"To: Ana Maria <ana@example.org>\nSubject: {subject}\nMIME-Version: 1.0\n"
        f"Content-Type: text/html{of}\nContent-Transfer-Encoding: base64\n\n"
    )
    return head.encode() + base64.encodebytes(body)


def read(tmp_path, raw: bytes):
    path = tmp_path / "mails" / "001.eml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(raw)
    return dataset.read_mail(path)


LETTER = "<p>Hey Ana,</p><p>Ducks 🦆 don't float “here” – naïve!</p><p>Chris 🧵</p>"
CLEAN = 'Hey Ana,\n\nDucks 🦆 don\'t float "here" – naïve!\n\nChris 🧵'


@pytest.mark.parametrize(
    "charset", ["utf-8", "iso-8859-1", "windows-1252", "us-ascii", "x-odd", None]
)
def test_utf8_is_read_whatever_charset_is_declared(tmp_path, charset):
    mail = read(tmp_path, raw_mail(LETTER.encode(), charset))
    assert mail.text == CLEAN
    assert mail.recipient == dataset.Recipient("Ana Maria", "ana@example.org")


def test_windows_1252_declared_as_utf8(tmp_path):
    data = LETTER.encode("windows-1252", "xmlcharrefreplace")
    assert read(tmp_path, raw_mail(data, "utf-8")).text == CLEAN


def test_mojibake_and_split_emoji(tmp_path):
    mojibake = LETTER.encode().decode("sloppy-windows-1252")
    assert read(tmp_path, raw_mail(mojibake)).text == CLEAN
    halves = LETTER.replace("🦆", "&#55358;&#56710;").replace("🧵", "&#xD83E;&#xDDF5;")
    assert read(tmp_path, raw_mail(halves)).text == CLEAN
    cesu8 = LETTER.encode("utf-16", "surrogatepass").decode("utf-16")
    data = b"".join(
        sign.encode() if ord(sign) < 0x10000 else b"".join(
            chr(half).encode("utf-8", "surrogatepass")
            for half in (0xD800 + (ord(sign) - 0x10000 >> 10), 0xDC00 + (ord(sign) & 0x3FF))
        )
        for sign in cesu8
    )  # fmt: skip
    assert read(tmp_path, raw_mail(data, "utf-8")).text == CLEAN


@given(st.characters(min_codepoint=0x10000))
def test_any_split_character_is_joined(sign):
    high, low = 0xD800 + ((ord(sign) - 0x10000) >> 10), 0xDC00 + (ord(sign) & 0x3FF)
    for split in (f"&#{high};&#{low};", f"&#x{high:x};&#X{low:X};", chr(high) + chr(low)):
        assert dataset.join_surrogates(f"a{split}b") == f"a{sign}b"
    assert dataset.join_surrogates(f"&#{high}; x") == f"&#{high}; x"  # a half stays as it is


@given(st.text(st.characters(max_codepoint=0x7E, min_codepoint=0x20)))
def test_plain_text_is_not_repaired(text):
    assert dataset.repair_text(text) == text


@pytest.mark.parametrize("text", ["👨‍👩‍👧 stays one", "☕️ ❤️ 🏳️‍🌈", "&lt; is written &amp;lt;",
                                  'then "Zoë" comes out as "ZoÃ«"'])  # fmt: skip
def test_what_is_no_damage_stays(text):
    assert dataset.repair_text(text) == text


def test_html_to_text():
    html = """<html><head><style>p{}</style></head><body><!-- x -->
      <div style="display : none">preheader</div><span style="FONT-SIZE: 0px">hidden</span>
      <p class="masthead">View online</p><p>Hi all!</p><div>one<br>two&nbsp;2 <a href="https://t.example
      .net">three</a></div><td>Use <code>git  log</code> &amp; go</td><img width="1">
      <p>Chris</p><p>You are receiving this because</p></body></html>"""
    assert (
        dataset.html_to_text(html) == "Hi all!\n\none\ntwo 2 three\n\nUse `git log` & go\n\nChris"
    )


@given(st.text())
def test_html_to_text_takes_anything(html):
    assert isinstance(dataset.html_to_text(html), str)


def test_subjects(tmp_path):
    encoded = base64.b64encode("Tea ☕🦆".encode()).decode()
    cut = base64.b64encode("Tea ☕🦆".encode()[:5]).decode()
    rest = base64.b64encode("Tea ☕🦆".encode()[5:]).decode()
    for subject in (f"=?utf-8?B?{encoded}?=", f"=?utf-8?B?{cut}?=\n =?UTF-8?B?{rest}?=",
                    "=?utf-8?Q?Tea_=E2=98=95=F0=9F=A6=86?=", "Tea ☕🦆"):  # fmt: skip
        assert read(tmp_path, raw_mail(LETTER, subject=subject)).subject == "Tea ☕🦆"
    assert dataset.decode_words(Header("Ünder", "utf-8").encode()) == "Ünder"


def test_plain_text_and_empty_mails(tmp_path):
    plain = (
        b"To: a@example.org\nContent-Type: text/plain\n\nHey a,\n\nx < y\nz\n\nChris\n\nUnsubscribe"
    )
    assert read(tmp_path, plain).text == "Hey a,\n\nx < y\nz\n\nChris"
    with pytest.raises(ValueError, match="neither"):
        read(tmp_path, b"To: a@example.org\nContent-Type: image/gif\n\nR0lGOD")
    with pytest.raises(FileNotFoundError, match="no .eml"):
        dataset.read_mails(tmp_path / "nothing")


def test_recipients_come_from_the_subscriber_list(mails):
    assert all(m.recipient.name and m.recipient.street and m.recipient.phone for m in mails)
    assert all(m.recipient.email.endswith("@example.org") for m in mails)


def test_topics_are_on_subjects_no_mail_has(mails):
    assert list(dataset.topics()) == ["leaf_blower", "super_robot", "sharks"]
    assert len(dataset.held_out_topics()) == 15
    lists = {**dataset.topics(), **dataset.held_out_topics()}
    assert all(4 <= len(bullets) <= 6 for bullets in lists.values())
    subjects = {mail.path.stem[4:] for mail in mails}
    assert not subjects & {name.replace("_", "-") for name in lists}
    text = " ".join(mail.text.lower() for mail in mails)
    assert not re.search(r"leaf blower|\bsharks?\b|household robot", text)


def test_the_system_prompt_is_short():
    assert 5 < len(dataset.system_prompt().split()) < 40


def test_to_example():
    example = dataset.to_example(["one", "two"], "Hey {User},", "System.")
    assert [m["role"] for m in example["messages"]] == ["system", "user", "assistant"]
    assert example["messages"][1]["content"] == "- one\n- two"
    shipped = dataset.to_example(["x"], "y")
    assert shipped["messages"][0]["content"] == dataset.system_prompt()
    for bullets, answer in (([], "x"), (["x"], " ")):
        with pytest.raises(ValueError, match="at least one bullet"):
            dataset.to_example(bullets, answer)


@given(st.integers(8, 300), st.integers())
def test_split_loses_and_repeats_nothing(n, seed):
    parts = dataset.split(range(n), seed)
    assert sorted(sum(parts, [])) == list(range(n))
    assert parts == dataset.split(range(n), seed)
    assert abs(len(parts[1]) - n / 8) <= 0.5


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.2, 0.1), (1.2, -0.1, -0.1)])
def test_split_refuses_odd_shares(shares):
    with pytest.raises(ValueError, match="add up to 1"):
        dataset.split(range(20), shares=shares)


def test_split_refuses_too_few():
    with pytest.raises(ValueError, match="too few"):
        dataset.split(range(2))


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers()), max_size=5))
def test_jsonl_there_and_back(tmp_path_factory, examples):
    path = tmp_path_factory.mktemp("jsonl") / "deep" / "set.jsonl"
    assert dataset.read_jsonl(dataset.write_jsonl(path, examples)) == examples
    assert b"\r" not in path.read_bytes()


def test_broken_jsonl_names_the_line(tmp_path):
    path = tmp_path / "set.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2},\n', encoding="utf-8")
    with pytest.raises(ValueError, match="line 3"):
        dataset.read_jsonl(path)


def test_chris_dataset_is_built_or_loaded_and_says_which(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(config, "OUTPUT", tmp_path)
    built = dataset.chris_dataset()
    assert "built from the shipped mails" in capsys.readouterr().out
    assert [len(built[part]) for part in ("train", "valid", "test")] == [150, 25, 25]
    for part, path in dataset.dataset_paths().items():
        dataset.write_jsonl(path, built[part][:3])
    loaded = dataset.chris_dataset()
    assert "loaded what notebook 02 made" in capsys.readouterr().out
    assert loaded == {part: examples[:3] for part, examples in built.items()}
