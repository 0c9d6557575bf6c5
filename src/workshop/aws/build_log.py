"""Read what Docker says of a build: which steps it made anew, how long each took, and why it made them.

Try it:  workshop build mxnet
For BuildKit's plain output. Why a step was made anew Docker does not say; it follows from the order of the steps:
one that copies looks at its files, any other at its own words and at the steps before it.
Reference: https://docs.docker.com/build/cache/invalidation/
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FILES_CHANGED = "the files that it copies are not those of the last build"
NEW_WORDS = "its instruction or its arguments are new, or the build cache has lost it"
FOLLOWS = "a step before it was made anew"

_BEGUN = re.compile(
    r"#(?P<id>\d+) \[(?:(?P<stage>\S+) +)?(?P<number>\d+)/(?P<total>\d+)\] (?P<instruction>.+)"
)
_ENDED = re.compile(r"#(?P<id>\d+) (?:(?P<cached>CACHED)|DONE (?P<seconds>[\d.]+)s)$")


@dataclass
class Step:
    """One step of one stage. seconds is None until it has ended."""

    stage: str
    number: int
    total: int
    instruction: str
    cached: bool = False
    seconds: float | None = None
    why: str = ""

    @property
    def ended(self) -> bool:
        """Whether it was made, or found in the cache."""
        return self.cached or self.seconds is not None


class BuildLog:
    """The steps of one build, as its lines come."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}

    def feed(self, line: str) -> None:
        """Take a line; most say nothing of steps."""
        if found := _BEGUN.match(line):
            stage = found["stage"] or ""
            step = Step(
                stage, int(found["number"]), int(found["total"]), " ".join(found["instruction"].split())
            )
            self._steps.setdefault(found["id"], step)
        elif (found := _ENDED.match(line)) and found["id"] in self._steps:
            step = self._steps[found["id"]]
            step.cached = bool(found["cached"])
            step.seconds = float(found["seconds"] or 0)

    @property
    def total(self) -> int:
        """How many steps the stages have that were seen so far."""
        return sum({step.stage: step.total for step in self._steps.values()}.values())

    @property
    def ended(self) -> int:
        """How many of them have ended."""
        return sum(step.ended for step in self._steps.values())

    @property
    def now(self) -> str:
        """The instruction of the step that was begun last and has not ended."""
        return next((step.instruction for step in reversed(self._steps.values()) if not step.ended), "")

    def steps(self) -> list[Step]:
        """All that make something, in the order of the Dockerfile, each with why it was made anew."""
        order = list(dict.fromkeys(step.stage for step in self._steps.values()))
        # The last stage is begun before those that it stands on have ended, and is told by its many steps only.
        order.sort(key=lambda stage: stage.startswith("stage-") or not stage)
        found = [step for step in self._steps.values() if not step.instruction.startswith("FROM ")]
        found.sort(key=lambda step: (order.index(step.stage), step.number))
        anew = False
        for step in found:
            if step.cached:
                continue
            copies = step.instruction.startswith(("COPY", "ADD"))
            step.why = FOLLOWS if anew else FILES_CHANGED if copies else NEW_WORDS
            anew = True
        return found


class PushLog:
    """The layers of one push, as the lines of `docker push` come."""

    _LINE = re.compile(r"(?P<layer>[0-9a-f]{12}): (?P<state>.+)")
    _THERE = ("Layer already exists", "Mounted from")

    def __init__(self) -> None:
        self._states: dict[str, str] = {}

    def feed(self, line: str) -> None:
        """Take a line; a layer's last one says how it stands."""
        if found := self._LINE.match(line):
            self._states[found["layer"]] = found["state"]

    @property
    def total(self) -> int:
        return len(self._states)

    @property
    def pushed(self) -> int:
        return sum(state == "Pushed" for state in self._states.values())

    @property
    def already_there(self) -> int:
        return sum(state.startswith(self._THERE) for state in self._states.values())
