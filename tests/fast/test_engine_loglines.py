"""Lines out of the bytes that containers write."""

import pytest

from localaws.engine.loglines import LONGEST_LINE, LineSplitter


def lines(*chunks: bytes) -> list[str]:
    splitter = LineSplitter()
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.end()


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((b"one\ntwo",), ["one", "two"]),
        ((b"on", b"e\r\n", b"\n"), ["one", ""]),
        ((b"\xc3", b"\xa4\n"), ["ä"]),
        ((b"\xff\n",), ["\N{REPLACEMENT CHARACTER}"]),
        ((b"cut \xc3",), ["cut \N{REPLACEMENT CHARACTER}"]),
        ((), []),
    ],
)
def test_lines_are_whole_however_their_bytes_come(chunks: tuple[bytes, ...], expected: list[str]) -> None:
    assert lines(*chunks) == expected


def test_line_that_is_too_long_is_split_before_it_ends() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"x" * (LONGEST_LINE + 1)) == ["x" * LONGEST_LINE]
    assert splitter.end() == ["x"]
