"""From raw newsletters to training examples: reading e-mails, repairing text, splits, JSONL.

The road of one mail: bytes -> MIME parts -> HTML -> text -> repaired text -> (privacy.replace) ->
one chat example whose user message is the draft and whose answer is the mail.
"""

import csv
import email
import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.header import Header, decode_header
from email.message import Message
from email.utils import parseaddr
from pathlib import Path

import ftfy
import ftfy.bad_codecs  # registers the codecs utf-8-variants and sloppy-windows-1252
from bs4 import BeautifulSoup, Comment, NavigableString, Tag

from helpers import config, privacy

SEED = 2027
SHARES = (0.75, 0.125, 0.125)
PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Recipient:
    """Whom a mail was sent to, as far as the mail and the subscriber list know."""

    name: str
    email: str
    street: str = ""
    postcode: str = ""
    city: str = ""
    phone: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The full name and the first name."""
        return tuple(dict.fromkeys(n for n in (self.name, self.name.split(" ")[0]) if n))

    @property
    def known(self) -> dict[str, list[str]]:
        """The other wordings to look for in a text, by kind, as `privacy.find` takes them."""
        town = f"{self.postcode} {self.city}".strip()
        addresses = [f"{self.street}, {town}", f"{self.street}, {self.city}", self.street]
        wordings = {
            "Email": [self.email],
            "Phone": [self.phone],
            "Address": addresses if self.street else [],
            "City": [self.city],
        }
        return {kind: [w for w in words if w] for kind, words in wordings.items()}


@dataclass(frozen=True)
class Mail:
    """One newsletter. `html` is as sent (decoded, not repaired); `text` is the cleaned body, in
    which personal data still stands."""

    path: Path
    subject: str
    recipient: Recipient
    html: str
    text: str

    @property
    def draft_path(self) -> Path:
        """Where the author's bullet draft of this mail lies."""
        return self.path.with_suffix(".draft.txt")


def newsletter_folder() -> Path:
    """The folder of the shipped newsletter data."""
    return config.DATA / "newsletter"


def read_mails(folder: str | Path | None = None) -> list[Mail]:
    """Every `.eml` in `folder` (default: the shipped mails), in the order of their file names.

    Raises FileNotFoundError where there is none.
    """
    folder = Path(folder) if folder else newsletter_folder() / "mails"
    paths = sorted(folder.glob("*.eml"))
    if not paths:
        raise FileNotFoundError(f"There are no .eml files in {folder}.")
    return [read_mail(path) for path in paths]


def read_mail(path: str | Path) -> Mail:
    """One `.eml` file, decoded, cleaned and repaired. Raises ValueError where it holds no body."""
    path = Path(path)
    message = email.message_from_bytes(path.read_bytes())
    html = _html_of(message)
    if html is None:
        raise ValueError(f"{path.name} holds neither an HTML nor a text part.")
    subject = repair_text(decode_words(message["Subject"] or ""))
    return Mail(path, subject, _recipient_of(message, path), html, html_to_text(html))


def decode_words(value: str | Header) -> str:
    """A header as text: RFC 2047 encoded words decoded, a character split over two of them too."""
    pieces = []
    for piece, charset in decode_header(value):
        if isinstance(piece, bytes):
            # Neighbouring encoded words arrive as one run of bytes; `unknown-8bit` is Python's
            # word for a header that was sent raw.
            known = charset not in (None, "unknown-8bit")
            piece = decode_bytes(piece, charset if known else "utf-8")
        pieces.append(piece)
    return re.sub(r"\s*\n\s*", " ", "".join(pieces)).strip()


