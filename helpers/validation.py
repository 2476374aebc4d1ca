"""Every rule of the chat fine-tuning format, checked before anything is uploaded or paid.

A hosted provider often accepts a bad file at upload and lets the job fail later. `check_file`
finds what would go wrong here, on this machine, and says in which line, why, and how to cure it.

Sources of the rules: OpenAI's fine-tuning guide and API reference, and the checks of the cookbook
notebook `Chat_finetuning_data_prep`, brought up to date (tools, `weight`, images).
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers import privacy, tokens

ERROR, WARNING = "error", "warning"
MAX_FILE_BYTES = 512 * 1024 * 1024  # the Files API; larger ones need the Uploads API
MAX_LINE_BYTES = 16 * 1024 * 1024
MIN_EXAMPLES = 10

# The longest training example, in tokens. OpenAI's guide: a longer one is cut at its end. The local
# platform does the same; other hosts may refuse it.
CONTEXT = {
    "workbook-mini": 1024,
    "gpt-4.1": 65_536,
    "gpt-4.1-mini": 65_536,
    "gpt-4.1-nano": 32_768,
    "gpt-4o": 65_536,
    "gpt-4o-mini": 65_536,
    "gpt-3.5-turbo": 16_385,
}


@dataclass(frozen=True)
class Rule:
    """One rule: its name, how grave breaking it is, what it says, and the cure.

    An error: a host may refuse the file, or it must not leave this machine as it is. A warning:
    the job usually runs, but the model may be the worse for it.
    """

    name: str
    severity: str
    says: str
    cure: str


@dataclass(frozen=True)
class Finding:
    """One breach of a rule. `line` counts from 1; None means the file as a whole."""

    line: int | None
    rule: str
    severity: str
    message: str
    cure: str


RULES = (
    # The file
    Rule("empty_file", ERROR, "The file holds examples.", "Write at least ten examples."),
    Rule("file_name", ERROR, "The file's name ends in .jsonl.", "Rename it to end in .jsonl."),
    Rule("file_too_large", ERROR, "The file has at most 512 MB.", "Split it, or use fewer."),
    Rule("bom", ERROR, "No byte-order mark opens the file.", "Save as UTF-8 without BOM."),
    Rule("utf16", ERROR, "The file is UTF-8, not UTF-16.", "Save the file as UTF-8."),
    Rule("invalid_utf8", ERROR, "Every byte is valid UTF-8.", "Save the file as UTF-8."),
    Rule(
        "json_array",
        ERROR,
        "The file is JSONL, not one JSON array.",
        "Write each element of the array on a line of its own, without brackets and commas.",
    ),
    Rule(
        "pretty_printed",
        ERROR,
        "Each example stands on one line.",
        "Write each example with json.dumps(example) and no indent.",
    ),
    Rule(
        "one_message_per_line",
        ERROR,
        "A line is an example (a whole conversation), not one message.",
        'Gather each conversation in one line: {"messages": [system, user, assistant]}.',
    ),
    # The line
    Rule("line_too_long", ERROR, "A line has at most 16 MB.", "Look for a lost line end."),
    Rule("blank_line", WARNING, "No line is blank.", "Delete it: some readers refuse the file."),
    Rule("trailing_comma", ERROR, "Nothing follows the example on its line.", "Delete the comma."),
    Rule(
        "python_repr",
        ERROR,
        "Lines are JSON, not Python.",
        "Write with json.dumps(example), not str(example).",
    ),
    Rule("invalid_json", ERROR, "Every line is valid JSON.", "Write it with json.dumps."),
    Rule("duplicate_key", WARNING, "No key occurs twice.", "Keep one: readers use the last."),
    Rule("not_an_object", ERROR, "A line is an object { }.", 'Write {"messages": [...]}.'),
    # The example
    Rule("missing_messages", ERROR, "An example has a list `messages`.", "Add the list."),
    Rule("empty_messages", ERROR, "`messages` is not empty.", "Delete the line or fill it."),
    Rule(
        "unknown_example_key",
        ERROR,
        "Beside `messages` only `tools`, `parallel_tool_calls` and `functions` are known.",
        "Delete the key.",
    ),
    Rule("missing_assistant", ERROR, "An assistant answers.", "Add the answer to be learned."),
    Rule("nothing_to_learn", ERROR, "Some answer has weight 1.", "Set one weight to 1."),
    Rule("last_not_assistant", WARNING, "The last message is the assistant's.", "Cut the rest."),
    Rule(
        "missing_system",
        WARNING,
        "A system message opens the example.",
        "Add the system prompt that you will use when asking.",
    ),
    Rule("missing_user", WARNING, "A user asks.", "Add the question or draft."),
    Rule("system_not_first", WARNING, "The system message comes first.", "Move it to the top."),
    # The message
    Rule("message_not_an_object", ERROR, "A message is an object.", "Write role and content."),
    Rule("missing_role", ERROR, "A message has a role.", "Add the role."),
    Rule(
        "unknown_role",
        ERROR,
        "A role is system, developer, user, assistant, tool or function.",
        "Use one of these roles.",
    ),
    Rule("unknown_message_key", ERROR, "A message has only known keys.", "Delete the key."),
    Rule("missing_content", ERROR, "A message has a content.", "Add the content."),
    Rule(
        "null_content",
        ERROR,
        "Content is null only where an assistant calls a tool.",
        "Write a text, or delete the message.",
    ),
    Rule("content_not_text", ERROR, "Content is text or a list of parts.", "Write a text."),
    Rule("bad_content_part", ERROR, "A part is a text or an image.", "Use a documented part."),
    Rule("image_in_answer", ERROR, "Only user messages hold images.", "Move the image."),
    Rule("empty_content", WARNING, "No content is empty.", "Delete the message or fill it."),
    Rule("bad_weight", ERROR, "A weight is the number 0 or 1.", "Write 0 or 1."),
    Rule("weight_not_assistant", ERROR, "Only assistants have a weight.", "Delete the weight."),
    # Tools
    Rule("bad_tools", ERROR, "`tools` is a list of functions with names.", "See the guide."),
    Rule("bad_parallel_tool_calls", ERROR, "It is true or false.", "Write true or false."),
    Rule(
        "bad_tool_call",
        ERROR,
        "A tool call has id, type `function`, and a function with name and arguments.",
        "Copy the call as the chat endpoint returned it.",
    ),
    Rule(
        "bad_arguments",
        ERROR,
        "Arguments are a string that holds a JSON object.",
        "Write json.dumps(arguments), not the object itself.",
    ),
    Rule("unknown_tool", ERROR, "A called tool is defined in `tools`.", "Add its definition."),
    Rule(
        "orphan_tool_message",
        ERROR,
        "A tool message answers an earlier call by its id.",
        "Give it the `tool_call_id` of the call it answers.",
    ),
    Rule("unanswered_call", WARNING, "A call is answered before the talk goes on.", "Add it."),
    Rule(
        "legacy_function_call",
        WARNING,
        "`functions` and `function_call` are the old form of tools.",
        "Rewrite them as `tools` and `tool_calls`.",
    ),
    # The set
    Rule("too_few_examples", ERROR, "A file has ten examples.", "Write more; 50 is a start."),
    Rule("too_long", WARNING, "An example fits the model's context.", "Shorten or split it."),
    Rule("duplicate_example", WARNING, "No example occurs twice.", "Delete one of them."),
    Rule(
        "contradiction",
        WARNING,
        "The same prompt does not get two different answers.",
        "Decide on one answer, or say in the prompt what makes the difference.",
    ),
    Rule(
        "several_system_prompts",
        WARNING,
        "One system prompt serves all examples.",
        "Use one, the same as when asking later, unless the difference is meant.",
    ),
    Rule(
        "overlap_with_validation",
        ERROR,
        "Training and validation share no example.",
        "Delete it from one of the two: a model must not be examined on what it learned.",
    ),
    Rule(
        "half_emoji",
        ERROR,
        "No half of a split emoji (a lone surrogate) is in a text.",
        "Join the halves with dataset.repair_text before writing the file.",
    ),
    # What must not leave the house
    Rule(
        "personal_data",
        WARNING,
        "No e-mail address, phone number or street is left.",
        "Replace it with privacy.replace: a model can repeat what it was trained on.",
    ),
    Rule(
        "api_key",
        ERROR,
        "Nothing looks like an API key.",
        "Delete it and revoke the key with its provider: it must count as known to others.",
    ),
)
RULE = {rule.name: rule for rule in RULES}
# Faults of the whole file after which looking at its lines would only make noise.
NOT_LINES = ("empty_file", "file_too_large", "utf16", "json_array", "pretty_printed")

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
EXAMPLE_KEYS = ("messages", "tools", "parallel_tool_calls", "functions")
MESSAGE_KEYS = (
    "role", "content", "name", "weight", "tool_calls", "tool_call_id", "function_call", "refusal",
)  # fmt: skip
ROLE_HINTS = {"bot": "assistant", "ai": "assistant", "model": "assistant", "gpt": "assistant",
              "chatgpt": "assistant", "human": "user", "customer": "user"}  # fmt: skip
API_KEY = re.compile(
    r"\bsk-[A-Za-z0-9_-]{16,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bAKIA[0-9A-Z]{16}\b|\bhf_[A-Za-z0-9]{20,}"
    r"|\bxox[abp]-[A-Za-z0-9-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)


def check_file(
    path: str | Path,
    model: str = "workbook-mini",
    purpose: str = "training",
    validation_file: str | Path | None = None,
) -> list[Finding]:
    """All findings in the JSONL file at `path`, in the order of its lines.

    model: whose context and tokenizer decide what is too long (fine-tuned names are fine).
    purpose: "training" or "validation"; the same rules hold, the messages say which file it is.
    validation_file: compared with, so that no example stands in both.
    Raises FileNotFoundError where there is no file; everything else is a finding.
    """
    path = Path(path)
    findings = _check_as_file(path)
    if any(finding.rule in NOT_LINES for finding in findings):
        return findings
    examples: list[tuple[int, dict]] = []
    n_lines = 0
    for number, raw in _lines(path):
        n_lines += raw is None or bool(raw.strip())
        findings += _check_line(number, raw, examples)
    if examples and all(_is_single_message(example) for _, example in examples):
        return [*findings, _one_message_per_line(examples)]
    for number, example in examples:
        findings += _check_example(number, example)
    sound = _sound(examples, findings)
    findings += _check_lengths(sound, model)
    findings += _check_set(n_lines, sound, purpose)
    if validation_file is not None:
        findings += _check_overlap(sound, Path(validation_file))
    return sorted(findings, key=lambda finding: finding.line or 0)


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """The findings for which the file must not be uploaded as it is."""
    return [finding for finding in findings if finding.severity == ERROR]


def report(findings: Iterable[Finding]):
    """The findings as a pandas DataFrame: line, severity, rule, message, cure."""
    import pandas as pd

    columns = ["line", "severity", "rule", "message", "cure"]
    table = pd.DataFrame([vars(finding) for finding in findings], columns=columns)
    return table.astype({"line": "Int64"})


def summary(findings: Iterable[Finding]) -> str:
    """One sentence: whether the file may be uploaded, and how much was found."""
    findings = list(findings)
    n_errors = len(errors(findings))
    n_warnings = len(findings) - n_errors
    # Not "a job would fail": a key in a text, for one, is an error that stops no job.
    verdict = "Do not upload yet" if n_errors else "Ready to upload"
    return f"{verdict}: {n_errors} errors, {n_warnings} warnings."


def rules_table():
    """RULES as a pandas DataFrame."""
    import pandas as pd

    return pd.DataFrame([vars(rule) for rule in RULES]).set_index("name")


def context_of(model: str) -> int | None:
    """The longest training example of `model`, in tokens; None where it is not on record."""
    base = tokens.base_model_of(model)
    for name in sorted(CONTEXT, key=len, reverse=True):
        rest = base.removeprefix(name)
        if rest == "" or (base.startswith(name) and rest.replace("-", "").isdigit()):
            return CONTEXT[name]
    return None


def _found(line: int | None, rule: str, message: str, cure: str | None = None) -> Finding:
    return Finding(line, rule, RULE[rule].severity, message, cure or RULE[rule].cure)


# The file as a whole


def _check_as_file(path: Path) -> list[Finding]:
    """Faults that are not one line's."""
    findings = []
    size = path.stat().st_size
    if path.suffix != ".jsonl":
        findings.append(_found(None, "file_name", f"{path.name} does not end in .jsonl."))
    if size > MAX_FILE_BYTES:
        return [*findings, _found(None, "file_too_large", f"The file has {size / 2**20:,.0f} MB.")]
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"\xef\xbb\xbf"):
        message = "The file begins with a byte-order mark (EF BB BF), which JSON does not allow."
        findings.append(_found(1, "bom", message))
    elif head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return [*findings, _found(1, "utf16", "The file begins with the mark of UTF-16.")]
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        return [*findings, _found(None, "empty_file", f"{path.name} holds no example.")]
    return findings + _check_shape(path, start, size)


