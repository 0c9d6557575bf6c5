"""Keep notebooks in one canonical form, so that a change of a notebook is a change of what it says.

Try it:  workshop notebooks --check
Sorted keys, indent of one, an id for each cell, metadata that people wrote and nothing else. Jobs
(notebooks/) have no outputs; labs (labs/) keep theirs, without times or kernel state.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workshop.errors import WorkshopError

FOLDERS = ("labs", "notebooks")
# What people write into metadata; all else (papermill's, widget state, language_info, …) comes from running.
KEPT_OF_NOTEBOOK = ("kernelspec", "workshop", "language_info")
PRIVATE = "private-output"  # tag of a cell that shows a token: its output is never kept
KEPT_OF_CELL = ("tags", "workshop", "jupyter", "slideshow")
KEPT_OF_LANGUAGE = ("name",)
MINOR = 5  # the first version of the format with cell ids


def find(root: Path) -> list[Path]:
    """Name every notebook of the course."""
    return sorted(path for folder in FOLDERS for path in (root / folder).glob("*.ipynb"))


def differing(root: Path) -> list[Path]:
    """Name the notebooks that are not in canonical form."""
    return [path for path in find(root) if path.read_text(encoding="utf-8") != text(path)]


def fix(path: Path) -> None:
    """Rewrite a notebook in canonical form."""
    path.write_text(text(path), encoding="utf-8")


def text(path: Path) -> str:
    """Spell a notebook in canonical form."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return spell(canonical(content, keep_outputs=path.parent.name == "labs"))


def keep(executed: Path, lab: Path) -> None:
    """Take the outputs of an executed copy into the lab: they are what a reader sees and what nbval compares.

    Errors: WorkshopError if the copy is of other cells, or a cell of it failed.
    """
    copied, content = (
        json.loads(executed.read_text(encoding="utf-8")),
        json.loads(lab.read_text(encoding="utf-8")),
    )
    cells = {cell.get("id"): cell for cell in copied["cells"]}
    for cell in content["cells"]:
        twin = cells.get(cell["id"], {})
        if "".join(twin.get("source", [])) != "".join(cell["source"]):
            raise WorkshopError(
                f"{executed} is not a copy of {lab.name} as it is now", "workshop run 1-4, then again"
            )
        if any(output["output_type"] == "error" for output in twin.get("outputs", [])):
            raise WorkshopError(
                f"a cell of {executed} failed: its outputs are not kept", f"workshop check {lab.name[1]}"
            )
        if cell["cell_type"] == "code":
            cell["outputs"] = twin["outputs"]
    lab.write_text(spell(canonical(content, keep_outputs=True)), encoding="utf-8")


def spell(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def canonical(content: Mapping[str, Any], keep_outputs: bool) -> dict[str, Any]:
    """Return the notebook as it should be kept; the given one is not changed."""
    notebook = copy.deepcopy(dict(content))
    notebook["nbformat"], notebook["nbformat_minor"] = 4, MINOR
    metadata = _only(notebook.get("metadata", {}), KEPT_OF_NOTEBOOK)
    if "language_info" in metadata:
        metadata["language_info"] = _only(metadata["language_info"], KEPT_OF_LANGUAGE)
    notebook["metadata"] = metadata
    seen: set[str] = set()
    notebook["cells"] = [_cell(cell, i, keep_outputs, seen) for i, cell in enumerate(notebook["cells"])]
    return _only(notebook, ("cells", "metadata", "nbformat", "nbformat_minor"))


def _cell(cell: dict[str, Any], index: int, keep_outputs: bool, seen: set[str]) -> dict[str, Any]:
    source = _lines("".join(cell["source"]).strip("\n"))
    kept: dict[str, Any] = {
        "cell_type": cell["cell_type"],
        "id": _id(cell, index, seen),
        "metadata": _only(cell.get("metadata", {}), KEPT_OF_CELL),
        "source": source,
    }
    if cell.get("attachments"):
        kept["attachments"] = cell["attachments"]
    if cell["cell_type"] == "code":
        private = PRIVATE in cell.get("metadata", {}).get("tags", [])
        outputs = cell.get("outputs", []) if keep_outputs and not private else []
        kept["execution_count"] = None
        kept["outputs"] = _joined([_output(output) for output in outputs])
    return kept


def _id(cell: Mapping[str, Any], index: int, seen: set[str]) -> str:
    """Keep a cell's id; give one that follows from its content to a cell without, or with another's."""
    wanted = str(cell.get("id") or "")
    if not wanted or wanted in seen:
        wanted = hashlib.sha256(f"{index} {''.join(cell['source'])}".encode()).hexdigest()[:8]
    seen.add(wanted)
    return wanted


def _output(output: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in output.items() if key != "transient"}
    if "execution_count" in kept:
        kept["execution_count"] = None
    if "text" in kept:
        kept["text"] = _lines("".join(kept["text"]))
    for name, value in kept.get("data", {}).items():
        if name.startswith("text/") or name == "image/svg+xml":
            kept["data"][name] = _lines("".join(value))
    return kept


def _joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join neighbouring pieces of one stream: how a stream is cut depends on the moment."""
    joined: list[dict[str, Any]] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output["output_type"] == "stream" == last.get("output_type") and output["name"] == last["name"]:
            last["text"] = _lines("".join(last["text"]) + "".join(output["text"]))
        else:
            joined.append(output)
    return joined


def _lines(content: str) -> list[str]:
    return content.splitlines(keepends=True)


def _only(mapping: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: mapping[name] for name in names if name in mapping}
