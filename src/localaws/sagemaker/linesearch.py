"""Regular expressions looked for in lines, in a process of its own; this file is also what that process runs.

Try it:  python -m pytest tests/fast/test_sagemaker_linesearch.py
A job's expressions are its owner's. Some take for ever on some lines, and Python's `re` can't be interrupted: in the
server it would keep everything else waiting, requests and all. There the kernel ends the process by an alarm that it
sets itself, so none outlives the server either. Knows nothing of metrics.
"""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence

# How long the expressions may look at what comes at once: AWS names no limit.
SECONDS, SECONDS_A_LINE = 2.0, 0.001


class TooSlow(Exception):
    """The expressions took too long, and nothing is looked for any more."""


class Search:
    """Finds expressions in lines, until `close`. The process is started with the first lines."""

    def __init__(self, expressions: Sequence[str]) -> None:
        self._expressions = list(expressions)
        self._process: subprocess.Popen[str] | None = None

    def find(self, lines: list[str]) -> list[tuple[int, str]]:
        """(number of the expression, its first group) of each that is in a line, in the lines' order.

        Errors: TooSlow.
        """
        process = self._process = self._process or _started()
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps([self._expressions, lines]) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.close()
            raise TooSlow
        return [(number, text) for number, text in json.loads(answer)]

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _started() -> subprocess.Popen[str]:
    """Python without what is installed beside it and without anything of the server's environment: 15 ms."""
    command = [sys.executable, "-I", "-S", __file__]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={})


def _found(expressions: list[re.Pattern[str]], lines: list[str]) -> list[tuple[int, str]]:
    matches = [
        (number, matched)
        for line in lines
        for number, expression in enumerate(expressions)
        if (matched := expression.search(line))
    ]
    # A group that took no part in a match has no number.
    return [(number, matched[1]) for number, matched in matches if matched.re.groups and matched[1]]


def main() -> None:
    """Answer each line of input, [expressions, lines], with a line of what was found."""
    for asked in sys.stdin:
        expressions, lines = json.loads(asked)
        signal.setitimer(signal.ITIMER_REAL, SECONDS + SECONDS_A_LINE * len(lines))
        found = _found([re.compile(each) for each in expressions], lines)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
