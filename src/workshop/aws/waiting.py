"""Wait until something is so, and say what was waited for when it does not come.

Try it:  waiting.until(lambda: stacks.status("network") == "CREATE_COMPLETE", 600, "stack workshop-network")
AWS tells most states only when asked: the pause between questions grows, so that little time is lost on the
local AWS and a real one is not asked too often. Knows no service.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from workshop.errors import AwsError

Answer = TypeVar("Answer")

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 3.0
GROWTH = 1.4


def until(
    ask: Callable[[], Answer | None],
    timeout_seconds: float,
    what: str,
    state: Callable[[], str] = lambda: "",
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
) -> Answer:
    """Ask until the answer is true and return it.

    what: named in the error. state: told in the error, such as the last status seen.
    Errors: AwsError after timeout_seconds.
    """
    deadline = clock() + timeout_seconds
    pause = FIRST_PAUSE_SECONDS
    while True:
        answer = ask()
        if answer:
            return answer
        left = deadline - clock()
        if left <= 0:
            seen = state()
            raise AwsError(
                f"waited {timeout_seconds:g} s for {what}{': it is ' + seen if seen else ''}",
                "workshop status shows what is there now",
            )
        sleep(min(pause, left))
        pause = min(pause * GROWTH, longest_pause_seconds)


def quiet(
    ask: Callable[[], bool],
    silence_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Ask until nothing has come for so long; `ask` says whether something came."""
    last = clock()
    while clock() - last < silence_seconds:
        if ask():
            last = clock()
        sleep(min(0.1, silence_seconds / 4))
