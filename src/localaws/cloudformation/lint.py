"""cfn-lint in a process of its own, which answers a line for each line.

Try it:  echo '{"region": "us-east-1", "template": "Resources: {}"}' | python -m localaws.cloudformation.lint
cfn-lint takes two seconds and 180 MB to load and a third of a second a template; here that costs the server
nothing. Knows nothing of AWS's answers: `templates` words them. The process ends with its input, so with
the server.
"""

import json
import subprocess
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

REMEMBERED = 128


@dataclass(frozen=True)
class Problem:
    """What cfn-lint calls an error: its rule (E3002), its sentence, where in the template."""

    rule: str
    message: str
    path: tuple[str, ...]


class Linter:
    """Asks the process, which it starts at the first question, and remembers the answers."""

    def __init__(self, command: list[str] | None = None) -> None:
        self.command = command or [sys.executable, "-m", "localaws.cloudformation.lint"]
        self._process: subprocess.Popen[str] | None = None
        self._answers: OrderedDict[tuple[str, str], list[Problem]] = OrderedDict()
        self._turn = threading.Lock()

    def warm(self) -> None:
        """Start the process, without waiting for it."""
        with self._turn:
            self._running()

    def problems(self, template: str, region: str) -> list[Problem]:
        """What is wrong with the template; from the process, or from memory."""
        with self._turn:
            known = self._answers.get((template, region))
            if known is None:
                known = self._ask(template, region)
                self._answers[(template, region)] = known
                if len(self._answers) > REMEMBERED:
                    self._answers.popitem(last=False)
            return known

    def close(self) -> None:
        """End the process."""
        with self._turn:
            if self._process:
                self._process.kill()
                self._process.wait()
                self._process = None

    def _ask(self, template: str, region: str) -> list[Problem]:
        process = self._running()
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps({"template": template, "region": region}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process = None
            raise RuntimeError(f"cfn-lint ended with exit code {process.wait()} while it read a template")
        return [Problem(rule, message, tuple(path)) for rule, message, path in json.loads(line)]

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        return self._process


def lint(template: str, region: str) -> list[tuple[str, str, list[str]]]:
    """(rule, message, path) of each error of a template; warnings are opinions and are left out."""
    from cfnlint.api import ManualArgs
    from cfnlint.api import lint as run

    matches = run(template, config=ManualArgs(regions=[region], ignore_checks=["W", "I"]))
    found = {(match.rule.id, match.message, tuple(map(str, _path(match)))) for match in matches}
    return [(rule, message, list(path)) for rule, message, path in sorted(found) if rule.startswith("E")]


def _path(match: Any) -> list[Any]:
    return list(getattr(match, "path", None) or [])


def main() -> None:
    """Answer until the input ends."""
    import cfnlint.api  # noqa: F401  the slow part: done before the first question comes

    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(lint(question["template"], question["region"])), flush=True)


if __name__ == "__main__":
    main()