def decode_bytes(data: bytes, charset: str | None) -> str:
    """The text of a MIME part, by its declared charset as far as that can be believed.

    utf-8 is read with ftfy's forgiving codec, which joins the emoji halves that some mailers
    write (CESU-8). What is declared latin-1 is read as windows-1252, as browsers do; if the
    bytes were utf-8 after all, the result is mojibake that `repair_text` undoes.
    """
    if (charset or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8", "cesu-8"):
        try:
            return data.decode("utf-8-variants")
        except UnicodeDecodeError:
            return data.decode("sloppy-windows-1252")
    if (charset or "").lower() in ("iso-8859-1", "latin-1", "latin1", "windows-1252", "us-ascii"):
        return data.decode("sloppy-windows-1252")
    try:
        return data.decode(charset or "utf-8", errors="replace")
    except LookupError:  # a charset nobody has heard of
        return data.decode("utf-8-variants", errors="replace")


def html_to_text(html: str) -> str:
    """The letter in an HTML mail: paragraphs separated by blank lines, `code` in backticks.

    Left out: what a reader never sees (preheader, tracking pixel, styles), targets of links, and
    the frame around the letter (the line above the greeting, the footer).
    """
    # Before the tags are read: damage is done to bytes, and a `&nbsp;` that is still spelled out
    # cannot be mistaken for a byte of a broken emoji.
    soup = BeautifulSoup(repair_text(html), "html.parser")
    for element in soup.find_all(_is_left_out):
        element.extract()
    for comment in soup.find_all(string=lambda node: isinstance(node, Comment)):
        comment.extract()
    lines = [re.sub(r"[ \t]+", " ", line).strip(" ") for line in _flow(soup).split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
    return cut_frame(repair_text(text))


def repair_text(text: str) -> str:
    """`text` without the damage of transport: mojibake, split emoji, curled quotes, odd spaces.

    The work is ftfy's; what it would change beyond damage is switched off (it may not unescape
    `&lt;` in a mail that is about HTML, nor "repair" a garbled word that is quoted in a line with
    honest letters or emoji beyond ASCII: a line is read back whole or not at all).
    """
    text = join_surrogates(text)
    options = ftfy.TextFixerConfig(
        unescape_html=False,
        decode_inconsistent_utf8=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        normalization="NFC",
    )
    # Mojibake spoils a whole mail in one way, and a single garbled sign is easier to recognise
    # in company: the whole text is tried first, line by line (as fix_text does) after that.
    whole = ftfy.fix_encoding(text, options)
    if whole != text and not ftfy.is_bad(whole):
        text, options = whole, options._replace(fix_encoding=False)
    text = ftfy.fix_text(text, options)
    return re.sub("[\u00ad\u200b\u2060\ufeff]", "", text).replace("\u00a0", " ")


SURROGATE_REFERENCES = re.compile(
    r"&#(?:x(d[89ab][0-9a-f]{2})|(5[56]\d{3}));&#(?:x(d[c-f][0-9a-f]{2})|(5[67]\d{3}));", re.I
)


def join_surrogates(text: str) -> str:
    """Emoji that were split into two surrogate halves, joined again.

    Both forms that mails hold: as numeric references (`&#55357;&#56960;`) and as two lone
    surrogate characters. A half without its other half is left as it is.
    """

    def joined(match: re.Match) -> str:
        high = int(match[1], 16) if match[1] else int(match[2])
        low = int(match[3], 16) if match[3] else int(match[4])
        if not (0xD800 <= high < 0xDC00 <= low < 0xE000):
            return match[0]
        # The formula of UTF-16: 10 bits from each half.
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))

    text = SURROGATE_REFERENCES.sub(joined, text)
    return re.sub(
        "([\ud800-\udbff])([\udc00-\udfff])",
        lambda m: chr(0x10000 + ((ord(m[1]) - 0xD800) << 10) + (ord(m[2]) - 0xDC00)),
        text,
    )


GREETING = re.compile(r"^(?:Hey|Hi|Hello|Dear)\b[^\n]{0,60}[,!]$", re.M)
FOOTER = re.compile(
    r"^(?:You (?:are receiving|receive|get|got) this|This (?:mail|message|letter) was sent|Sent to|"
    r"Sent with|Unsubscribe\b|To unsubscribe|No more mail|Manage your|Your account:|Update your|"
    r"-- $|--$|The Tangled Wire,)",
    re.M,
)


