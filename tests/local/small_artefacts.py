"""Artefacts made in an instant, whose answers a test can foretell, published in a folder. Not a test.

A text's class is the one that most of its words belong to: 'good' words, 'bad' words, and all others.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

from workshop.ml.text import artefact, vocabulary
from workshop.ml.text.cleaning import Cleaning

LABELS = ("negative", "neutral", "positive")
WORDS = ("", "<unknown>", "good", "bad")
NAME = "sentiment"


def make(folder: Path, labels: tuple[str, ...] = LABELS, weight: float = 3.0) -> Path:
    """Write an artefact; another weight makes another version of it."""
    folder.mkdir(parents=True, exist_ok=True)
    _network(folder / artefact.ONNX, weight)
    (folder / artefact.KERAS).write_bytes(b"not read by the service")
    artefact.save(
        folder,
        vocabulary.Vocabulary(WORDS, longest_text=200),
        labels,
        Cleaning(),
        {"outputs": len(LABELS), "table_rows": len(WORDS)},
        {"data": {"name": "by hand"}, "parameters": {}, "metrics": {"accuracy": 1.0}, "versions": {}},
    )
    return folder


def _network(path: Path, weight: float) -> None:
    """Each word's row of the table, summed, and a softmax."""
    table = np.zeros((len(WORDS), len(LABELS)), np.float32)
    table[WORDS.index("good"), 2] = table[WORDS.index("bad"), 0] = weight
    table[1, 1] = weight / 100
    nodes = [
        helper.make_node("Gather", ["table", "words"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axis"], ["sums"], keepdims=0),
        helper.make_node("Softmax", ["sums"], ["probabilities"], axis=-1),
        helper.make_node("Identity", ["lengths"], ["lengths_too"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [
            helper.make_tensor_value_info("words", TensorProto.INT32, ["B", "T"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["B"]),
        ],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["B", len(LABELS)]),
            helper.make_tensor_value_info("lengths_too", TensorProto.INT32, ["B"]),
        ],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    checker.check_model(model)
    save(model, str(path))


def publish(base: Path, version: str, source: Path, previous: str | None = None) -> Path:
    """Lay an artefact out as workshop.aws.models does, and point to it; returns the version's folder."""
    place = base / "versions" / version
    place.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    point(base, version, previous)
    return place


def point(base: Path, version: str, previous: str | None = None) -> None:
    """Write current.json, at once whole as S3 would have it, after the record of what it said before."""
    current = base / "current.json"
    if current.exists():
        earlier = json.loads(current.read_text())["version"]
        record = base / "published" / f"{earlier}.json"
        record.parent.mkdir(exist_ok=True)
        record.write_bytes(current.read_bytes())
    metadata = (base / "versions" / version / artefact.METADATA).read_bytes()
    pointer = {
        "format": 1,
        "name": NAME,
        "version": version,
        "published_at": "2026-11-20T16:00:00Z",
        "metadata_sha256": hashlib.sha256(metadata).hexdigest(),
        "metrics": {"accuracy": 1.0},
        "previous": previous,
    }
    written = base / ".current.json"
    written.write_text(json.dumps(pointer))
    written.replace(current)
