"""Holding the model's words to a form: text, JSON, a JSON schema, or calls of the tools offered.

Free text has a form too: valid UTF-8. A tokenizer that works on bytes spells rare characters in
several tokens, and a small model gets them wrong now and then; held to the form, it may still
choose an odd emoji, but never a broken one.

The forms are written as one grammar for `llguidance`, which says before each step which tokens can
still lead to a valid whole; the model's own probabilities choose among those. JSON is written as
`json.dumps` writes it (`", "` and `": "`, no other white space), so that a small model cannot lose
itself in blanks.
"""

import json
from dataclasses import dataclass

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer

from helpers.local_platform.modeling import EngineError, UnsupportedByModel

CALL_OPENS = "<tool_call>"
CALL_CLOSES = "</tool_call>"
CALLS_AT_MOST = 8

FREE_TEXT = "%llguidance {}\nstart: /(.|\\n)*/"

_JSON_STYLE = {
    "item_separator": ", ",
    "key_separator": ": ",
    "whitespace_flexible": False,
    "json_allowed_escapes": '"\\nrt',
}


@dataclass(frozen=True)
class ToolPlan:
    """The tools a request may call: (name, schema of its arguments), and whether it must."""

    functions: tuple[tuple[str, dict], ...]
    must_call: bool


def plan_tools(tools: list[dict] | None, tool_choice: str | dict | None) -> ToolPlan | None:
    """What `tools` and `tool_choice` come to; None where no tool may be called.

    Raises:
        EngineError: a choice that names no offered tool, or is malformed.
        UnsupportedByModel: a tool that is not a function.
    """
    functions = {}
    for position, tool in enumerate(tools or []):
        if tool.get("type") != "function":
            raise UnsupportedByModel("Only tools of type 'function' exist.", f"tools[{position}]")
        function = tool["function"]
        functions[function["name"]] = _arguments_schema(function)
    if tool_choice is None:
        tool_choice = "auto" if functions else "none"
    if tool_choice == "none":
        return None
    if not functions:
        raise EngineError("'tool_choice' is only allowed when 'tools' are given.", "tool_choice")
    if tool_choice in ("auto", "required"):
        return ToolPlan(tuple(functions.items()), tool_choice == "required")
    if isinstance(tool_choice, dict) and tool_choice.get("type") == "allowed_tools":
        allowed = tool_choice["allowed_tools"]
        names = [tool["function"]["name"] for tool in allowed["tools"]]
        must_call = allowed.get("mode") == "required"
    elif isinstance(tool_choice, dict) and "function" in tool_choice:
        names, must_call = [tool_choice["function"].get("name")], True
    else:
        raise EngineError(f"Unknown tool_choice {tool_choice!r}.", "tool_choice")
    for name in names:
        if name not in functions:
            raise EngineError(f"Tool choice {name!r} is not among the tools.", "tool_choice")
    return ToolPlan(tuple((name, functions[name]) for name in names), must_call)


def _arguments_schema(function: dict) -> dict:
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return _closed({"type": "object", **schema})


def _closed(schema):
    """A schema whose objects hold the properties they list and no others, unless they say more.

    JSON Schema lets an object carry any further keys; a small model would make some up. What this
    yields is valid under the original schema too. Combined schemas are left as they are.
    """
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict) or any(k in schema for k in ("allOf", "if", "not")):
        return schema
    closed = {}
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions", "patternProperties"):
            closed[key] = {name: _closed(part) for name, part in value.items()}
        elif key in ("items", "prefixItems", "additionalProperties", "anyOf", "oneOf"):
            closed[key] = _closed(value)
        else:
            closed[key] = value
    combined = {"anyOf", "oneOf", "$ref", "patternProperties", "additionalProperties"}
    if "properties" in schema and not combined & schema.keys():
        closed["additionalProperties"] = False
    return closed


def response_schema(response_format: dict | None) -> dict | None:
    """The JSON schema an answer must satisfy, or None for free text.

    Raises:
        EngineError: an unknown type, or no schema where one is needed.
    """
    kind = (response_format or {"type": "text"}).get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    if kind == "json_schema":
        described = response_format.get("json_schema")
        schema = described.get("schema") if isinstance(described, dict) else None
        if not isinstance(schema, dict):
            raise EngineError("There is no schema to follow.", "response_format.json_schema.schema")
        return _closed(schema)
    raise EngineError(f"Unknown response format {kind!r}.", "response_format.type")


def build_grammar(
    plan: ToolPlan | None, schema: dict | None, parallel: bool, tokenizer: LLTokenizer
) -> str:
    """One Lark grammar for the whole answer.

    With tools on offer but none demanded, the text is free until the model writes the opening tag
    of a call; from there on the call's form is held.
    """
    if plan is None and schema is None:
        return FREE_TEXT
    rules = ["%llguidance {}"]
    if schema is not None:
        rules.append(f"answer: {_json_rule(schema)}")
    else:
        rules += ["answer: TEXT", r"TEXT: /(.|\n)*/"]
    if plan is None:
        return "\n".join(["%llguidance {}", "start: answer", *rules[1:]])

    opens, closes = _tag(CALL_OPENS, tokenizer), _tag(CALL_CLOSES, tokenizer)
    more = f" ({opens} call){{0,{CALLS_AT_MOST - 1}}}" if parallel else ""
    if plan.must_call:
        rules = [rules[0], f"start: {opens} call{more}"]
    elif schema is not None:
        rules.append(f"start: answer | {opens} call{more}")
    elif opens.startswith("<["):
        rules.append(f"start: answer | TEXT {opens} call{more}")
    else:
        rules += [f"start: answer | opening call{more}", f"opening[lazy]: TEXT {opens}"]
    rules.append("call: " + " | ".join(f"call_{i}" for i in range(len(plan.functions))))
    for i, (name, arguments) in enumerate(plan.functions):
        head = json.dumps(f'{{"name": {json.dumps(name)}, "arguments": ')
        rules.append(f'call_{i}: {head} arguments_{i} "}}" {closes}')
        rules.append(f"arguments_{i}: {_json_rule(arguments)}")
    return "\n".join(rules)


def _json_rule(schema: dict) -> str:
    return "%json " + json.dumps({**schema, "x-guidance": _JSON_STYLE})


def _tag(text: str, tokenizer: LLTokenizer) -> str:
    """A tag in a grammar: by token number where the tokenizer has it as a special token."""
    ids = tokenizer.tokenize_str(text, parse_special=True)
    if len(ids) == 1 and tokenizer.is_special_token(ids[0]):
        return f"<[{ids[0]}]>"
    return json.dumps(text)


def grammar_tokenizer(tokenizer, vocabulary: int, end_ids) -> LLTokenizer:
    """The tokenizer as llguidance sees it; `vocabulary` is the width of the model's logits."""
    return from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=sorted(end_ids))


def compile_matcher(tokenizer: LLTokenizer, grammar: str, param: str) -> LLMatcher:
    """A matcher at the start of the grammar; `param` is the request's field it was made from.

    Raises:
        UnsupportedByModel: llguidance cannot compile it (a schema keyword it does not know, for
            instance), with its message.
    """
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(grammar), log_level=0)
    if matcher.is_error():
        reason = matcher.get_error().splitlines()[0]
        raise UnsupportedByModel(f"The schema cannot be enforced: {reason}", param)
    return matcher


def allowed_tokens(matcher: LLMatcher) -> torch.Tensor:
    """Which tokens may come next: a boolean tensor (vocabulary,)."""
    packed = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
    return torch.from_numpy(np.unpackbits(packed, bitorder="little").astype(bool))
