"""From the bytes that a container writes to whole lines of text.

Try it:  python -m pytest tests/fast/test_engine_loglines.py
Knows nothing of where the bytes come from.
"""

import codecs

LONGEST_LINE = 256 * 1024 - 26  # one event of CloudWatch Logs; longer lines are split, ended or not


class LineSplitter:
    """Takes one stream's bytes as they come, and gives its lines; a character may come in two pieces."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that this chunk completes."""
        *lines, self._rest = (self._rest + self._decoder.decode(chunk)).split("\n")
        whole = [part for line in lines for part in _parts(line.removesuffix("\r"))]
        if len(self._rest) > LONGEST_LINE:
            *more, self._rest = _parts(self._rest)
            whole += more
        return whole

    def end(self) -> list[str]:
        """What came after the last line's end, if anything did."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        return [rest] if rest else []


def _parts(line: str) -> list[str]:
    return [line[at : at + LONGEST_LINE] for at in range(0, len(line), LONGEST_LINE)] or [""]
