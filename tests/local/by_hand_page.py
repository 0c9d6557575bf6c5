"""docs/by-hand.md as a program: its blocks in their order, in one shell, as a reader types them.

Not a test.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from attendee import ROOT, Attendee
from cli_world import aws_folder

PAGE = ROOT / "docs" / "by-hand.md"
WITH_DOCKER = "Build and push, with Docker"
TIMEOUT_SECONDS = 900
MARK = "--- block "


@dataclass
class Block:
    """Some lines to type, the heading that they stand under, and what they printed."""

    heading: str
    lines: str
    printed: str = ""


def blocks() -> list[Block]:
    """Every block of the page."""
    found, heading = [], ""
    for match in re.finditer(r"^#+ ([^\n]+)$|^```bash\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        if match[1]:
            heading = match[1]
        else:
            found.append(Block(heading, match[2]))
    return found


def typed(chosen: list[Block], learner: Attendee, *first_on_path: Path) -> list[Block]:
    """Type blocks into one shell in the course's folder; AssertionError with the block that fails."""
    path = os.pathsep.join(map(str, (*first_on_path, aws_folder(), learner.variables["PATH"])))
    script = "set -e -o pipefail\n" + "".join(
        f"echo; echo '{MARK}{i}'; echo '{MARK}{i}' >&2\n{x.lines}" for i, x in enumerate(chosen)
    )
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=learner.root,
        env={**learner.variables, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    reached = ended.stdout.split(MARK)[1:]
    for block, printed in zip(chosen, reached, strict=False):
        block.printed = printed.partition("\n")[2]
    failed = chosen[len(reached) - 1]
    errors = ended.stderr.rpartition(MARK)[2]
    assert ended.returncode == 0, f"{failed.heading}:\n{failed.lines}\n{failed.printed}{errors}"
    return chosen
