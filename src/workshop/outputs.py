"""Read what an executed notebook showed: checkpoint lines and pictures.

Try it:  python -c "from pathlib import Path; from workshop import outputs;
print(outputs.pictures(Path('x.ipynb')))" Knows nothing of labs or runs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workshop.checkpoints import MIMETYPE, YOUR_TURN
from workshop.execution import headings


@dataclass(frozen=True)
class Picture:
    """A picture of an output: where it stood, its type, its content as it is in the notebook."""

    heading: str
    mimetype: str
    content: str

    @property
    def address(self) -> str:
        """The picture as a data: address, for a page that holds all it shows."""
        if self.mimetype == "image/svg+xml":
            import base64

            return f"data:{self.mimetype};base64,{base64.b64encode(self.content.encode()).decode()}"
        return f"data:{self.mimetype};base64,{self.content.strip()}"


PICTURES = ("image/png", "image/jpeg", "image/svg+xml")


def checkpoint_lines(notebook: Path) -> list[dict[str, Any]]:
    """Return the lines of the lab's checkpoint; the exercise's own check does not count."""
    lines: list[dict[str, Any]] = []
    for _, data in _displayed(notebook):
        found = data.get(MIMETYPE)
        if found and found["part"] != YOUR_TURN:
            lines = list(found["lines"])  # the last one counts: a cell may have been run more than once
    return lines


def pictures(notebook: Path) -> list[Picture]:
    """Return every picture in the order of its cell."""
    found = []
    for heading, data in _displayed(notebook):
        mimetype = next((name for name in PICTURES if name in data), None)
        if mimetype:
            found.append(Picture(heading, mimetype, "".join(data[mimetype])))
    return found


def _displayed(notebook: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    cells = json.loads(notebook.read_text())["cells"]
    for heading, cell in zip(headings(cells), cells, strict=True):
        for output in cell.get("outputs", []):
            yield heading, output.get("data", {})
