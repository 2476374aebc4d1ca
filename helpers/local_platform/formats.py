"""What a training file must look like: the checks a job makes before it starts.

A file is read line by line and no line beyond LINE_LIMIT is ever held in memory. The first fault
ends the reading: the job fails with OpenAI's code and a sentence that names file, line and cure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

LINE_LIMIT = 16 * 2**20  # bytes: an image of the 10 MB that OpenAI allows, in base64
MINIMUM_EXAMPLES = 10
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
MESSAGE_KEYS = {
    "role", "content", "name", "weight", "tool_calls", "tool_call_id", "function_call", "refusal",
}  # fmt: skip
EXAMPLE_KEYS = {"messages", "tools", "parallel_tool_calls", "functions"}


class FormatError(ValueError):
    """A file that cannot be trained on. `code` is OpenAI's; the message names line and cure."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


def check_file(path: Path, what: str = "Training") -> int:
    """Check a file whole; returns how many examples it holds.

    Args: `what` names the file in messages: "Training" or "Validation".
    Raises: FormatError at the first fault.
    """
    count = 0
    for number, line in read_lines(path):
        check_example(parse(line, number), number)
        count += 1
    if count < MINIMUM_EXAMPLES:
        raise FormatError(
            "invalid_n_examples",
            f"{what} file has {count} example(s), but must have at least "
            f"{MINIMUM_EXAMPLES} examples",
        )
    return count


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that hold something, with their numbers from 1.

    Raises: FormatError for a byte-order mark, bytes that are not UTF-8, or an endless line.
    """
    with Path(path).open("rb") as file:
        number = 0
        while raw := file.readline(LINE_LIMIT + 1):
            number += 1
            if len(raw) > LINE_LIMIT:
                raise _fault(number, f"is longer than {LINE_LIMIT // 2**20} MB. Split the example")
            if number == 1 and raw.startswith(b"\xef\xbb\xbf"):
                raise _fault(1, "starts with a byte-order mark. Save the file as UTF-8 without BOM")
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise _fault(
                    number, f"is not UTF-8 (byte {error.start + 1} of it). Save the file as UTF-8"
                ) from error
            if text.strip():
                yield number, text


def parse(line: str, number: int) -> dict:
    """The JSON object on a line. Raises: FormatError where there is none."""
    hint = f"(HINT: line starts with: {line.strip()[:30]!r})"
    rule = "Expected file to have JSONL format, where every line is a JSON dictionary."
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            "invalid_file_format", f"{rule} Line {number} is not valid JSON: {error} {hint}"
        ) from error
    if not isinstance(found, dict):
        raise FormatError(
            "invalid_file_format", f"{rule} Line {number} is not a dictionary {hint}."
        )
    return found


def check_example(example: dict, number: int) -> None:
    """Check one example by the rules of chat fine-tuning. Raises: FormatError."""
    if "messages" not in example:
        if "role" in example:
            raise _fault(
                number,
                "is a single message. One line is one whole conversation: "
                '{"messages": [{"role": ...}, ...]}',
            )
        raise _fault(number, "has no key `messages`")
    unknown = sorted(set(example) - EXAMPLE_KEYS)
    if unknown:
        raise _fault(number, f"has an unknown key `{unknown[0]}` beside `messages`. Take it out")
    messages = example["messages"]
    if not isinstance(messages, list) or not messages:
        raise _fault(number, "has `messages` that are not a list with at least one message")
    for position, message in enumerate(messages):
        _check_message(message, number, position)
    trained = [m for m in messages if m["role"] == "assistant" and m.get("weight", 1) != 0]
    if not trained:
        raise _fault(number, "has no assistant message to learn from. Add the wanted answer")


def _check_message(message, number: int, position: int) -> None:
    where = f"has a fault in messages[{position}]: "
    if not isinstance(message, dict):
        raise _fault(number, f"{where}it is not a dictionary")
    role = message.get("role")
    if role not in ROLES:
        raise _fault(number, f"{where}unknown role {role!r}. Use one of {', '.join(ROLES)}")
    unknown = sorted(set(message) - MESSAGE_KEYS)
    if unknown:
        raise _fault(number, f"{where}unknown key `{unknown[0]}`")
    if "weight" in message and (role != "assistant" or message["weight"] not in (0, 1)):
        raise _fault(number, f"{where}`weight` is 0 or 1, on assistant messages only")
    calls = message.get("tool_calls") or message.get("function_call")
    if calls and role != "assistant":
        raise _fault(number, f"{where}only the assistant calls tools")
    _check_calls(message.get("tool_calls"), where, number)
    content = message.get("content")
    if content is None and calls:
        return
    if isinstance(content, list):
        texts = [part.get("text") if isinstance(part, dict) else None for part in content]
        if not texts or not all(isinstance(text, str) for text in texts):
            raise _fault(number, f"{where}this platform trains on text parts only")
    elif not isinstance(content, str):
        raise _fault(number, f"{where}`content` is missing or not text")


def _check_calls(calls, where: str, number: int) -> None:
    for call in calls or []:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise _fault(number, f"{where}a tool call needs a function with a name")
        arguments = function.get("arguments")
        try:
            parsed = json.loads(arguments) if isinstance(arguments, str) else None
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise _fault(number, f"{where}a call's `arguments` are a JSON object in a string")


def _fault(number: int, what: str) -> FormatError:
    return FormatError("invalid_file_format", f"Line {number} {what}.")
