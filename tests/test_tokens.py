"""tokens.py: the right encoding for each model, offline, and the documented formula."""

import socket
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from helpers import tokens


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4.1", "o200k_base"),
        ("ft:gpt-4.1-mini-2025-04-14:org:chris:8ot8ZLJR", "o200k_base"),
        ("ft:gpt-4o-mini-2024-07-18:org::abc", "o200k_base"),
        ("gpt-5.6-luna", "o200k_base"),
        ("gpt-5-mini", "o200k_base"),
        ("o4-mini-2025-04-16", "o200k_base"),
        ("ft:o4-mini-2025-04-16:org:x:1", "o200k_base"),
        ("gpt-oss-20b", "o200k_harmony"),
        ("gpt-4-0613", "cl100k_base"),
        ("ft:gpt-3.5-turbo-1106:personal:chris-gpt:8ot8ZLJR", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
    ],
)
def test_encoding_of_a_model(model, name):
    assert tokens.encoding_for(model).name == name


@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-4.7", "claude", "", "ft:mystery:org:x:1"])
def test_an_unknown_model_is_an_error_not_a_guess(model):
    with pytest.raises(tokens.UnknownModel, match="ENCODING_OF_FAMILY"):
        tokens.encoding_for(model)


def test_counting_opens_no_socket_and_imports_no_llama_index(tmp_path):
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from helpers import tokens\n"
        "names = ('o200k_base', 'cl100k_base')\n"
        "print([tokens.encoding(name).n_vocab for name in names])\n"
        "print([name for name in sys.modules if name.startswith('llama_index')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[200019, 100277]", "[]"]


def test_missing_rank_files_name_the_cure(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise AssertionError("went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(tokens, "_candidate_folders", lambda: [tmp_path])
    with pytest.raises(tokens.RankFilesMissing, match="pip install llama-index-core"):
        tokens.encoding("o200k_base")


def test_a_damaged_rank_file_is_passed_over_and_left_alone(monkeypatch, tmp_path):
    name, _ = tokens.RANK_FILES["o200k_base"]
    (tmp_path / name).write_text("not ranks", encoding="utf-8")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert tokens.rank_folder("o200k_base") != tmp_path
    assert (tmp_path / name).exists()  # tiktoken itself would have deleted it


def test_a_learners_own_cache_comes_first(monkeypatch, tmp_path):
    name, _ = tokens.RANK_FILES["cl100k_base"]
    (tmp_path / name).write_bytes((tokens.rank_folder("cl100k_base") / name).read_bytes())
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert tokens.rank_folder("cl100k_base") == tmp_path


def test_unknown_encodings():
    with pytest.raises(ValueError, match="o300k"):
        tokens.encoding("o300k_base")
    with pytest.raises(tokens.RankFilesMissing):
        tokens.encoding("p50k_base")


def test_known_counts():
    o200k = tokens.encoding("o200k_base")
    assert tokens.count_text("", o200k) == 0
    assert tokens.count_text("hello world", o200k) == 2
    # The example of OpenAI's guide, counted by the documented formula: 3 a message, 3 an example.
    messages = [{"role": "user", "content": "hello world"}]
    assert tokens.count_example({"messages": messages}, o200k) == 3 + (3 + 1 + 2)


@settings(deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text()}
        ),
        max_size=7,
    )
)
def test_the_formula_for_any_number_of_messages(messages):
    enc = tokens.encoding("o200k_base")
    texts = sum(tokens.count_text(m["content"], enc) + 1 for m in messages)  # a role is one token
    assert tokens.count_example({"messages": messages}, enc) == texts + 3 * len(messages) + 3


def test_weights_null_content_parts_and_special_spellings():
    enc = tokens.encoding("o200k_base")
    count = lambda message: tokens.count_message({"role": "assistant", **message}, enc)  # noqa: E731
    assert count({"content": "Hi", "weight": 0}) == count({"content": "Hi"})
    assert count({"content": None}) == count({"content": ""})
    assert count({"content": [{"type": "text", "text": "Hi"}]}) == count({"content": "Hi"})
    assert count({"content": "Hi", "name": "Chris"}) == count({"content": "Hi"}) + 2
    assert count({"content": "<|endoftext|>"}) > 5  # plain text here, not the special token


def test_tools_are_estimated_apart_and_named_an_estimate():
    enc = tokens.encoding("o200k_base")
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    example = {"messages": [{"role": "assistant", "tool_calls": [call]}]}
    plain = tokens.count_example(example, enc)
    assert plain > tokens.count_example({"messages": [{"role": "assistant"}]}, enc)
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    with_tools = {**example, "tools": [tool]}
    assert tokens.count_example(with_tools, enc) == plain
    assert tokens.count_tools(with_tools, enc) > 0 == tokens.count_tools(example, enc)
    assert "estimate" in tokens.tools_note([example, with_tools], enc)
    assert tokens.tools_note([example], enc) == ""


def small_tokenizer() -> Tokenizer:
    """A byte-level tokenizer with ChatML's special tokens, as the base model's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["system user assistant hello"], trainer)
    return tokenizer


@settings(deadline=None, max_examples=50)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_local_tokenizer_counts_as_the_model_reads(text):
    enc = tokens.LocalEncoding("small", small_tokenizer())
    rendered = f"<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n{text}<|im_end|>\n"
    messages = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": text}]
    if "\n" not in text:  # a newline may merge with the one after the role
        assert tokens.count_example({"messages": messages}, enc) == len(
            enc.encode_ordinary(rendered)
        )
    assert enc.decode(enc.encode_ordinary(text)) == text


def test_a_missing_local_tokenizer(tmp_path):
    with pytest.raises(tokens.RankFilesMissing, match="base_model"):
        tokens.local_encoding(tmp_path)


def test_a_local_tokenizer_from_its_file_or_folder(tmp_path):
    small_tokenizer().save(str(tmp_path / "tokenizer.json"))
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        assert tokens.count_text("hello", tokens.local_encoding(path)) >= 1


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_pieces_lose_nothing(text):
    for enc in (tokens.encoding("cl100k_base"), tokens.LocalEncoding("small", small_tokenizer())):
        cut = tokens.pieces(text, enc)
        if "\ufffd" not in text:
            assert "".join(cut) == text
            assert len(cut) <= tokens.count_text(text, enc)


def test_the_picture_of_the_mask_marks_answers_only():
    messages = [
        {"role": "user", "content": "hello <b>"},
        {"role": "assistant", "content": "no", "weight": 0},
        {"role": "assistant", "content": "yes 🦆"},
    ]
    html = tokens.mask_html(
        {"messages": messages}, tokens.LocalEncoding("small", small_tokenizer())
    )
    marked = "".join(part.split(">", 1)[1].split("</span>")[0]
                     for part in html.split("<span ")[1:] if "#cfe8fc" in part)  # fmt: skip
    assert marked == "yes 🦆&lt;|im_end|&gt;"
