"""Read and write application/x-recordio-protobuf: Amazon's record messages in RecordIO frames.

Try it:  python -c "from linearlearner.records import write; print(write([{'score': [0.4]}]))"
Schema of the messages: https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html. A frame is a magic number,
a length whose upper three bits say which part of a record it is, the part, and zeros up to a multiple of four bytes.
Linear Learner knows float32 tensors alone, dense or sparse: https://docs.aws.amazon.com/sagemaker/latest/dg/linear-learner.html
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from linearlearner.errors import RowError

MAGIC = 0xCED7230A
HEADER = struct.Struct("<II")
LENGTH_BITS = 29
WHOLE, FIRST, MIDDLE, LAST = range(4)
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5  # wire types of protocol buffers
FEATURES, LABEL = 1, 2  # fields of Record
KEY, VALUE = 1, 2  # fields of a map's entry
FLOAT_32 = 2  # field of Value: the only tensor that is read
OTHER_TENSORS = {3: "a float64 tensor", 7: "an int32 tensor", 9: "bytes"}
VALUES, KEYS, SHAPE = 1, 2, 3  # fields of Float32Tensor
LONGEST_VARINT_BITS = 63
ONLY = "values"  # the name under which features and labels lie


@dataclass(frozen=True)
class Tensor:
    """values float32; keys: their places in a sparse vector of `size`, None if it is dense."""

    values: np.ndarray
    keys: np.ndarray | None = None
    size: int = 0

    def __len__(self) -> int:
        return len(self.values) if self.keys is None else self.size


@dataclass(frozen=True)
class Record:
    """One example; label is None where there is none."""

    features: Tensor
    label: Tensor | None


def read(content: bytes) -> Iterator[Record]:
    """The records of a file or a request. Errors: RowError with the number of the record."""
    for number, message in enumerate(_frames(content), 1):
        try:
            yield _record(message)
        except RowError as error:
            raise RowError(number, 0, error.reason) from error
        except (IndexError, struct.error, ValueError, OverflowError) as error:
            raise RowError(number, 0, f"is no record in Amazon's format ({error})") from error


def matrix(tensors: Sequence[Tensor], expected: int | None = None) -> np.ndarray:
    """The tensors as rows, float32 (N, size). Errors: RowError if one has another size than expected.

    expected: left out, the first one's size. A sparse tensor may say any: ask for it where strangers send them.
    """
    size = expected if expected is not None else len(tensors[0]) if tensors else 0
    for number, tensor in enumerate(tensors, 1):
        if len(tensor) != size:
            raise RowError(number, 0, f"has {len(tensor)} features, and {size} are expected")
    rows = np.zeros((len(tensors), size), dtype=np.float32)
    for number, tensor in enumerate(tensors):
        if tensor.keys is None:
            rows[number] = tensor.values
        else:
            rows[number, tensor.keys] = tensor.values
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        column = int(np.flatnonzero(~np.isfinite(rows[bad[0]]))[0])
        raise RowError(int(bad[0]) + 1, column + 1, "is not a finite number")
    return rows


def write(labels: Iterable[Mapping[str, Sequence[float]]]) -> bytes:
    """Records without features, with these labels: what an endpoint answers."""
    return b"".join(
        _frame(b"".join(_entry(name, values) for name, values in each.items())) for each in labels
    )


def _frames(content: bytes) -> Iterator[bytes]:
    place, number, parts = 0, 1, []
    while place < len(content):
        if place + HEADER.size > len(content):
            raise RowError(number, 0, "the content ends within a record's header")
        magic, word = HEADER.unpack_from(content, place)
        if magic != MAGIC:
            raise RowError(number, 0, "does not begin with RecordIO's magic number")
        part, length = word >> LENGTH_BITS, word & ((1 << LENGTH_BITS) - 1)
        place += HEADER.size
        if place + length > len(content):
            raise RowError(number, 0, f"says that it has {length} bytes, and {len(content) - place} follow")
        parts.append(content[place : place + length])
        place += length + -length % 4
        if part in (WHOLE, LAST):
            # A record that has the magic number inside is cut there, and the number left out.
            yield struct.pack("<I", MAGIC).join(parts)
            number, parts = number + 1, []
    if parts:
        raise RowError(number, 0, "the content ends before the record's last part")


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes | int]]:
    """(field, wire type, content) of a message: bytes, or a whole number."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        wire = tag & 7
        content: bytes | int
        if wire == VARINT:
            content, place = _varint(message, place)
        else:
            length = {FIXED_64: 8, FIXED_32: 4}.get(wire, 0)
            if wire == BYTES:
                length, place = _varint(message, place)
            elif not length:
                raise ValueError(f"wire type {wire}")
            if place + length > len(message):
                raise ValueError("a field is longer than its message")
            content, place = message[place : place + length], place + length
        yield tag >> 3, wire, content


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > LONGEST_VARINT_BITS:  # else a request of that byte alone takes the square of its length
            raise ValueError("a number is longer than ten bytes")


