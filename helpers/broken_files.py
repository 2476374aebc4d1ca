"""One broken file for each rule of validation.py: what notebook 03 shows and the tests use.

Each file is a good one of twelve examples in which one thing was broken, in line 5 where the rule
is about a line.
"""

import json
from pathlib import Path

from helpers import dataset

SYSTEM = "You answer in one word."


def good(n: int = 12) -> list[dict]:
    return [dataset.to_example([f"question {i}"], f"Answer {i}.", SYSTEM) for i in range(n)]


def with_tools(**changes) -> dict:
    """A sound example in which the assistant calls a tool and then answers."""
    call = {"name": "add", "arguments": '{"a": 1, "b": 2}'}
    example = {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": "What is one and two?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "3"},
            {"role": "assistant", "content": "Three."},
        ],
        "tools": [
            {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
        ],
        "parallel_tool_calls": False,
    }
    example.update(changes)
    return example


def lines_of(examples: list[dict]) -> list[str]:
    return [json.dumps(example, ensure_ascii=False) for example in examples]


def edited(edit) -> list[str]:
    """A good file whose fifth example went through `edit`."""
    examples = good()
    edit(examples[4])
    return lines_of(examples)


def message(place: int, **changes):
    """An edit of one message; a value of `...` deletes the key."""

    def edit(example: dict) -> None:
        for key, value in changes.items():
            if value is ...:
                del example["messages"][place][key]
            else:
                example["messages"][place][key] = value

    return edit


def tool_call(**changes):
    """A file whose fifth example calls a tool, with the call's function or id changed."""
    example = with_tools()
    call = example["messages"][2]["tool_calls"][0]
    for key, value in changes.items():
        part = call if key in ("id", "type") else call["function"]
        part[key] = value
    return lines_of(good()[:4] + [example] + good()[5:])


def replaced(line: str) -> list[str]:
    lines = lines_of(good())
    lines[4] = line
    return lines


def drop(place: int):
    return edited(lambda example: example["messages"].pop(place))


LINE_5 = lines_of(good())[4]
LONG = "Twelve ducks crossed the road and each had a reason of its own. " * 1500
IMAGE = {"type": "image_url", "image_url": {"url": "https://images.example.net/duck.png"}}
UNANSWERED = [message for message in with_tools()["messages"] if message["role"] != "tool"]
# Not written as a whole, so that no scanner takes this test for a leak.
KEY = "sk-" + "proj4" * 5

BROKEN = {
    "empty_file": b"\n\n",
    "bom": b"\xef\xbb\xbf" + "\n".join(lines_of(good())).encode(),
    "utf16": "\n".join(lines_of(good())).encode("utf-16"),
    "invalid_utf8": "\n".join(lines_of(good())).encode().replace(b"Answer 4", b"Answ\xe9r 4"),
    "json_array": json.dumps(good()).encode(),
    "pretty_printed": "\n".join(json.dumps(e, indent=2) for e in good()).encode(),
    "one_message_per_line": lines_of([m for e in good() for m in e["messages"]]),
    "blank_line": replaced(LINE_5 + "\n"),
    "trailing_comma": replaced(LINE_5 + ","),
    "python_repr": replaced(str(good()[4])),
    "invalid_json": replaced(LINE_5[:-4]),
    "duplicate_key": replaced(LINE_5[:-1] + ', "messages": ' + LINE_5[13:]),
    "not_an_object": replaced(json.dumps(["messages"])),
    "missing_messages": replaced('{"prompt": "a", "completion": "b"}'),
    "empty_messages": replaced('{"messages": []}'),
    "unknown_example_key": edited(lambda e: e.update(id=7)),
    "missing_assistant": drop(2),
    "nothing_to_learn": edited(message(2, weight=0)),
    "last_not_assistant": edited(lambda e: e["messages"].append({"role": "user", "content": "x"})),
    "missing_system": drop(0),
    "missing_user": drop(1),
    "system_not_first": edited(lambda e: e["messages"].insert(0, e["messages"].pop(1))),
    "message_not_an_object": edited(lambda e: e["messages"].insert(1, "user: hello")),
    "missing_role": edited(lambda e: e["messages"].insert(1, {"content": "hello"})),
    "unknown_role": edited(lambda e: e["messages"].insert(1, {"role": "human", "content": "x"})),
    "unknown_message_key": edited(message(1, text="hello")),
    "missing_content": edited(message(1, content=...)),
    "null_content": edited(message(2, content=None)),
    "content_not_text": edited(message(2, content={"subject": "Hi"})),
    "bad_content_part": edited(message(1, content=[{"type": "sound", "data": "..."}])),
    "image_in_answer": edited(message(2, content=[IMAGE])),
    "empty_content": edited(message(1, content="  ")),
    "bad_weight": edited(message(2, weight=0.5)),
    "weight_not_assistant": edited(message(1, weight=1)),
    "bad_tools": replaced(json.dumps({**good()[4], "tools": [{"name": "add"}]})),
    "bad_parallel_tool_calls": replaced(json.dumps(with_tools(parallel_tool_calls="no"))),
    "bad_tool_call": replaced(
        json.dumps({**good()[4], "messages": [
            *good()[4]["messages"][:2],
            {"role": "assistant", "content": "Hm.", "tool_calls": [{"name": "add"}]},
        ]})
    ),
    "bad_arguments": tool_call(arguments={"a": 1, "b": 2}),
    "unknown_tool": tool_call(name="subtract"),
    "orphan_tool_message": edited(
        lambda e: e["messages"].insert(2, {"role": "tool", "tool_call_id": "x", "content": "3"})
    ),
    "unanswered_call": replaced(json.dumps(with_tools(messages=UNANSWERED))),
    "legacy_function_call": edited(
        lambda e: e["messages"].insert(2, {"role": "function", "name": "add", "content": "3"})
    ),
    "too_long": edited(message(2, content=LONG)),
    "too_few_examples": lines_of(good(9)),
    "duplicate_example": lines_of([*good(), good()[4]]),
    "contradiction": lines_of([*good(), dataset.to_example(["question 4"], "No.", SYSTEM)]),
    "several_system_prompts": edited(message(0, content="You answer in two words.")),
    "half_emoji": replaced(json.dumps(dataset.to_example(["half"], "\ud83d", SYSTEM))),
    "personal_data": edited(message(1, content="Write to mira.tolland@example.org.")),
    "api_key": edited(message(1, content=f"My key is {KEY}.")),
}  # fmt: skip


def data_of(rule: str) -> bytes:
    """The bytes of the file that breaks `rule`. Raises KeyError for a rule without one."""
    lines = BROKEN[rule]
    return lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode()


def write_all(folder: str | Path) -> dict[str, Path]:
    """Write every broken file into `folder`; returns the paths by rule."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {rule: folder / f"{rule}.jsonl" for rule in BROKEN}
    for rule, path in paths.items():
        path.write_bytes(data_of(rule))
    return paths
