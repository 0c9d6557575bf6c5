"""A trained sentiment network as one ONNX file: each recurrent layer one fused operator, that is told the lengths.

Try it:  workshop run train-sentiment, then look at artefact/model.onnx with Netron
Keras's own export makes a loop of a masked LSTM, which takes 30 times as long for one text. Of known words the letter
groups are summed here, once: only words that no training text had are spelled when the network is asked.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from workshop.errors import DataError
from workshop.ml.sentiment_layouts import Layout
from workshop.ml.sentiment_network import OUTSIDE, members
from workshop.ml.text.vocabulary import UNKNOWN_INDEX, Vocabulary

OPSET, IR_VERSION = 17, 8  # what onnxruntime has read since 2022
LARGEST_DIFFERENCE = 1e-5  # in probability, between Keras and the file
ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu"}


class _Graph:
    """Nodes and constants as they are added; a name that begins with the member's number is the member's own."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        if all(each.name != name for each in self.constants):
            array = np.ascontiguousarray(np.asarray(value, dtype=dtype))
            self.constants.append(numpy_helper.from_array(array, name))
        return name


def export(model: Any, layout: Layout, words: Vocabulary, num_classes: int, path: Path) -> dict[str, Any]:
    """Write the network to `path` and describe it: inputs, outputs, table_rows.

    model: what `sentiment_network.together` made of networks of this layout.
    """
    graph = _Graph()
    answers = [
        _member(graph, f"{index}_", member, layout, words) for index, member in enumerate(members(model))
    ]
    graph.add("Mean" if len(answers) > 1 else "Identity", answers, "probabilities")
    inputs = [_input("words", "texts", "longest"), _input("lengths", "texts")]
    if layout.spells:
        inputs += [_input("spelled", "texts", "longest"), _input("spellings", "spellings", "most_groups")]
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["texts", num_classes])
    made = helper.make_model(
        helper.make_graph(graph.nodes, "sentiment", inputs, [output], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="workshop",
    )
    made.ir_version = IR_VERSION
    onnx.checker.check_model(made)
    onnx.save(made, path)
    return {"inputs": [value.name for value in inputs], "outputs": num_classes, "table_rows": len(words)}


def check(path: Path, model: Any, inputs: dict[str, np.ndarray], spelled: dict[str, np.ndarray]) -> float:
    """The largest difference between the file's probabilities and Keras's for the same texts.

    inputs: as served; spelled: with the spellings of all words, as Keras wants them.
    Errors: DataError if it is above `LARGEST_DIFFERENCE`.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import: its wheels report to their maker
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    served = session.run(None, inputs)[0]
    wanted = {name: value for name, value in spelled.items() if name != "lengths"}
    difference = float(np.abs(served - np.asarray(model.predict_on_batch(wanted))).max())
    if not difference < LARGEST_DIFFERENCE:
        raise DataError(
            f"{path.name} answers otherwise than Keras, by {difference:.1e}; at most {LARGEST_DIFFERENCE:.0e} is right",
            "train again; if it stays, the versions of keras and onnxruntime do not fit this code",
        )
    return difference


def _input(name: str, *shape: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT32, list(shape))


def _member(graph: _Graph, mark: str, member: Any, layout: Layout, words: Vocabulary) -> str:
    x = _vectors(graph, mark, member, layout, words)
    x = graph.add("Transpose", [x], f"{mark}by_time", perm=[1, 0, 2])
    x = _pooled(graph, mark, _recurrent(graph, mark, member, layout, x), layout)
    kernel, bias = (np.asarray(value) for value in member.get_layer("head").get_weights())
    graph.constant(f"{mark}kernel", kernel)
    graph.constant(f"{mark}bias", bias)
    x = graph.add("Gemm", [x, f"{mark}kernel", f"{mark}bias"], f"{mark}logits")
    return graph.add("Softmax", [x], f"{mark}probabilities", axis=-1)


def _vectors(graph: _Graph, mark: str, member: Any, layout: Layout, words: Vocabulary) -> str:
    """Word vectors (B, T, size); to those of unknown words their letter groups are added."""
    table = np.asarray(member.get_layer("table").get_weights()[0])
    if not layout.spells:
        graph.constant(f"{mark}table", table)
        return graph.add("Gather", [f"{mark}table", "words"], f"{mark}vectors")
    graph.constant("axis_1", [1], np.int64)
    letters = np.array(member.get_layer("letters").get_weights()[0])
    letters[0] = 0  # so that padding adds nothing
    graph.constant(f"{mark}table", table + _spelled_table(letters, words))
    graph.constant(f"{mark}letters", letters)
    known = graph.add("Gather", [f"{mark}table", "words"], f"{mark}known")
    groups = graph.add("Gather", [f"{mark}letters", "spellings"], f"{mark}group_vectors")
    total = graph.add("ReduceSum", [groups, "axis_1"], f"{mark}spelling_sum", keepdims=0)
    mean = graph.add("Div", [total, _root_of_count(graph)], f"{mark}spelling")
    unseen = graph.add("Gather", [mean, "spelled"], f"{mark}unseen")
    return graph.add("Add", [known, unseen], f"{mark}vectors")


def _root_of_count(graph: _Graph) -> str:
    """The root of the number of each word's letter groups (U, 1), once for all members."""
    name = "root_of_count"
    if not any(node.output[0] == name for node in graph.nodes):
        graph.constant("one", [1])
        signs = graph.add("Sign", ["spellings"], "group_is_there")
        signs = graph.add("Cast", [signs], "group_counts", to=TensorProto.FLOAT)
        count = graph.add("ReduceSum", [signs, "axis_1"], "group_count", keepdims=1)
        graph.add("Sqrt", [graph.add("Max", [count, "one"], "at_least_one")], name)
    return name


def _spelled_table(letters: np.ndarray, words: Vocabulary) -> np.ndarray:
    """The summed letter groups of each word of the vocabulary: (words, word_size)."""
    if words.spelling is None:
        raise DataError("the network reads spellings, the vocabulary has none", "train again")
    table = np.zeros((len(words), letters.shape[1]), np.float32)
    for number, word in enumerate(words.words):
        groups = words.spelling.groups(word) if number > UNKNOWN_INDEX else []
        if groups:
            table[number] = letters[groups].sum(axis=0) / np.sqrt(len(groups))
    return table


def _recurrent(graph: _Graph, mark: str, member: Any, layout: Layout, x: str) -> list[str]:
    """The fused operator; its outputs: of every word (T, directions, B, units), and the last of each direction."""
    layer = next(each for each in member.layers if hasattr(each, "cell") or hasattr(each, "forward_layer"))
    directions = [layer.forward_layer, layer.backward_layer] if layout.bidirectional else [layer]
    convert = _lstm if layout.cell == "lstm" else _gru
    parts = [convert(*(np.asarray(value) for value in each.cell.get_weights())) for each in directions]
    for name, arrays in zip(("input", "state", "offset"), zip(*parts, strict=True), strict=True):
        graph.constant(f"{mark}{name}", np.stack(arrays))
    activation = ACTIVATIONS[layout.activation]
    activations = ["Sigmoid", activation, activation] if layout.cell == "lstm" else ["Sigmoid", activation]
    extra: dict[str, Any] = (
        {} if layout.cell == "lstm" else {"linear_before_reset": 1}
    )  # Keras: reset_after=True
    outputs = [f"{mark}outputs", f"{mark}last"]
    graph.nodes.append(
        helper.make_node(
            layout.cell.upper(),
            [x, f"{mark}input", f"{mark}state", f"{mark}offset", "lengths"],
            outputs,
            hidden_size=layout.units,
            direction="bidirectional" if layout.bidirectional else "forward",
            activations=activations * len(directions),
            **extra,
        )
    )
    return outputs


def _pooled(graph: _Graph, mark: str, outputs: list[str], layout: Layout) -> str:
    """One row a text: (B, directions x units)."""
    if layout.pooling == "last":
        graph.constant(f"{mark}flat", [0, -1], np.int64)
        x = graph.add("Transpose", [outputs[1]], f"{mark}last_by_text", perm=[1, 0, 2])
        return graph.add("Reshape", [x, f"{mark}flat"], f"{mark}pooled")
    x = graph.add("Transpose", [outputs[0]], f"{mark}by_text", perm=[2, 0, 1, 3])
    graph.constant(f"{mark}by_word", [0, 0, -1], np.int64)
    x = graph.add("Reshape", [x, f"{mark}by_word"], f"{mark}side_by_side")
    x = graph.add("Add", [x, _outside(graph)], f"{mark}inside")
    return graph.add("ReduceMax", [x], f"{mark}pooled", axes=[1], keepdims=0)


def _outside(graph: _Graph) -> str:
    """0 where a word is, far below 0 in the padding (B, T, 1): once for all members."""
    name = "outside"
    if not any(node.output[0] == name for node in graph.nodes):
        graph.constant("axis_2", [2], np.int64)
        graph.constant("far", OUTSIDE)
        graph.constant("far_below", -OUTSIDE)
        signs = graph.add("Sign", ["words"], "is_word")
        signs = graph.add("Cast", [signs], "word_is_there", to=TensorProto.FLOAT)
        signs = graph.add(
            "Add", [graph.add("Mul", [signs, "far"], "far_inside"), "far_below"], "outside_flat"
        )
        graph.add("Unsqueeze", [signs, "axis_2"], name)
    return name


def _lstm(
    kernel: np.ndarray, state: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    def gates(array: np.ndarray) -> np.ndarray:  # Keras has i, f, c, o; ONNX i, o, f, c
        i, f, c, o = np.split(array, 4, axis=-1)
        return np.concatenate([i, o, f, c], axis=-1)

    return gates(kernel).T, gates(state).T, np.concatenate([gates(bias), np.zeros_like(bias)])


def _gru(
    kernel: np.ndarray, state: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return kernel.T, state.T, bias.reshape(-1)  # both have z, r, h, and the input's bias before the state's