def _record(message: bytes) -> Record:
    found: dict[int, Tensor] = {}
    for number, wire, content in _fields(message):
        if number in (FEATURES, LABEL) and wire == BYTES and isinstance(content, bytes):
            name, tensor = _map_entry(content)
            if name == ONLY:
                found[number] = tensor
    if FEATURES not in found:
        raise RowError(0, 0, f"has no features under '{ONLY}'")
    return Record(found[FEATURES], found.get(LABEL))


def _map_entry(message: bytes) -> tuple[str, Tensor]:
    name, value = "", b""
    for number, _, content in _fields(message):
        if number == KEY and isinstance(content, bytes):
            name = content.decode()
        elif number == VALUE and isinstance(content, bytes):
            value = content
    for number, _, content in _fields(value):
        if number == FLOAT_32 and isinstance(content, bytes):
            return name, _tensor(content)
        if number in OTHER_TENSORS:
            raise RowError(0, 0, f"has {OTHER_TENSORS[number]}, and only float32 tensors are supported")
    return name, Tensor(np.zeros(0, dtype=np.float32))


def _tensor(message: bytes) -> Tensor:
    values: list[bytes] = []
    numbers: dict[int, list[int]] = {KEYS: [], SHAPE: []}
    for number, wire, content in _fields(message):
        if number == VALUES and isinstance(content, bytes):
            values.append(content)  # packed, or one by one
        elif number in numbers and isinstance(content, int):
            numbers[number].append(content)
        elif number in numbers and wire == BYTES and isinstance(content, bytes):
            numbers[number] += _varints(content)
    floats = np.frombuffer(b"".join(values), dtype="<f4")
    if not numbers[KEYS]:
        return Tensor(floats)
    size = int(np.prod(numbers[SHAPE])) if numbers[SHAPE] else 0
    if not size:
        raise RowError(0, 0, "is sparse and has no shape")
    keys = np.array(numbers[KEYS], dtype=np.int64)
    if len(keys) != len(floats) or keys.max() >= size:
        raise RowError(0, 0, f"has keys that don't fit {len(floats)} values in a vector of {size}")
    return Tensor(floats, keys, size)


def _varints(content: bytes) -> list[int]:
    found, place = [], 0
    while place < len(content):
        value, place = _varint(content, place)
        found.append(value)
    return found


def _frame(message: bytes) -> bytes:
    if len(message) >> LENGTH_BITS:
        raise ValueError("a record is too long for one frame")
    return HEADER.pack(MAGIC, len(message)) + message + bytes(-len(message) % 4)


def _entry(name: str, values: Sequence[float]) -> bytes:
    """An entry of the map `label`: name and float32 tensor."""
    tensor = _field(VALUES, np.asarray(values, dtype="<f4").tobytes())
    return _field(LABEL, _field(KEY, name.encode()) + _field(VALUE, _field(FLOAT_32, tensor)))


def _field(number: int, content: bytes) -> bytes:
    length, encoded = len(content), bytearray([number << 3 | BYTES])
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(encoded) + bytes([length]) + content