def cut_frame(text: str) -> str:
    """The letter from its greeting to the line before the footer; all of it if neither is there."""
    greeting = GREETING.search(text)
    text = text[greeting.start() :] if greeting else text
    footer = FOOTER.search(text)
    return (text[: footer.start()] if footer else text).strip()


def read_draft(path: str | Path) -> list[str]:
    """The bullets of a draft file, one `- bullet` a line."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("- ").strip() for line in lines if line.strip()]


def system_prompt() -> str:
    """The one system prompt of ChrisGPT, used in training and inference alike."""
    return (newsletter_folder() / "system_prompt.txt").read_text(encoding="utf-8").strip()


def topics() -> dict[str, list[str]]:
    """The bullet lists of `leaf_blower`, `super_robot` and `sharks`."""
    lists = _topics_file()
    return {name: bullets for name, bullets in lists.items() if name != "held_out"}


def held_out_topics() -> dict[str, list[str]]:
    """Fifteen bullet lists on subjects that no mail of the data set has."""
    return _topics_file()["held_out"]


def user_message(bullets: Iterable[str]) -> str:
    """The user message made of a draft: one `- bullet` a line."""
    return "\n".join(f"- {bullet}" for bullet in bullets)


def to_example(bullets: Sequence[str], answer: str, system: str | None = None) -> dict:
    """One training example: system prompt, draft, and the mail as the answer to learn.

    Raises ValueError where the draft or the answer is empty: such an example teaches silence.
    """
    if not bullets or not answer.strip():
        raise ValueError("An example needs at least one bullet and an answer.")
    return {
        "messages": [
            {"role": "system", "content": system_prompt() if system is None else system},
            {"role": "user", "content": user_message(bullets)},
            {"role": "assistant", "content": answer},
        ]
    }


def split(
    examples: Sequence, seed: int = SEED, shares: Sequence[float] = SHARES
) -> tuple[list, list, list]:
    """`examples` shuffled by `seed` and cut into train, validation and test by `shares`.

    Every example lands in exactly one part. Raises ValueError where the shares are not three
    that add up to 1, or where a part with a share would get no example.
    """
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"Three shares that add up to 1 are needed, not {tuple(shares)}.")
    shuffled = list(examples)
    random.Random(seed).shuffle(shuffled)
    n_valid = round(len(shuffled) * shares[1])
    n_test = round(len(shuffled) * shares[2])
    n_train = len(shuffled) - n_valid - n_test
    counts = (n_train, n_valid, n_test)
    if any(share > 0 and count < 1 for share, count in zip(shares, counts, strict=True)):
        raise ValueError(f"{len(shuffled)} examples are too few for the shares {tuple(shares)}.")
    return (
        shuffled[:n_train],
        shuffled[n_train : n_train + n_valid],
        shuffled[n_train + n_valid :],
    )


def write_jsonl(path: str | Path, examples: Iterable[dict]) -> Path:
    """Write one JSON object a line: utf-8, `\\n` line ends on every system, emoji as they are."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for example in examples:
            file.write(json.dumps(example, ensure_ascii=False) + "\n")
    return path


def read_jsonl(path: str | Path) -> list[dict]:
    """The objects of a JSONL file. Raises ValueError naming the line that is not JSON."""
    examples = []
    # Not splitlines(): it would also cut at U+2028, which JSON allows inside a string.
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            examples.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"{Path(path).name}, line {number}: {error}") from None
    return examples


def anonymous_text(mail: Mail) -> str:
    """The mail's text with the reader's data replaced by placeholders."""
    return privacy.replace(mail.text, mail.recipient.names, mail.recipient.known)[0]


def build_examples(folder: str | Path | None = None) -> list[dict]:
    """One example per shipped mail: its author's draft, and its anonymous text as the answer."""
    system = system_prompt()
    return [
        to_example(read_draft(mail.draft_path), anonymous_text(mail), system)
        for mail in read_mails(folder)
    ]