def _check_shape(path: Path, start: bytes, size: int) -> list[Finding]:
    """Whether this is JSON that was not cut into lines."""
    first_line = start.split(b"\n")[0].strip()  # only its beginning, if it is a long one
    if start[:1] == b"[" and (first_line == b"[" or _json_or_none(path, size, list) is not None):
        return [_found(1, "json_array", "The file is one JSON array.")]
    if first_line == b"{" or (start[:1] == b"{" and _json_or_none(path, size, dict) is not None):
        return [_found(1, "pretty_printed", "An example is spread over several lines.")]
    return []


def _json_or_none(path: Path, size: int, kind: type):
    """The whole file parsed, if it is one JSON list, or one JSON object over several lines."""
    if size > MAX_LINE_BYTES:
        return None
    try:
        text = path.read_bytes().decode("utf-8-sig").strip()
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, kind) and (kind is list or "\n" in text) else None


def _lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines as bytes, without their ends; None for a line too long to be looked at."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(raw) > MAX_LINE_BYTES:
                while raw and not raw.endswith(b"\n"):  # skip the rest of it
                    raw = file.readline(MAX_LINE_BYTES)
                yield number, None
            else:
                mark = b"\xef\xbb\xbf" if number == 1 else b""
                yield number, raw.removeprefix(mark).rstrip(b"\r\n")


