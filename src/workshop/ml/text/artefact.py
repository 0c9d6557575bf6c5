"""A trained network with all that belongs to it, in open formats, and the check that it does belong together.

Try it:  python -c "from workshop.ml.text import artefact; print(artefact.check('runs/ID/artefact').labels)"

    model.onnx       the network as it is served
    model.keras      the same network, to go on learning from
    vocabulary.json  the words that have a number
    labels.json      the classes, in the order of the network's outputs
    metadata.json    data, parameters, metrics, versions, cleaning steps, and the checksum of each file above

Nothing is run when an artefact is read. Knows neither Keras nor ONNX: the outputs and the size of the table of words
were noted, and compared with the network, when the artefact was written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workshop.errors import WorkshopError
from workshop.ml.text import cleaning, vocabulary

if TYPE_CHECKING:
    from workshop.ml.text.encoding import Encoder

FORMAT = 1
NAME = "sentiment"
ONNX, KERAS, VOCABULARY, LABELS, METADATA = (
    "model.onnx",
    "model.keras",
    "vocabulary.json",
    "labels.json",
    "metadata.json",
)
CONTENT = (ONNX, KERAS, VOCABULARY, LABELS)
FILES = (*CONTENT, METADATA)
REMEDY = "train again, or name the folder of a whole artefact"
REQUIRED = ("format", "name", "data", "parameters", "metrics", "versions", "cleaning", "network", "files")


class ArtefactError(WorkshopError):
    """An artefact is incomplete, of another format, damaged, or its parts are not of one training."""


@dataclass(frozen=True)
class Artefact:
    """A checked artefact. metadata_sha256 is its name's worth: the metadata holds the checksums of all else."""

    folder: Path
    labels: tuple[str, ...]
    vocabulary: vocabulary.Vocabulary
    cleaning: cleaning.Cleaning
    metadata: dict[str, Any]
    metadata_sha256: str

    @property
    def onnx(self) -> Path:
        return self.folder / ONNX

    def encoder(self) -> Encoder:
        """Make what turns texts into the network's inputs."""
        from workshop.ml.text.encoding import Encoder

        return Encoder(self.cleaning, self.vocabulary)


def save(
    folder: str | Path,
    words: vocabulary.Vocabulary,
    labels: Sequence[str],
    steps: cleaning.Cleaning,
    network: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> Artefact:
    """Complete the artefact in a folder that holds model.onnx and model.keras already, and check it.

    network: what the model has, at least `outputs` and `table_rows`. metadata: data, parameters, metrics, versions.
    """
    place = Path(folder)
    _write_json(place / VOCABULARY, words.as_json())
    _write_json(place / LABELS, list(labels))
    description = {
        "format": FORMAT,
        "name": NAME,
        **metadata,
        "cleaning": steps.as_json(),
        "network": dict(network),
        "files": {name: _described(place / name) for name in CONTENT},
    }
    # The metadata goes last: with the checksums of the others it is what makes the artefact whole.
    _write_json(place / METADATA, description)
    return check(place)


def check(folder: str | Path) -> Artefact:
    """Read an artefact, after checking that it is whole, unchanged, and that its parts fit each other.

    Errors: ArtefactError that names what does not fit.
    """
    place = Path(folder)
    metadata, digest = _metadata(place)
    for name in CONTENT:
        _compare(place / name, metadata["files"].get(name))
    labels = _json(place / LABELS)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ArtefactError(f"{place / LABELS} must hold a list of names", REMEDY)
    try:
        words = vocabulary.from_json(_json(place / VOCABULARY))
        steps = cleaning.from_json(metadata["cleaning"])
    except WorkshopError as error:
        raise ArtefactError(f"{place}: {error.message}", REMEDY) from error
    network = metadata["network"]
    if network.get("outputs") != len(labels) or len(set(labels)) != len(labels):
        raise ArtefactError(
            f"{place}: the network has {network.get('outputs')} outputs, {LABELS} names {len(labels)} labels",
            REMEDY,
        )
    if network.get("table_rows") != len(words):
        raise ArtefactError(
            f"{place}: the network's table has {network.get('table_rows')} words, {VOCABULARY} has {len(words)}",
            REMEDY,
        )
    return Artefact(place, tuple(labels), words, steps, metadata, digest)


def _metadata(place: Path) -> tuple[dict[str, Any], str]:
    metadata = _json(place / METADATA)
    if not isinstance(metadata, dict):
        raise ArtefactError(f"{place / METADATA} must hold one JSON object", REMEDY)
    # The format goes first: of another format's artefact nothing else can be judged.
    if metadata.get("format") != FORMAT or metadata.get("name") != NAME:
        raise ArtefactError(
            f"{place} is a {metadata.get('name')!r} of format {metadata.get('format')!r}, "
            f"this version reads {NAME!r} of format {FORMAT}",
            "train again with this version",
        )
    missing = [name for name in REQUIRED if name not in metadata]
    if missing:
        raise ArtefactError(f"{place / METADATA} lacks {', '.join(missing)}", REMEDY)
    if not isinstance(metadata["network"], dict) or not isinstance(metadata["files"], dict):
        raise ArtefactError(f"{place / METADATA}: 'network' and 'files' must be objects", REMEDY)
    return metadata, _sha256(place / METADATA)


def _compare(path: Path, expected: Any) -> None:
    if not isinstance(expected, dict) or "sha256" not in expected:
        raise ArtefactError(f"{path.parent / METADATA} has no checksum of {path.name}", REMEDY)
    found = _described(path)
    if found != {name: expected.get(name) for name in found}:
        raise ArtefactError(
            f"{path} is not the file that {METADATA} describes: {found['size_bytes']} bytes, "
            f"SHA-256 {found['sha256'][:12]}…, expected {expected.get('size_bytes')} and {expected['sha256'][:12]}…",
            REMEDY,
        )


def _described(path: Path) -> dict[str, Any]:
    try:
        return {"sha256": _sha256(path), "size_bytes": path.stat().st_size}
    except FileNotFoundError as error:
        raise ArtefactError(
            f"{path.parent} holds no {path.name}, so it is no whole artefact", REMEDY
        ) from error
    except OSError as error:
        raise ArtefactError(f"{path} can't be read ({error})", REMEDY) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtefactError(
            f"{path.parent} holds no {path.name}, so it is no whole artefact", REMEDY
        ) from error
    except (ValueError, OSError) as error:
        raise ArtefactError(f"{path} can't be read as JSON ({error})", REMEDY) from error


def _write_json(path: Path, content: Any) -> None:
    temporary = path.with_name(f".{path.name}")
    try:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ArtefactError(
            f"{path} can't be written ({error})", "make room, or name another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
