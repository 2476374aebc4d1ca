"""Loading a base model, and turning chat messages into token ids and loss masks.

Any Hugging Face causal language model works: nothing here knows one architecture or one chat
format. What differs between models (the chat template, the end-of-turn token, the context length)
is read from the checkpoint. Everything is float32, stated rather than left to a default: on CPU
the half-precision types are emulated and many times slower.
"""

import json
import os
import re
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from helpers.local_platform import copying  # tells transformers of the architecture, too

transformers_logging.disable_progress_bar()
transformers_logging.set_verbosity_error()  # it would warn of a GPU kernel that is not installed

BASE_MODEL_ID = "workbook-mini"
RANDOM_MODEL_ID = "workbook-mini-random"  # the same shape with random weights: notebook 01
SHIPPED_BASE_MODEL = Path(__file__).resolve().parents[2] / "data" / "base_model"

ROLES = ("system", "developer", "user", "assistant", "tool", "function")

# For a checkpoint that ships no chat template of its own: the turn ends with its end-of-text token.
FALLBACK_TEMPLATE = """\
{%- for message in messages -%}
{{- '### ' + message.role + '\\n' -}}
{%- if message.role == 'assistant' and message.get('weight', 1) != 0 -%}
{% generation %}{{- message.content + eos_token -}}{% endgeneration %}
{%- else -%}
{{- message.content + eos_token -}}
{%- endif -%}
{{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '### assistant\\n' -}}{%- endif -%}
"""


class EngineError(ValueError):
    """A request the engine cannot honour. `param` names the field at fault, `code` the kind."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None):
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class UnsupportedByModel(EngineError):
    """The model, its chat template or the constraint engine cannot do what was asked."""


class BadMessages(EngineError):
    """The messages of an example or a request are malformed."""


def base_model_source(name: str) -> str:
    """Where the weights of the base model `name` lie: a folder, or a name on the hub.

    The public id `workbook-mini` (or an empty name) means the setting LOCAL_BASE_MODEL, and
    without one the model shipped in data/base_model. Anything else is taken as it stands.
    """
    if name in ("", BASE_MODEL_ID, RANDOM_MODEL_ID):
        return os.environ.get("LOCAL_BASE_MODEL", "").strip() or str(SHIPPED_BASE_MODEL)
    return str(name)


def load_base(name: str):
    """Load a base model for causal language modelling, float32, in evaluation mode.

    Args:
        name: `workbook-mini`, a folder, or a hub name (needs LOCAL_ALLOW_DOWNLOAD=1, unless the
            model is already in the local Hugging Face cache).

    Returns:
        (model, tokenizer). The tokenizer always has a pad token and a chat template.

    Raises:
        FileNotFoundError: nothing usable lies there, with what to do about it.
        UnsupportedByModel: the tokenizer is not one of the fast ones, or has no end token.
    """
    source = base_model_source(name)
    looks_like_a_path = Path(source).is_absolute() or source.startswith((".", "~"))
    if looks_like_a_path and not Path(source).expanduser().is_dir():
        raise FileNotFoundError(
            f"No base model in {source}. The course ships one in data/base_model; "
            "LOCAL_BASE_MODEL in .env names another folder."
        )
    if looks_like_a_path:
        source = str(Path(source).expanduser())
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = _weights(source, tokenizer, trained=name != RANDOM_MODEL_ID)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"The base model {source!r} is neither a folder with a checkpoint nor in the local "
            f"Hugging Face cache. To download it once, set LOCAL_ALLOW_DOWNLOAD=1. ({error})"
        ) from error
    if not tokenizer.is_fast:
        raise UnsupportedByModel(f"The tokenizer of {source} has no tokenizer.json (fast version).")
    if tokenizer.eos_token_id is None:
        raise UnsupportedByModel(f"The tokenizer of {source} names no end-of-text token.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    # Its own limit is often wrong and only prints warnings; `context_length` is what counts.
    tokenizer.model_max_length = sys.maxsize
    if not tokenizer.chat_template:
        tokenizer.chat_template = FALLBACK_TEMPLATE
    return model.eval(), tokenizer


def _weights(source: str, tokenizer, trained: bool):
    """The model in float32: its trained weights, or (always the same) random ones."""
    if trained:
        return AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    state = torch.get_rng_state()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.from_pretrained(source), dtype=torch.float32
    )
    torch.set_rng_state(state)
    if isinstance(model, copying.CopyLlamaForCausalLM):
        model.read_vocabulary(tokenizer)  # how words are spelled is no weight
    return model


def context_length(model) -> int:
    """How many tokens, prompt and answer together, the model can attend to."""
    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"):
        length = getattr(config, name, None)
        if isinstance(length, int) and length > 0:
            return length
    return 2048


def stop_token_ids(model, tokenizer) -> frozenset[int]:
    """Every token that ends an answer: the end tokens the checkpoint names, its padding token, and
    what its chat template writes straight after an assistant's words."""
    ids = {tokenizer.eos_token_id, tokenizer.pad_token_id}
    for config in (model.config, model.generation_config):
        named = getattr(config, "eos_token_id", None)
        ids.update(named if isinstance(named, list | tuple) else [named])
    probe = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    tail = render(tokenizer, probe).rpartition("b")[2].strip()
    after = tokenizer.encode(tail, add_special_tokens=False)
    if after and after[0] in tokenizer.added_tokens_decoder:
        ids.add(after[0])
    return frozenset(i for i in ids if i is not None)