def _is_single_message(example: dict) -> bool:
    return "messages" not in example and "role" in example and "content" in example


def _one_message_per_line(examples: list[tuple[int, dict]]) -> Finding:
    roles = ", ".join(str(example["role"]) for _, example in examples[:3])
    message = f"All {len(examples)} lines are single messages ({roles} ...): none is an example."
    return _found(examples[0][0], "one_message_per_line", message)


# One line


def _check_line(number: int, raw: bytes | None, examples: list) -> list[Finding]:
    """Findings on one line as text; a line that is an object is appended to `examples`."""
    if raw is None:
        megabytes = MAX_LINE_BYTES / 2**20
        return [_found(number, "line_too_long", f"The line has more than {megabytes:.0f} MB.")]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = raw[error.start : error.start + 1].hex()
        message = f"Byte {error.start + 1} of the line (0x{bad}) is not UTF-8."
        return [_found(number, "invalid_utf8", message)]
    if not text.strip():
        return [_found(number, "blank_line", "The line is blank.")]
    repeated: list[str] = []
    try:
        value = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(pairs, repeated),
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as error:
        return [_not_json(number, text, error)]
    if not isinstance(value, dict):
        kind = {list: "a list", str: "a text"}.get(type(value), f"the value {value}")
        return [_found(number, "not_an_object", f"The line is {kind}, not an object.")]
    examples.append((number, value))
    twice = ", ".join(sorted(set(repeated)))
    return [_found(number, "duplicate_key", f"Key given twice: {twice}.")] if repeated else []


