"""Loading checkpoints, chat templates, and which tokens the loss is taken on."""

import json

import pytest
import torch
from tiny import (
    CHAT_TEMPLATE,
    CONTEXT,
    FAMILIES,
    PLAIN_TEMPLATE,
    make_checkpoint,
    make_examples,
    make_tokenizer,
)

from helpers.local_platform import modeling

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "count", "arguments": '{"what": "🤖", "limit": 3}'},
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "count",
            "parameters": {"type": "object", "properties": {"what": {}, "limit": {}}},
        },
    }
]
CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi 🤖"},
    {"role": "assistant", "content": "Not this one", "weight": 0},
    {"role": "user", "content": "And now?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "3", "tool_call_id": "call_1"},
    {"role": "assistant", "content": "Three 🤖🎉"},
]
TRAINED = (
    '<tool_call>{"name": "count", "arguments": {"what": "🤖", "limit": 3}}</tool_call><|im_end|>'
    "Three 🤖🎉<|im_end|>"
)

# A format with headers on one line and no line break after a turn.
HEADER_TEMPLATE = """\
{%- for m in messages -%}
{{- '<|im_start|>[' + m.role + ']: ' + (m.content | trim) + '<|im_end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>[assistant]: ' -}}{%- endif -%}
"""
# A reasoning model's format: the last turn opens with an empty thought that earlier ones lack.
REASONING_TEMPLATE = """\
{%- for m in messages -%}
{{- '<|im_start|>' + m.role + '\\n' -}}
{%- if m.role == 'assistant' and loop.last -%}{{- '<think>\\n\\n</think>\\n\\n' -}}{%- endif -%}
{{- m.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""


def trained_text(tokenizer, example):
    ids, mask = modeling.encode_example(tokenizer, example)
    assert len(ids) == len(mask) and set(mask) <= {0, 1}
    return tokenizer.decode([i for i, m in zip(ids, mask, strict=True) if m])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("template", [CHAT_TEMPLATE, PLAIN_TEMPLATE], ids=["marked", "unmarked"])
def test_the_loss_covers_what_the_assistant_says_and_its_end_of_turn(tmp_path, family, template):
    _, tokenizer = modeling.load_base(str(make_checkpoint(tmp_path, family, template)))
    example = {"messages": CONVERSATION, "tools": TOOLS}
    assert trained_text(tokenizer, example) == TRAINED


@pytest.mark.parametrize("family", FAMILIES)
def test_a_mask_found_by_rendering_equals_the_one_the_template_marks(tmp_path, family):
    marked = make_checkpoint(tmp_path / "marked", family, CHAT_TEMPLATE)
    unmarked = make_checkpoint(tmp_path / "unmarked", family, PLAIN_TEMPLATE)
    _, with_marks = modeling.load_base(str(marked))
    _, without = modeling.load_base(str(unmarked))
    for example in make_examples(7):
        assert modeling.encode_example(with_marks, example) == modeling.encode_example(
            without, example
        )


def test_a_checkpoint_without_a_chat_template_gets_one(tmp_path):
    model, tokenizer = modeling.load_base(str(make_checkpoint(tmp_path, "gpt2", None)))
    assert trained_text(tokenizer, {"messages": CONVERSATION, "tools": TOOLS}) == TRAINED
    assert tokenizer.eos_token_id in modeling.stop_token_ids(model, tokenizer)


def test_a_template_of_another_shape():
    tokenizer = make_tokenizer(HEADER_TEMPLATE)
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": " one "},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "two"},
    ]
    # " two" is one token to this tokenizer: the space of the header belongs to it.
    assert trained_text(tokenizer, {"messages": messages}) == "one<|im_end|> two<|im_end|>"
    messages[1]["weight"] = 0
    assert trained_text(tokenizer, {"messages": messages}) == " two<|im_end|>"


def test_a_template_that_writes_the_last_turn_differently():
    tokenizer = make_tokenizer(REASONING_TEMPLATE)
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "two"},
    ]
    expected = "one<|im_end|><think>\n\n</think>\n\ntwo<|im_end|>"
    assert trained_text(tokenizer, {"messages": messages}) == expected


def test_weights_are_honoured_where_the_template_marks_but_does_not_know_them():
    template = CHAT_TEMPLATE.replace(" and message.get('weight', 1) != 0", "")
    assert "weight" not in template
    tokenizer = make_tokenizer(template)
    assert trained_text(tokenizer, {"messages": CONVERSATION, "tools": TOOLS}) == TRAINED


def test_a_template_whose_turns_cannot_be_told_apart_is_refused():
    template = "{%- for m in messages -%}{{- loop.length ~ m.content -}}{%- endfor -%}"
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "b"},
    ]
    with pytest.raises(modeling.UnsupportedByModel, match="rewrites earlier turns"):
        modeling.encode_example(make_tokenizer(template), {"messages": messages})


def test_a_prompt_is_the_beginning_of_the_example_that_trained_on_it():
    tokenizer = make_tokenizer()
    for example in make_examples(5):
        ids, mask = modeling.encode_example(tokenizer, example)
        prompt = modeling.encode_prompt(tokenizer, example["messages"][:-1])
        assert ids[: len(prompt)] == prompt
        assert mask.index(1) == len(prompt)
        assert modeling.count_prompt_tokens(tokenizer, example["messages"][:-1]) == len(prompt)


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, PLAIN_TEMPLATE], ids=["knows", "does not"])
@pytest.mark.parametrize("start", [0, 1], ids=["system message", "none"])
def test_tools_are_named_in_the_prompt(template, start):
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "u"}][start:]
    text = modeling.render(make_tokenizer(template), messages, TOOLS, add_generation_prompt=True)
    assert text.count("Tools: count(what, limit)") == 1
    assert text.startswith("<|im_start|>system\n")
    assert text.endswith("<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n")


def test_messages_as_the_api_allows_them():
    normal = modeling.normalise_messages(
        [
            {"role": "developer", "content": [{"type": "text", "text": "a"}]},
            {"role": "assistant", "function_call": {"name": "f", "arguments": ""}},
            {"role": "function", "content": None},
        ]
    )
    assert [m["role"] for m in normal] == ["system", "assistant", "tool"]
    assert [m["content"] for m in normal] == ["a", "", ""]
    assert normal[1]["tool_calls"][0]["function"]["arguments"] == {}


@pytest.mark.parametrize(
    "messages, error, text",
    [
        ([], modeling.BadMessages, "no messages"),
        ([{"role": "wizard", "content": "x"}], modeling.BadMessages, "wizard"),
        ([{"role": "user", "content": 3}], modeling.BadMessages, "text"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
            modeling.UnsupportedByModel,
            "image_url",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}],
            modeling.BadMessages,
            "not JSON",
        ),
    ],
)
def test_malformed_messages_are_named(messages, error, text):
    with pytest.raises(error, match=text):
        modeling.normalise_messages(messages)


def test_a_template_that_refuses_is_reported():
    tokenizer = make_tokenizer("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(modeling.UnsupportedByModel, match="roles must alternate"):
        modeling.render(tokenizer, [{"role": "user", "content": "x"}])


@pytest.mark.parametrize("family", FAMILIES)
def test_loading_is_float32_and_knows_the_context(tmp_path, family):
    folder = make_checkpoint(tmp_path, family)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "bfloat16"  # what the checkpoint says must not matter
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model, tokenizer = modeling.load_base(str(folder))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not model.training
    assert modeling.context_length(model) == CONTEXT
    ends = modeling.stop_token_ids(model, tokenizer)
    assert ends == {tokenizer.eos_token_id, tokenizer.pad_token_id}


def test_the_end_of_turn_is_found_where_the_tokenizer_names_another_end(tmp_path):
    folder = make_checkpoint(tmp_path, "qwen2", PLAIN_TEMPLATE)
    model, tokenizer = modeling.load_base(str(folder))
    tokenizer.eos_token = "<|endoftext|>"
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    im_end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert im_end in modeling.stop_token_ids(model, tokenizer)


def test_the_setting_names_the_base_model(tmp_path, monkeypatch):
    folder = make_checkpoint(tmp_path / "mine", "gpt2")
    monkeypatch.setenv("LOCAL_BASE_MODEL", str(folder))
    model, _ = modeling.load_base("workbook-mini")
    assert model.config.model_type == "gpt2"
    monkeypatch.delenv("LOCAL_BASE_MODEL")
    assert modeling.base_model_source("workbook-mini").endswith("base_model")


def test_a_missing_base_model_is_explained(tmp_path):
    with pytest.raises(FileNotFoundError, match="LOCAL_BASE_MODEL"):
        modeling.load_base(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        modeling.load_base(str(tmp_path / "empty"))