def normalise_messages(messages: list[dict], template: str = "tools tool_calls") -> list[dict]:
    """Messages as chat templates expect them, from messages as the OpenAI API allows them.

    Text parts are joined, `null` content becomes empty, `developer` becomes `system`, the
    arguments of a tool call become a dictionary. Where the template cannot render tool calls they
    are written into the content.

    Raises:
        BadMessages: no messages, an unknown role, a content that is not text.
        UnsupportedByModel: an image, audio or file part.
    """
    if not messages:
        raise BadMessages("There are no messages.", "messages")
    normal = []
    for position, message in enumerate(messages):
        where = f"messages[{position}]"
        role = message.get("role")
        if role not in ROLES:
            raise BadMessages(f"Unknown role {role!r}; one of {', '.join(ROLES)}.", where)
        role = {"developer": "system", "function": "tool"}.get(role, role)
        new = {**message, "role": role, "content": _text(message.get("content"), where)}
        calls = [_normal_call(call, where) for call in message.get("tool_calls") or []]
        if not calls and isinstance(message.get("function_call"), dict):
            calls = [_normal_call({"function": message["function_call"]}, where)]
        new.pop("function_call", None)
        new.pop("tool_calls", None)
        if calls and "tool_calls" in template:
            new["tool_calls"] = calls
        elif calls:
            new["content"] += "".join(tool_call_text(c["function"]) for c in calls)
        normal.append(new)
    return normal


def tool_call_text(function: dict) -> str:
    """How a call is written where the model's own template does not say: a tagged JSON object."""
    body = {"name": function["name"], "arguments": function["arguments"]}
    return f"<tool_call>{json.dumps(body, ensure_ascii=False)}</tool_call>"