def dataset_paths() -> dict[str, Path]:
    """Where notebook 02 writes its three files, by part."""
    return {part: config.OUTPUT / "datasets" / f"chris_{part}.jsonl" for part in PARTS}


def chris_dataset() -> dict[str, list[dict]]:
    """ChrisGPT's examples as {"train": [...], "valid": [...], "test": [...]}.

    What notebook 02 made is loaded; where it was not run, the same is built from the shipped
    mails and their authors' drafts. A printed line says which.
    """
    paths = dataset_paths()
    if all(path.is_file() for path in paths.values()):
        parts = {part: read_jsonl(path) for part, path in paths.items()}
        source = "loaded what notebook 02 made"
    else:
        parts = dict(zip(PARTS, split(build_examples()), strict=True))
        source = "built from the shipped mails and drafts (notebook 02 has not been run)"
    counts = ", ".join(f"{len(examples)} {part}" for part, examples in parts.items())
    print(f"ChrisGPT's data set: {source}: {counts}.")
    return parts


def _topics_file() -> dict:
    return json.loads((newsletter_folder() / "topics.json").read_text(encoding="utf-8"))


def _html_of(message: Message) -> str | None:
    """The HTML part of a message, or its plain text as HTML, or None."""
    for wanted in ("text/html", "text/plain"):
        for part in message.walk():
            if part.get_content_type() == wanted:
                data = part.get_payload(decode=True) or b""
                text = decode_bytes(data, part.get_content_charset())
                return text if wanted == "text/html" else _plain_as_html(text)
    return None


def _plain_as_html(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    paragraphs = re.split(r"\n\s*\n", escaped.replace("\r\n", "\n"))
    return "".join("<p>" + p.strip().replace("\n", "<br>") + "</p>" for p in paragraphs)


def _recipient_of(message: Message, path: Path) -> Recipient:
    """The To header, completed from the subscriber list beside the folder of mails, if any."""
    name, address = parseaddr(str(message["To"] or ""))
    for row in _subscribers(path.parent.parent / "subscribers.csv"):
        if row["email"] == address:
            return Recipient(**row)
    return Recipient(decode_words(name), address)


def _subscribers(path: Path) -> list[dict[str, str]]:
    """The rows of a subscriber list: email, name, street, postcode, city, phone."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


HIDDEN = re.compile(
    r"display:none|visibility:hidden|max-height:0(?![.\d])|font-size:0(?![.\d])|mso-hide:all"
)
FRAME = re.compile(r"footer|preheader|unsubscribe|masthead|view-online|legal", re.I)
BLOCKS = re.compile(
    "p|div|table|tbody|tr|td|th|ul|ol|li|h[1-6]|hr|blockquote|section|article|header|main|center|"
    "body|html"
)


def _is_left_out(element: Tag) -> bool:
    """Whether an element is no part of the letter: invisible, or the frame around it."""
    if element.name in ("head", "style", "script", "title", "img", "footer"):
        return True
    style = re.sub(r"\s", "", element.get("style") or "").lower()
    marks = [element.get("id") or "", element.get("role") or "", *(element.get("class") or [])]
    return bool(
        HIDDEN.search(style)
        or element.has_attr("hidden")
        or any(FRAME.search(mark) or mark == "contentinfo" for mark in marks)
    )


def _flow(node: Tag) -> str:
    """The text of `node` as a browser would lay it out: `<br>` ends a line, a block a paragraph."""
    pieces = []
    for child in node.children:
        if isinstance(child, NavigableString):
            # White space as HTML means it: a no-break space is none.
            pieces.append(re.sub(r"[ \t\r\n\f]+", " ", child))
        elif child.name == "br":
            pieces.append("\n")
        elif child.name == "code":
            pieces.append(f"`{child.get_text()}`")
        elif BLOCKS.fullmatch(child.name):
            pieces.append(f"\n\n{_flow(child)}\n\n")
        else:
            pieces.append(_flow(child))
    return "".join(pieces)
