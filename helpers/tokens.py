"""Counting tokens exactly, without a network: encodings, and the tokens of a training example.

A hosted provider bills tokens, and a training example must fit the model's context. Both need the
model's own tokenizer: an estimate by characters is far off for emoji and for other languages, so
nothing here ever falls back to one silently.
"""

import hashlib
import importlib.util
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path

import tiktoken
from tokenizers import Tokenizer

# The rank file of each encoding: its name in a tiktoken cache (sha1 of the address it is
# published at) and the sha256 of its content, both as tiktoken 0.14 expects them.
RANK_FILES = {
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
}
RANK_FILES["o200k_harmony"] = RANK_FILES["o200k_base"]  # the same ranks, more special tokens

# Which family of models reads with which encoding. Kept by hand because
# tiktoken.encoding_for_model("ft:gpt-4.1-...") answers cl100k_base, which is wrong.
ENCODING_OF_FAMILY = {
    "gpt-5.6": "o200k_base",
    "gpt-5.5": "o200k_base",
    "gpt-5.4": "o200k_base",
    "gpt-5.3": "o200k_base",
    "gpt-5.2": "o200k_base",
    "gpt-5.1": "o200k_base",
    "gpt-5": "o200k_base",
    "gpt-4.5": "o200k_base",
    "gpt-4.1": "o200k_base",
    "gpt-4o": "o200k_base",
    "chatgpt-4o": "o200k_base",
    "o1": "o200k_base",
    "o3": "o200k_base",
    "o4-mini": "o200k_base",
    "gpt-oss": "o200k_harmony",
    "gpt-4": "cl100k_base",
    "gpt-3.5-turbo": "cl100k_base",
    "gpt-35-turbo": "cl100k_base",  # Azure spells it so
    "davinci-002": "cl100k_base",
    "babbage-002": "cl100k_base",
    "text-embedding-3": "cl100k_base",
    "text-embedding-ada-002": "cl100k_base",
}

LOCAL_MODEL = "workbook-mini"
ADDED_PER_MESSAGE = 3  # <|im_start|>, <|im_sep|> and <|im_end|>
ADDED_PER_EXAMPLE = 3  # the opening of the answer that the model is about to write


class RankFilesMissing(RuntimeError):
    """The tokenizer's rank file is nowhere on this machine."""


class UnknownModel(ValueError):
    """No encoding is on record for this model."""