def _object(pairs: list[tuple[str, object]], repeated: list[str]) -> dict:
    """A JSON object as a dict; keys that occur twice are noted in `repeated`."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated += [key for key in found if keys.count(key) > 1]
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is Python's, JSON has no such number")


def _not_json(number: int, text: str, error: Exception) -> Finding:
    """Which kind of not-JSON a line is."""
    stripped = text.strip()
    if stripped.endswith(",") and _is_json(stripped[:-1]):
        return _found(number, "trailing_comma", "A comma stands after the example.")
    if re.search(r",\s*[}\]]", stripped) and _is_json(re.sub(r",(\s*[}\]])", r"\1", stripped)):
        return _found(number, "trailing_comma", "A comma stands before a closing bracket.")
    if re.match(r"\{\s*'", stripped):
        return _found(number, "python_repr", "The line is a Python dict with single quotes.")
    where = f" at character {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
    reason = getattr(error, "msg", str(error))
    return _found(number, "invalid_json", f"Not JSON{where}: {reason}.")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


# One example


def _check_example(number: int, example: dict) -> list[Finding]:
    findings = [
        _found(number, "unknown_example_key", f"Unknown key {key!r}.")
        for key in example
        if key not in EXAMPLE_KEYS and "messages" in example
    ]
    messages = example.get("messages")
    if not isinstance(messages, list):
        keys = ", ".join(map(repr, example)) or "none"
        return [*findings, _found(number, "missing_messages", f"No list `messages`; keys: {keys}.")]
    if not messages:
        return [*findings, _found(number, "empty_messages", "The list `messages` is empty.")]
    for place, message in enumerate(messages, 1):
        findings += _check_message(number, place, message)
    messages = [m for m in messages if isinstance(m, dict)]
    findings += _check_roles(number, messages)
    findings += _check_tools(number, example, messages)
    return findings + _check_texts(number, example)


def _check_roles(number: int, messages: list[dict]) -> list[Finding]:
    """Who speaks, and in which order."""
    findings = []
    roles = [message.get("role") for message in messages]
    answers = [message for message in messages if message.get("role") == "assistant"]
    if not answers:
        findings.append(_found(number, "missing_assistant", "No assistant message to learn."))
    elif all(answer.get("weight") == 0 for answer in answers):
        message = "Every assistant message has weight 0, so nothing is learned."
        findings.append(_found(number, "nothing_to_learn", message))
    elif roles[-1] != "assistant":
        message = f"The example ends with a {roles[-1]} message, which teaches nothing."
        findings.append(_found(number, "last_not_assistant", message))
    if "system" not in roles and "developer" not in roles:
        findings.append(_found(number, "missing_system", "There is no system message."))
    elif roles[0] not in ("system", "developer"):
        findings.append(_found(number, "system_not_first", "The system message is not the first."))
    if "user" not in roles:
        findings.append(_found(number, "missing_user", "There is no user message."))
    return findings


# One message


def _check_message(number: int, place: int, message: object) -> list[Finding]:
    where = f"Message {place}"
    if not isinstance(message, dict):
        return [_found(number, "message_not_an_object", f"{where} is not an object.")]
    findings = [
        _found(number, "unknown_message_key", f"{where} has the unknown key {key!r}.")
        for key in message
        if key not in MESSAGE_KEYS
    ]
    role = message.get("role")
    if "role" not in message:
        findings.append(_found(number, "missing_role", f"{where} has no role."))
    elif role not in ROLES:
        hint = ROLE_HINTS.get(str(role).lower())
        cure = f"Did you mean {hint!r}?" if hint else None
        findings.append(_found(number, "unknown_role", f"{where} has the role {role!r}.", cure))
    if "weight" in message:
        findings += _check_weight(number, where, message)
    return findings + _check_content(number, where, message)


def _check_weight(number: int, where: str, message: dict) -> list[Finding]:
    weight = message["weight"]
    if message.get("role") != "assistant":
        return [_found(number, "weight_not_assistant", f"{where} is no answer but has a weight.")]
    if isinstance(weight, bool) or weight not in (0, 1):
        return [_found(number, "bad_weight", f"{where} has the weight {weight!r}.")]
    return []


def _check_content(number: int, where: str, message: dict) -> list[Finding]:
    calls = message.get("role") == "assistant" and (
        message.get("tool_calls") or message.get("function_call")
    )
    if "content" not in message:
        absent = _found(number, "missing_content", f"{where} has no content.")
        return [] if calls else [absent]
    content = message["content"]
    if content is None:
        null = _found(number, "null_content", f"The content of {where.lower()} is null.")
        return [] if calls else [null]
    if isinstance(content, list):
        return _check_parts(number, where, message, content)
    if not isinstance(content, str):
        kind = type(content).__name__
        return [_found(number, "content_not_text", f"The content of {where.lower()} is a {kind}.")]
    if not content.strip() and not calls:
        return [_found(number, "empty_content", f"The content of {where.lower()} is empty.")]
    return []


def _check_parts(number: int, where: str, message: dict, parts: list) -> list[Finding]:
    """A content that is a list: text parts, and images where a user sends them."""
    findings = []
    if not parts:
        return [_found(number, "empty_content", f"The content of {where.lower()} is empty.")]
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "image_url" and message.get("role") != "user":
            findings.append(_found(number, "image_in_answer", f"{where} holds an image."))
        elif not (
            (kind == "text" and isinstance(part.get("text"), str))
            or (kind == "image_url" and isinstance(part.get("image_url"), dict))
        ):
            message_text = f"{where} has a part that is neither text nor image."
            findings.append(_found(number, "bad_content_part", message_text))
    return findings


# Tools


def _check_tools(number: int, example: dict, messages: list[dict]) -> list[Finding]:
    findings, defined = _check_definitions(number, example)
    open_calls: dict[str, str] = {}
    for place, message in enumerate(messages, 1):
        where = f"Message {place}"
        if message.get("role") == "tool":
            call_id = message.get("tool_call_id")
            if not isinstance(call_id, str) or open_calls.pop(call_id, None) is None:
                text = f"{where} answers the call {call_id!r}, which nobody made."
                findings.append(_found(number, "orphan_tool_message", text))
            continue
        if open_calls:
            names = ", ".join(sorted(set(open_calls.values())))
            text = f"The call of {names} is not answered before {where.lower()}."
            findings.append(_found(number, "unanswered_call", text))
            open_calls = {}
        if "function_call" in message or message.get("role") == "function":
            text = f"{where} uses the old function form."
            findings.append(_found(number, "legacy_function_call", text))
        for call in _calls_of(message):
            found, call_id, name = _check_call(number, where, call, defined)
            findings += found
            if call_id is not None:
                open_calls[call_id] = name
    return findings


def _calls_of(message: dict) -> list:
    calls = message.get("tool_calls")
    if calls is None:
        return []
    return calls if isinstance(calls, list) else [calls]


def _check_definitions(number: int, example: dict) -> tuple[list[Finding], set[str]]:
    """Findings on `tools` and its switch, and the names it defines."""
    findings, defined = [], set()
    if "functions" in example:
        text = "The example uses the old key `functions`."
        findings.append(_found(number, "legacy_function_call", text))
    tools = example.get("tools", [])
    for tool in tools if isinstance(tools, list) else [None]:
        function = tool.get("function") if isinstance(tool, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or tool.get("type") != "function":
            text = "A tool is not of the form {'type': 'function', 'function': {'name': ...}}."
            findings.append(_found(number, "bad_tools", text))
        elif not isinstance(function.get("parameters", {}), dict):
            findings.append(_found(number, "bad_tools", f"`parameters` of {name} is no object."))
        else:
            defined.add(name)
    if not isinstance(example.get("parallel_tool_calls", False), bool):
        text = f"parallel_tool_calls is {example['parallel_tool_calls']!r}."
        findings.append(_found(number, "bad_parallel_tool_calls", text))
    return findings, defined


def _check_call(
    number: int, where: str, call: object, defined: set[str]
) -> tuple[list[Finding], str | None, str]:
    """Findings on one tool call, its id (None where it is malformed) and its function's name."""
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    call_id = call.get("id") if isinstance(call, dict) else None
    sound = isinstance(name, str) and isinstance(call_id, str) and call.get("type") == "function"
    if not sound or "arguments" not in function:
        text = f"{where} has a tool call that lacks an id, a type, a name or arguments."
        return [_found(number, "bad_tool_call", text)], None, ""
    findings = []
    arguments = function["arguments"]
    if not isinstance(arguments, str):
        kind = type(arguments).__name__
        text = f"The arguments of {name} are a {kind}, not a string."
        findings.append(_found(number, "bad_arguments", text))
    elif not _is_json(arguments) or not isinstance(json.loads(arguments), dict):
        text = f"The arguments of {name} are not a JSON object."
        findings.append(_found(number, "bad_arguments", text))
    if name not in defined:
        text = f"{where} calls {name}, which `tools` does not define."
        findings.append(_found(number, "unknown_tool", text))
    return findings, call_id, name