def _text(content, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise BadMessages("The content must be text or a list of text parts.", where)
    parts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in ("text", "refusal"):
            raise UnsupportedByModel(f"The model reads text only, not parts of {kind!r}.", where)
        parts.append(part[kind])
    return "".join(parts)


def _normal_call(call: dict, where: str) -> dict:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadMessages("A tool call needs a function with a name and arguments.", where)
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except json.JSONDecodeError as error:
            name = function["name"]
            raise BadMessages(f"The arguments of {name} are not JSON.", where) from error
    return {**call, "type": "function", "function": {**function, "arguments": arguments}}


def render(tokenizer, messages, tools=None, add_generation_prompt: bool = False) -> str:
    """The conversation as the model reads it: the tokenizer's own chat template, filled in.

    Tools go to the template where it knows them; where it does not, one line in the system message
    names them: `Tools: name(argument, ...)`.

    Raises:
        BadMessages, UnsupportedByModel: malformed messages, or ones the template refuses.
    """
    template = tokenizer.get_chat_template(tools=tools)
    messages = normalise_messages(messages, template)
    if tools and "tools" not in template:
        messages = _with_tools_line(messages, tools)
        tools = None
    try:
        return tokenizer.apply_chat_template(
            messages,
            tools=tools or None,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
        )
    except Exception as error:  # a template is a program of the checkpoint's: it can raise anything
        raise UnsupportedByModel(
            f"The model's chat template refuses these messages: {error}", "messages"
        ) from error


def _with_tools_line(messages: list[dict], tools: list[dict]) -> list[dict]:
    functions = [tool["function"] for tool in tools]
    line = "Tools: " + ", ".join(
        f"{f['name']}({', '.join((f.get('parameters') or {}).get('properties', {}))})"
        for f in functions
    )
    if messages[0]["role"] == "system":
        first = {**messages[0], "content": messages[0]["content"] + "\n" + line}
        return [first, *messages[1:]]
    return [{"role": "system", "content": line}, *messages]


def encode_prompt(tokenizer, messages, tools=None) -> list[int]:
    """Token ids of a conversation up to where the assistant is to speak."""
    text = render(tokenizer, messages, tools, add_generation_prompt=True)
    return tokenizer.encode(text, add_special_tokens=False)


def count_prompt_tokens(tokenizer, messages, tools=None) -> int:
    """How many tokens of the context a request's messages and tools take up."""
    return len(encode_prompt(tokenizer, messages, tools))


def encode_example(tokenizer, example: dict) -> tuple[list[int], list[int]]:
    """Token ids of a training example, and which of them the loss is taken on.

    Trained on are the words of every assistant message whose `weight` is not 0, tool calls
    included, and the end-of-turn token after them: a model that never sees the end of a turn in
    its loss never learns to stop. A template with a `{% generation %}` block marks these itself;
    for one without, they are found by rendering the conversation up to, and including, each
    assistant message and comparing. (A token that holds the end of a header together with the
    first word counts as trained.)

    Args:
        tokenizer: as `load_base` returns it.
        example: {"messages": [...], "tools"?: [...]} as in a line of a training file.

    Returns:
        (input_ids, mask), two lists of one length; mask is 1 on trained tokens.

    Raises:
        BadMessages, UnsupportedByModel: see `render`.
    """
    tools = example.get("tools")
    template = tokenizer.get_chat_template(tools=tools)
    messages = normalise_messages(example["messages"], template)
    text = render(tokenizer, messages, tools)
    marks_itself = re.search(r"{%-?\s*generation\s*-?%}", template) is not None
    if marks_itself and ("weight" in template or all(_trained(m) for m in messages)):
        known = tools if tools and "tools" in template else None
        if tools and known is None:
            messages = _with_tools_line(messages, tools)
        encoded = tokenizer.apply_chat_template(
            messages, tools=known, return_dict=True, return_assistant_tokens_mask=True
        )
        return list(encoded["input_ids"]), list(encoded["assistant_masks"])
    spans = [
        _trained_span(tokenizer, messages, i, tools, text)
        for i, message in enumerate(messages)
        if message["role"] == "assistant" and _trained(message)
    ]
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    mask = [
        int(any(begin < span_end and end > span_begin for span_begin, span_end in spans))
        for begin, end in encoded["offset_mapping"]
    ]
    return list(encoded["input_ids"]), mask


def _trained(message: dict) -> bool:
    return message.get("weight", 1) != 0


def _trained_span(tokenizer, messages, i: int, tools, text: str) -> tuple[int, int]:
    """Characters of `text` that the assistant message `i` and its end of turn take up."""
    prompt = render(tokenizer, messages[:i], tools, add_generation_prompt=True) if i else ""
    through = render(tokenizer, messages[: i + 1], tools)
    if text.startswith(prompt) and through.startswith(prompt):
        if text.startswith(through):
            return len(prompt), len(through.rstrip())
        # Some templates write a turn differently once others follow it (dropping its reasoning,
        # say). The words themselves stay, and so does what closes them.
        words = messages[i]["content"].strip()
        begin = text.find(words, len(prompt)) if words else -1
        if begin >= 0 and words in through:
            return len(prompt), begin + len(words) + len(through.rpartition(words)[2].rstrip())
    raise UnsupportedByModel(
        "This model's chat template rewrites earlier turns, so the tokens to train on cannot be "
        "told apart. Use examples with one assistant message, or another base model.",
        f"messages[{i}]",
    )