@dataclass(frozen=True)
class LocalEncoding:
    """A tokenizer of our own (`tokenizer.json`) with the two methods counting needs."""

    name: str
    tokenizer: Tokenizer
    # ChatML as the base model reads it: <|im_start|>role, newline, content, <|im_end|>, newline.
    added_per_message: int = 4
    added_per_example: int = 0

    def encode_ordinary(self, text: str) -> list[int]:
        """Token ids of `text`."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        """The text of token ids."""
        return self.tokenizer.decode(ids, skip_special_tokens=False)


def encoding(name: str) -> tiktoken.Encoding:
    """The tiktoken encoding `name`, read from rank files that are already on this machine.

    Looks in TIKTOKEN_CACHE_DIR if that is set, then in the llama-index-core wheel, which ships
    the files. Raises ValueError for an unknown name and RankFilesMissing (with the cure) where no
    file is found; it never downloads.
    """
    if name not in tiktoken.list_encoding_names():
        raise ValueError(f"No encoding is called {name!r}; there are {sorted(RANK_FILES)}.")
    folder = rank_folder(name)
    with _environment("TIKTOKEN_CACHE_DIR", str(folder)):
        return tiktoken.get_encoding(name)


def rank_folder(name: str) -> Path:
    """The folder that holds the rank file of encoding `name`, unharmed."""
    places = _candidate_folders()
    if name in RANK_FILES:
        file_name, sha256 = RANK_FILES[name]
        for folder in places:
            if _sha256(folder / file_name) == sha256:
                return folder
    looked = ", ".join(str(place) for place in places) or "no folder at all"
    raise RankFilesMissing(
        f"The rank file of {name} is not on this machine (looked in: {looked}). Cure: "
        "`python -m pip install llama-index-core==0.14.25`, whose wheel carries cl100k_base and "
        "o200k_base, or set TIKTOKEN_CACHE_DIR to a folder that tiktoken filled while online."
    )


def encoding_for(model: str) -> tiktoken.Encoding | LocalEncoding:
    """The encoding that `model` reads with, fine-tuned names (`ft:...`) included.

    `workbook-mini` and its fine-tunes give the tokenizer of the base model on this machine.
    Raises UnknownModel where none is on record.
    """
    base = base_model_of(model)
    if base == LOCAL_MODEL:
        return _default_local_encoding()
    return encoding(encoding_name_for(base))


def encoding_name_for(model: str) -> str:
    """The name of the encoding of a hosted model, e.g. `o200k_base`. Raises UnknownModel."""
    base = base_model_of(model)
    for family in sorted(ENCODING_OF_FAMILY, key=len, reverse=True):
        if base == family or base.startswith(family + "-"):
            return ENCODING_OF_FAMILY[family]
    raise UnknownModel(
        f"No encoding is on record for {model!r}. If its maker documents one, add it to "
        "ENCODING_OF_FAMILY in helpers/tokens.py, or count with encoding('o200k_base') and call "
        "the figure an estimate."
    )


def base_model_of(model: str) -> str:
    """`ft:gpt-4.1-mini-2025-04-14:org:suffix:id` becomes `gpt-4.1-mini-2025-04-14`."""
    return model.split(":")[1] if model.startswith("ft:") else model


def local_encoding(path: str | Path | None = None) -> LocalEncoding:
    """The tokenizer in `path` (a `tokenizer.json` or its folder; default: the base model's).

    Raises RankFilesMissing where there is no such file.
    """
    if path is None:
        path = _base_model_folder()
    file = Path(path)
    file = file / "tokenizer.json" if file.is_dir() else file
    if not file.is_file():
        raise RankFilesMissing(
            f"There is no tokenizer at {file}. Cure: restore data/base_model from the repository."
        )
    return LocalEncoding(LOCAL_MODEL, Tokenizer.from_file(str(file)))


def count_text(text: str, enc: tiktoken.Encoding | LocalEncoding) -> int:
    """How many tokens `text` is. Spellings of special tokens count as the plain text they are."""
    return len(enc.encode_ordinary(text))


def count_message(message: dict, enc: tiktoken.Encoding | LocalEncoding) -> int:
    """Tokens of one chat message: the added ones, its role, its texts and its tool calls.

    Formula: OpenAI cookbook, `How_to_count_tokens_with_tiktoken` and `Chat_finetuning_data_prep`
    (3 a message, the tokens of every text, 1 more for a name). The numeric `weight` costs nothing.
    """
    total = getattr(enc, "added_per_message", ADDED_PER_MESSAGE)
    for key, value in message.items():
        if key == "tool_call_id":
            continue
        total += sum(count_text(text, enc) for text in _texts(value))
        total += key == "name"
    return total


def count_example(example: dict, enc: tiktoken.Encoding | LocalEncoding) -> int:
    """Tokens of one training example `{"messages": [...]}`: what one epoch over it is billed at.

    The documented formula says nothing about the definitions in `tools`, so they are not in this
    number; `count_tools` estimates them and `tools_note` says so in words. Images are not counted.
    """
    added = getattr(enc, "added_per_example", ADDED_PER_EXAMPLE)
    return added + sum(count_message(message, enc) for message in example["messages"])


def count_jsonl(text: str, model: str) -> int:
    """Tokens of a training file's text, an example a line, with the encoding of `model`.

    Raises UnknownModel where nobody knows the model's encoding, ValueError for a line of no JSON.
    """
    enc = encoding_for(model)
    return sum(count_example(json.loads(line), enc) for line in text.splitlines() if line.strip())


def count_tools(example: dict, enc: tiktoken.Encoding | LocalEncoding) -> int:
    """An estimate of what an example's tool definitions add: the tokens of their compact JSON.

    Providers rewrite the definitions in a form they do not publish; expect this within about a
    third of the truth.
    """
    tools = example.get("tools")
    if not tools:
        return 0
    return count_text(json.dumps(tools, ensure_ascii=False, separators=(",", ":")), enc)


def tools_note(examples: list[dict], enc: tiktoken.Encoding | LocalEncoding) -> str:
    """One sentence on what tool definitions add to a data set; empty where there are none."""
    counts = [count_tools(example, enc) for example in examples if example.get("tools")]
    if not counts:
        return ""
    return (
        f"{len(counts)} examples define tools: about {sum(counts):,} tokens more, an estimate, "
        "since no formula for tool definitions is published."
    )


def pieces(text: str, enc: tiktoken.Encoding | LocalEncoding) -> list[str]:
    """`text` cut where its tokens end. Tokens that are parts of one character (an emoji can be
    four) stay together, so there may be fewer pieces than tokens."""
    cut: list[str] = []
    waiting: list[int] = []
    for token in enc.encode_ordinary(text):
        waiting.append(token)
        piece = enc.decode(waiting)
        if not piece.endswith("\ufffd"):
            cut.append(piece)
            waiting = []
    return [*cut, enc.decode(waiting)] if waiting else cut


def mask_html(example: dict, enc: LocalEncoding) -> str:
    """An example as HTML, token by token as the local model reads it, with what it is trained on
    marked: trained tokens on blue and underlined, read ones on grey.

    Each token has a ground of its own, so that it is read as well on a dark page as on a light one.
    """
    rows = []
    for message in example["messages"]:
        trained = message["role"] == "assistant" and message.get("weight", 1) != 0
        opening = ["<|im_start|>", f"{message['role']}\n"]
        rows += [(piece, False) for piece in opening]
        rows += [(piece, trained) for piece in pieces(message["content"], enc)]
        rows += [("<|im_end|>", trained), ("\n", False)]
    styles = {
        True: "background:#cfe8fc;color:#00294d;border-bottom:2px solid #0072b2",
        False: "background:#f3f3f3;color:#444;border-bottom:1px dotted #767676",
    }
    spans = (
        f'<span style="{styles[trained]};margin-right:1px">{escape(piece)}</span>'
        for piece, trained in rows
    )
    legend = "<p>Underlined on blue: trained on. On grey: only read.</p>"
    return f'{legend}<pre style="white-space:pre-wrap">{"".join(spans)}</pre>'


def _texts(value: object) -> list[str]:
    """Every text inside a message's value: itself, the text parts of a list, a tool call's parts.

    Ids and type names are markup, not text that the model reads.
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    if isinstance(value, dict):
        markup = ("id", "type", "image_url")
        return [text for key, item in value.items() if key not in markup for text in _texts(item)]
    return []


def _candidate_folders() -> list[Path]:
    """Where rank files may lie: the learner's own tiktoken cache, then the llama-index wheel."""
    own = os.environ.get("TIKTOKEN_CACHE_DIR")
    folders = [Path(own)] if own else []
    # find_spec on the parent, a namespace package, imports nothing: importing llama_index.core
    # itself would take seconds and half a dozen libraries for the sake of two files.
    spec = importlib.util.find_spec("llama_index")
    for root in (spec.submodule_search_locations or []) if spec else []:
        folders.append(Path(root) / "core" / "_static" / "tiktoken_cache")
    return folders


@lru_cache(maxsize=16)
def _sha256_of(path: Path, size: int, changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sha256(path: Path) -> str | None:
    """The file's sha256, or None. Checked by us, since tiktoken deletes a file that fails it."""
    if not path.is_file():
        return None
    stat = path.stat()
    return _sha256_of(path, stat.st_size, stat.st_mtime_ns)


def _base_model_folder() -> Path:
    """The shipped base model, or the one that the setting LOCAL_BASE_MODEL names."""
    from decouple import AutoConfig

    from helpers import config

    other = AutoConfig(search_path=str(config.ROOT))("LOCAL_BASE_MODEL", default="")
    return Path(other) if other else config.DATA / "base_model"


@lru_cache(maxsize=1)
def _default_local_encoding() -> LocalEncoding:
    return local_encoding()


@contextmanager
def _environment(name: str, value: str):
    """Set one environment variable for the length of a `with` block."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
