"""Personal data: finding it in a text and replacing it by placeholders.

Two sources work together. Patterns know what an e-mail address, a phone number or a link looks
like. A person's name and town look like any other word: they are found because the mail itself
says whom it was sent to (`dataset.Mail.recipient`), so that record is searched for.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import phonenumbers

KINDS = ("Link", "Email", "Phone", "Address", "City", "User")


@dataclass(frozen=True)
class Finding:
    """One piece of personal data: its kind (one of KINDS), place in the text, and wording."""

    kind: str
    start: int
    end: int
    text: str


URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'`()\[\]{}]*[^\s<>\"'`()\[\]{}.,;:!?]", re.I)
# Addresses of the reader's own machine are lesson material, not somebody's data.
OWN_MACHINE = re.compile(r"(?:https?://)?(?:localhost|127\.|0\.0\.0\.0|192\.168\.|10\.)", re.I)
EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}", re.I)
# A phone number starts with + or 0 or ( or is written in groups as 555-0123 or 212-555-0123.
PHONE = re.compile(
    r"(?<![\w.+/-])(?:\+\d[\d ().-]{6,18}\d|\(?0\d[\d ().-]{5,15}\d"
    r"|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}|\d{3}[ .-]\d{4})(?![\w-]|\.\d)"
)
DATE = re.compile(r"\d{2}([ .-])\d{2}\1\d{4}")
# What stands in a street address whichever the language: a house number beside a street word.
STREET_WORD = (
    r"(?:Street|St|Road|Rd|Lane|Ln|Avenue|Ave|Drive|Close|Court|Crescent|Terrace|Place|Square|"
    r"Row|Walk|Way|Hill|Gardens|Grove|Quay|Mews|Boulevard)"
)
WORD = r"[A-ZÀ-ÖØ-ÞĀŁŚŠŻŽ][\w'’-]*"
PARTICLE = r"(?:d[aeou]s?|del|della|la|le|les|los|las)"
STREET = re.compile(
    rf"\b\d{{1,4}}[a-z]?,? (?:{WORD} ){{1,3}}{STREET_WORD}\b"
    rf"|\b(?:Rue|Via|Calle|Rua|Avenida|Plaza|Piazza) (?:(?:{PARTICLE}|{WORD}) ){{1,3}}\d{{1,4}}\b"
    rf"|\b{WORD}(?:straße|strasse|straat|gasse|weg|gatan|gade|gata|plein) \d{{1,4}}[a-z]?\b"
)
# An answer to "is this the reader's name or the word?": where a name is called out.
CALLED_BEFORE = re.compile(r"(?:\b(?:Hey|Hi|Hello|Dear|Thanks|thanks|Sorry|sorry|you)|,) $")
CALLED_AFTER = re.compile(r"^(?:[,!?.:;)]|'s\b|’s\b)")


def find(
    text: str, names: Iterable[str] = (), known: Mapping[str, Iterable[str]] | None = None
) -> list[Finding]:
    """Personal data in `text`, in the order of the text, never overlapping.

    names: names of the people the text may be about or addressed to.
    known: further wordings by kind, such as {"City": ["Leeds"], "Address": ["3 Hill Row"]}.
    A longer finding wins over a shorter one inside it (a link over the e-mail address in it).
    """
    found = [*_links(text), *_matches("Email", EMAIL, text), *_phones(text)]
    found += _matches("Address", STREET, text)
    for kind, wordings in (known or {}).items():
        for wording in wordings:
            found += _exact(kind, wording, text)
    for name in names:
        found += _name(name, text)
    return _without_overlaps(found)


def replace(
    text: str, names: Iterable[str] = (), known: Mapping[str, Iterable[str]] | None = None
) -> tuple[str, list[Finding]]:
    """`text` with `{User}`, `{City}`, `{Phone}`, `{Email}`, `{Address}` and `{Link}` in place of
    what `find` finds, and the findings (their places are those in the original text)."""
    findings = find(text, names, known)
    pieces, after = [], 0
    for finding in findings:
        pieces += [text[after : finding.start], "{" + finding.kind + "}"]
        after = finding.end
    return "".join([*pieces, text[after:]]), findings


def _matches(kind: str, pattern: re.Pattern, text: str) -> list[Finding]:
    return [Finding(kind, m.start(), m.end(), m.group()) for m in pattern.finditer(text)]


def _links(text: str) -> list[Finding]:
    return [link for link in _matches("Link", URL, text) if not OWN_MACHINE.match(link.text)]


def _phones(text: str) -> list[Finding]:
    return [phone for phone in _matches("Phone", PHONE, text) if _is_phone(phone.text)]


def _is_phone(candidate: str) -> bool:
    """Whether a number of this length exists somewhere (phonenumbers knows the numbering plans).

    A local number (555-0123) has no country to ask about: its pattern must do.
    """
    if re.fullmatch(r"\d{3}[ .-]\d{4}", candidate):
        return candidate.startswith("555")
    if DATE.fullmatch(candidate):
        return False
    region = None if candidate.startswith("+") else "GB" if "0" in candidate[:2] else "US"
    try:
        number = phonenumbers.parse(candidate, region)
    except phonenumbers.NumberParseException:
        return False
    verdict = phonenumbers.is_possible_number_with_reason(number)
    return verdict == phonenumbers.ValidationResult.IS_POSSIBLE


def _exact(kind: str, wording: str, text: str) -> list[Finding]:
    """Every place where `wording` stands as whole words, in either Unicode form."""
    wording = wording.strip()
    if not wording:
        return []
    forms = {unicodedata.normalize(form, wording) for form in ("NFC", "NFD")}
    either = "|".join(re.escape(form) for form in sorted(forms))
    # Line breaks may have replaced spaces inside an address.
    either = either.replace(r"\ ", r"\s+")
    return _matches(kind, re.compile(rf"(?<!\w)(?:{either})(?!\w)"), text)


def _name(name: str, text: str) -> list[Finding]:
    """Every place where `name` is meant. A name that is also a word needs a second sign.

    `Mark` may open a sentence about marking: where the text also holds the word in small
    letters, or it stands at a sentence's start, only a name that is called out counts.
    """
    found = _exact("User", name, text)
    if len(name.split()) > 1 or not _is_also_a_word(name):
        return found
    return [f for f in found if CALLED_BEFORE.search(text[: f.start]) or _ends_a_call(text, f)]


def _ends_a_call(text: str, finding: Finding) -> bool:
    opens_sentence = re.search(r"(?:^|[.!?:)]\s+|\n)$", text[: finding.start]) is not None
    called = CALLED_AFTER.match(text[finding.end :]) is not None
    return called and (not opens_sentence or text[finding.end : finding.end + 1] in ",!")


# First names that are English words too. In lower case they are never a name.
ALSO_WORDS = re.compile(
    "amber|april|art|august|bill|bishop|bob|carol|chase|chip|chuck|clay|cliff|crystal|daisy|dawn|"
    "dean|dot|drew|duke|eve|faith|frank|gale|gene|ginger|grace|grant|guy|hazel|heather|holly|"
    "hope|hunter|iris|ivy|jack|jade|jasmine|jay|jewel|joy|june|lance|lily|mark|mason|may|melody|"
    "mercy|miles|nick|olive|opal|paris|patience|pearl|penny|pepper|piper|ray|reed|rich|rob|robin|"
    "rose|ruby|rusty|sage|sandy|scarlett|sky|star|sue|summer|tab|tucker|victor|violet|wade|will|"
    "willow|woody"
)


def _is_also_a_word(name: str) -> bool:
    return ALSO_WORDS.fullmatch(name.lower()) is not None


def _without_overlaps(findings: list[Finding]) -> list[Finding]:
    """The findings left to right; of two that overlap, the longer (then the earlier kind)."""
    by_weight = sorted(findings, key=lambda f: (-(f.end - f.start), KINDS.index(f.kind), f.start))
    kept: list[Finding] = []
    for finding in by_weight:
        if all(finding.end <= other.start or finding.start >= other.end for other in kept):
            kept.append(finding)
    return sorted(kept, key=lambda finding: finding.start)
