"""What the runner does to an executed notebook before it is written."""

from __future__ import annotations

from nbformat.v4 import new_output

from helpers import runner


def test_neighbouring_pieces_of_one_stream_become_one_output():
    pieces = [new_output("stream", name="stdout", text=text) for text in ("Hey", " {User}", "\n")]
    picture = new_output("display_data", data={"text/plain": "a picture"})
    said = new_output("stream", name="stdout", text="after it")
    warned = new_output("stream", name="stderr", text="oh")
    joined = runner.join_streams([*pieces, picture, said, warned])
    assert [output.get("text") for output in joined] == ["Hey {User}\n", None, "after it", "oh"]
