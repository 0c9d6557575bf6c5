"""What a program's exit code and last lines tell people: what happened, and what mends it.

Try it:  python -c "from workshop import exits; print(exits.told(137, ['epoch 2']))"
Exit codes are those of containers: 128 + n where signal n ended it. Knows no AWS.
"""

from collections.abc import Sequence

LAST_LINES = 40
READ_LOG = "read its log: the last lines name the error"
GO_ON = "run it again with --resume: it goes on from the last saved epoch"
ENDED_WITH_ITS_GROUP = 3  # of a member that did nothing wrong: another one left

EXITED = {
    # exit code: (why, what mends it)
    1: ("its program failed", READ_LOG),
    2: ("its command line was refused", "check the command: workshop run --help"),
    126: ("its command may not be executed", "check the entry point in the Dockerfile"),
    127: ("its command is not in the image", "look inside the image: lab 2, images.inspect"),
    137: ("it was killed (SIGKILL)", GO_ON),
    139: ("its program crashed (SIGSEGV)", "run it again; if it stays so, another version of the library"),
    143: ("it was asked to stop (SIGTERM)", "run it again with --resume"),
}


def said(lines: Sequence[str]) -> tuple[str, str] | None:
    """The last `error: …` of a log with its `fix: …`, as our programs end; None if there is none."""
    tail = [line.strip() for line in lines[-LAST_LINES:]]
    at = next((i for i in reversed(range(len(tail))) if tail[i].startswith("error: ")), None)
    if at is None:
        return None
    fix = next((line for line in tail[at + 1 :] if line.startswith("fix: ")), "")
    return tail[at].removeprefix("error: "), fix.removeprefix("fix: ")


def told(code: int, lines: Sequence[str]) -> tuple[str, str]:
    """(what happened, what mends it) of a program that exited with `code` after these lines."""
    own = said(lines)
    if own and code < 126:  # our own programs say what mends it; a killed one could not
        return own[0], own[1] or READ_LOG
    last = next((line.strip() for line in reversed(lines[-LAST_LINES:]) if line.strip()), "")
    why, fix = EXITED.get(code, ("", READ_LOG))
    if not last:
        return why or "it wrote nothing", fix
    return (f"{why}; its last line: {last}", fix) if why and code > 2 else (last, fix)
