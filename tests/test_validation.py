"""Every rule of validation.py, broken one at a time in an otherwise good file."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import dataset, validation

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


def write(folder, lines: list[str] | bytes, name: str = "set.jsonl"):
    path = folder / name
    data = lines if isinstance(lines, bytes) else "".join(f"{x}\n" for x in lines).encode()
    path.write_bytes(data)
    return path


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
PAGE = "All work and no play makes for a very long example indeed. " * 120
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
    "too_few_examples": lines_of(good(9)),
    "duplicate_example": lines_of([*good(), good()[4]]),
    "contradiction": lines_of([*good(), dataset.to_example(["question 4"], "No.", SYSTEM)]),
    "several_system_prompts": edited(message(0, content="You answer in two words.")),
    "half_emoji": replaced(json.dumps(dataset.to_example(["half"], "\ud83d", SYSTEM))),
    "personal_data": edited(message(1, content="Write to mira.tolland@example.org.")),
    "api_key": edited(message(1, content=f"My key is {KEY}.")),
}  # fmt: skip


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_file_gives_exactly_that_finding(rule, tmp_path):
    findings = validation.check_file(write(tmp_path, BROKEN[rule]))
    assert [finding.rule for finding in findings] == [rule]
    assert findings[0].severity == validation.RULE[rule].severity
    assert findings[0].message and findings[0].cure


def test_every_rule_is_broken_somewhere():
    elsewhere = {"file_name", "file_too_large", "line_too_long", "too_long"}
    assert set(validation.RULE) == set(BROKEN) | elsewhere | {"overlap_with_validation"}
    assert len(validation.RULES) == len(validation.RULE)


@pytest.mark.parametrize(
    "rule",
    sorted(set(BROKEN) - {"empty_file", "bom", "utf16", "json_array", "pretty_printed",
                          "one_message_per_line", "too_few_examples", "duplicate_example",
                          "contradiction", "several_system_prompts", "blank_line"}),
)  # fmt: skip
def test_the_line_is_named(rule, tmp_path):
    assert validation.check_file(write(tmp_path, BROKEN[rule]))[0].line == 5


def test_a_good_file_has_no_findings(tmp_path):
    examples = good()
    examples[3] = with_tools()
    examples[4]["messages"][2]["weight"] = 1
    examples[5]["messages"][0]["role"] = "developer"
    examples[6]["messages"][1]["content"] = [{"type": "text", "text": "See:"}, IMAGE]
    path = write(tmp_path, lines_of(examples))
    assert validation.check_file(path) == []
    assert validation.summary([]) == "Ready to upload: 0 errors, 0 warnings."


def test_the_shipped_data_set_has_no_findings(tmp_path):
    train, valid, _ = dataset.split(dataset.build_examples())
    paths = [
        dataset.write_jsonl(tmp_path / "train.jsonl", train),
        dataset.write_jsonl(tmp_path / "valid.jsonl", valid),
    ]
    for model in ("gpt-4.1-mini", "ft:gpt-4o-mini-2024-07-18:org:x:1"):
        assert validation.check_file(paths[0], model, validation_file=paths[1]) == []
    assert validation.check_file(paths[1], "gpt-4.1-mini", "validation") == []


def test_windows_line_ends_are_fine(tmp_path):
    data = "\r\n".join(lines_of(good())).encode()
    assert validation.check_file(write(tmp_path, data)) == []


def test_a_wrong_file_name(tmp_path):
    path = write(tmp_path, lines_of(good()), "set.json")
    assert [f.rule for f in validation.check_file(path)] == ["file_name"]


def test_a_file_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(validation, "MAX_FILE_BYTES", 100)
    path = write(tmp_path, lines_of(good()))
    assert [f.rule for f in validation.check_file(path)] == ["file_too_large"]


def test_a_line_of_200_megabytes_is_not_read_into_memory(tmp_path):
    path = write(tmp_path, lines_of(good(11)))
    with path.open("r+b") as file:  # a hole, which costs no disk
        file.seek(200 * 2**20)
        file.write(b"\n" + lines_of(good())[11].encode() + b"\n")
    findings = validation.check_file(path)
    assert [(f.rule, f.line) for f in findings] == [("line_too_long", 12)]


@pytest.mark.parametrize("model", ["gpt-3.5-turbo-0125", "ft:gpt-3.5-turbo-0125:org:chris:1"])
def test_an_example_longer_than_the_context_says_what_is_lost(model, tmp_path):
    examples = good()
    examples[4]["messages"][2]["content"] = PAGE * 12
    findings = validation.check_file(write(tmp_path, lines_of(examples)), model)
    assert [(f.rule, f.line, f.severity) for f in findings] == [("too_long", 5, "warning")]
    assert "would be cut off" in findings[0].message


def test_an_unknown_model_has_no_context_to_overrun(tmp_path):
    examples = good()
    examples[4]["messages"][2]["content"] = PAGE * 12
    assert validation.check_file(write(tmp_path, lines_of(examples)), "somebody/model-7b") == []
    assert validation.context_of("gpt-4.1-mini-2025-04-14") == 65_536
    assert validation.context_of("gpt-4.1-nano") == 32_768


def test_overlap_with_the_validation_file(tmp_path):
    train = write(tmp_path, lines_of(good()))
    shared = copy.deepcopy(good()[7])
    shared["messages"][2]["content"] += "\n"  # white space does not hide it
    valid = write(tmp_path, lines_of([shared]), "valid.jsonl")
    findings = validation.check_file(train, validation_file=valid)
    assert [(f.rule, f.line) for f in findings] == [("overlap_with_validation", 8)]


def test_an_unknown_role_gets_a_hint(tmp_path):
    finding = validation.check_file(write(tmp_path, BROKEN["unknown_role"]))[0]
    assert finding.cure == "Did you mean 'user'?"


def test_many_broken_lines_are_all_named(tmp_path):
    path = write(tmp_path, [line + "," for line in lines_of(good())])
    findings = validation.check_file(path)
    assert [(f.rule, f.line) for f in findings] == [("trailing_comma", n) for n in range(1, 13)]


def test_the_key_itself_is_not_repeated(tmp_path):
    finding = validation.check_file(write(tmp_path, BROKEN["api_key"]))[0]
    assert KEY not in finding.message


def test_report_and_tables(tmp_path):
    findings = validation.check_file(write(tmp_path, BROKEN["too_few_examples"]))
    table = validation.report(findings)
    assert list(table.columns) == ["line", "severity", "rule", "message", "cure"]
    assert len(table) == 1
    assert list(validation.report([]).columns) == list(table.columns)
    assert validation.summary(findings).startswith("A job would fail: 1 errors")
    assert list(validation.rules_table().index) == [rule.name for rule in validation.RULES]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["messages", "role", "content", "tool_calls", "weight", "tools", "id",
                         "function", "type", "name", "arguments", "tool_call_id", "x"]),
        inner, max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["system", "user", "assistant", "tool", "human"]) | JSON,
        "content": JSON,
        "tool_calls": JSON,
        "weight": JSON,
        "tool_call_id": JSON,
        "name": JSON,
    },
)
EXAMPLE = st.fixed_dictionaries({"messages": st.lists(MESSAGE | JSON, max_size=5) | JSON})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow,
          HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.lists(JSON | EXAMPLE, max_size=4))
def test_whatever_json_comes_the_answer_is_findings(tmp_path, values):
    path = write(tmp_path, [json.dumps(value) for value in values])
    assert all(f.rule in validation.RULE for f in validation.check_file(path))


@settings(max_examples=100, deadline=None, suppress_health_check=[
          HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.binary(max_size=200))
def test_whatever_bytes_come_the_answer_is_findings(tmp_path, data):
    findings = validation.check_file(write(tmp_path, data))
    assert findings, "too few bytes for ten examples"