# The wording


def _check_texts(number: int, example: dict) -> list[Finding]:
    """Broken emoji, personal data and keys in any text of the example."""
    text = "\n".join(_all_texts(example["messages"]))
    findings = []
    if halves := re.findall("[\ud800-\udfff]", text):
        message = f"{len(halves)} halves of split emoji, which no tokenizer can read."
        findings.append(_found(number, "half_emoji", message))
    if keys := API_KEY.findall(text):
        findings.append(_found(number, "api_key", f"{keys[0][:6]}... looks like an API key."))
    kinds = ("Email", "Phone", "Address")
    found = [finding for finding in privacy.find(text) if finding.kind in kinds]
    if found:
        wordings = ", ".join(f"{f.kind.lower()} {f.text!r}" for f in found[:3])
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        findings.append(_found(number, "personal_data", f"Left in the text: {wordings}{more}."))
    return findings


def _all_texts(value: object) -> Iterator[str]:
    """Every text in a JSON value, except the data of images."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _all_texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != "image_url":
                yield from _all_texts(item)


# The set


def _sound(examples: list[tuple[int, dict]], findings: list[Finding]) -> list[tuple[int, dict]]:
    """The examples whose lines have no error, so that they can be counted and compared."""
    faulty = {finding.line for finding in errors(findings)} - {None}
    # A byte-order mark is a fault of the file, not of the example on line 1.
    faulty -= {1} if {f.rule for f in errors(findings) if f.line == 1} == {"bom"} else set()
    return [(number, example) for number, example in examples if number not in faulty]


def _check_lengths(examples: list[tuple[int, dict]], model: str) -> list[Finding]:
    limit = context_of(model)
    if limit is None:
        return []
    encoding = None
    findings = []
    for number, example in examples:
        # A token is at least one byte: what is shorter than the limit in bytes needs no count.
        if len(json.dumps(example, ensure_ascii=False).encode()) < limit:
            continue
        encoding = encoding or tokens.encoding_for(model)
        count = tokens.count_example(example, encoding)
        if count > limit:
            findings.append(_too_long(number, example, count, limit, encoding))
    return findings


def _too_long(number: int, example: dict, count: int, limit: int, encoding) -> Finding:
    """What truncation does to this example: it is cut at the end, where the answer stands.

    What is left holds no end sign at all, so it does not teach the model to stop there either.
    """
    answer = tokens.count_message(example["messages"][-1], encoding)
    lost = count - limit
    share = min(100, round(100 * lost / answer))
    message = (
        f"{count:,} tokens, but the model takes {limit:,}. Its last {lost:,} tokens would be cut "
        f"off, and the answer stands last: {share} % of it would be lost, the end-of-turn sign "
        "with it, so this example cannot teach the model where to stop."
    )
    return _found(number, "too_long", message)


def _check_set(n_lines: int, sound: list[tuple[int, dict]], purpose: str) -> list[Finding]:
    findings = []
    if n_lines < MIN_EXAMPLES:
        text = f"The {purpose} file has {n_lines} examples; a job needs {MIN_EXAMPLES}."
        findings.append(_found(None, "too_few_examples", text))
    first_line: dict[str, int] = {}
    first_prompt: dict[str, int] = {}
    systems: dict[str, int] = {}
    for number, example in sound:
        whole, prompt = _fingerprint(example), _fingerprint(_prompt_of(example))
        if whole in first_line:
            text = f"The same example as in line {first_line[whole]}."
            findings.append(_found(number, "duplicate_example", text))
        elif prompt in first_prompt:
            text = f"The prompt of line {first_prompt[prompt]} with another answer."
            findings.append(_found(number, "contradiction", text))
        first_line.setdefault(whole, number)
        first_prompt.setdefault(prompt, number)
        if example["messages"][0]["role"] in ("system", "developer"):
            systems.setdefault(json.dumps(example["messages"][0].get("content")), number)
    if len(systems) > 1:
        second = list(systems.values())[1]
        text = f"{len(systems)} different system prompts; the second begins in line {second}."
        findings.append(_found(None, "several_system_prompts", text))
    return findings


def _prompt_of(example: dict) -> dict:
    """The example without its last message, if that is the assistant's."""
    messages = example["messages"]
    return {**example, "messages": messages[:-1] if len(messages) > 1 else messages}


def _fingerprint(example: dict) -> str:
    """The same for two examples that differ in nothing but the order of keys and outer spaces."""
    messages = [
        {key: value.strip() if isinstance(value, str) else value for key, value in m.items()}
        for m in example["messages"]
    ]
    return json.dumps({**example, "messages": messages}, sort_keys=True)


def _check_overlap(examples: list[tuple[int, dict]], other: Path) -> list[Finding]:
    """Examples that also stand in the file `other` (lines there that are no example are passed)."""
    theirs: dict[str, int] = {}
    parsed: list[tuple[int, dict]] = []
    for number, raw in _lines(other):
        _check_line(number, raw, parsed)
    for number, example in parsed:
        messages = example.get("messages")
        if isinstance(messages, list) and all(isinstance(m, dict) for m in messages):
            theirs.setdefault(_fingerprint(example), number)
    return [
        _found(
            number,
            "overlap_with_validation",
            f"Also in line {theirs[_fingerprint(example)]} of {other.name}.",
        )
        for number, example in examples
        if _fingerprint(example) in theirs
    ]
