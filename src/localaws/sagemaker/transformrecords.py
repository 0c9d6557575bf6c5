"""Batch transform's pieces: a file's records, payloads of so many of them as fit, and answers put together again.

Try it:  python -m pytest tests/fast/test_sagemaker_transform_records.py
SplitType, BatchStrategy, MaxPayloadInMB, AssembleWith: https://docs.aws.amazon.com/sagemaker/latest/APIReference/
API_CreateTransformJob.html and API_TransformInput.html. Knows bytes and files, no HTTP.
"""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

MIB = 1024 * 1024


class TooLarge(Exception):
    """One record, or a whole file that is not to be split, is larger than a payload may be."""


def opened(path: Path, compression: str) -> BinaryIO:
    """A file's content; compression: None or Gzip."""
    return gzip.open(path, "rb") if compression == "Gzip" else path.open("rb")  # type: ignore[return-value]


def records(file: BinaryIO, split: str) -> Iterator[bytes]:
    """A file's records; split: Line, each without its line end, or None, the whole of it."""
    if split != "Line":
        yield file.read()
        return
    for line in file:
        yield line.removesuffix(b"\n")


def payloads(found: Iterable[bytes], strategy: str, most_bytes: int) -> Iterator[bytes]:
    """What is sent at once. strategy: SingleRecord, or MultiRecord, as many as fit. most_bytes: 0 for no limit.

    Errors: TooLarge.
    """
    waiting: list[bytes] = []
    size = 0
    for record in found:
        if most_bytes and len(record) > most_bytes:
            raise TooLarge(f"a record of {len(record)} bytes is larger than {most_bytes // MIB} MB")
        if waiting and (strategy == "SingleRecord" or (most_bytes and size + 1 + len(record) > most_bytes)):
            yield b"\n".join(waiting)
            waiting, size = [], 0
        size += len(record) + bool(waiting)
        waiting.append(record)
    if waiting:
        yield b"\n".join(waiting)


def assembled(answer: bytes, assemble_with: str) -> bytes:
    """An answer as it is added to a file's output: with Line, each ends with a line end."""
    return answer + b"\n" if assemble_with == "Line" and not answer.endswith(b"\n") else answer
