"""Published models: a folder for each version, and one pointer, written last, to the version in service.

Try it:  python -m pytest tests/fast/test_models.py
    s3://bucket/sentiment/versions/VERSION/…      the artefact's files, as training wrote them
    s3://bucket/sentiment/current.json            the version in service, and what was measured of it
    s3://bucket/sentiment/published/VERSION.json  what current.json said of an earlier version
Functions take a boto3 S3 client, so that the service, the DAG and a notebook all use them. Knows what an
artefact's metadata.json says of its files, and nothing of what is in them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from workshop.aws.failures import code_of, explained
from workshop.errors import AwsError

FORMAT = 1
METADATA = "metadata.json"
CURRENT = "current.json"
MEASURE = "accuracy"
ABSENT = ("NoSuchKey", "404", "NotFound")
CHANGED_MEANWHILE = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
LONGEST_VERSION = 100
# A version's files are held in memory together, in a task that has a gigabyte of it.
LARGEST_BYTES, MOST_FILES = 256 * 1024**2, 20


class ModelError(AwsError):
    """A model can't be published or read as it is."""


class Rejected(ModelError):
    """The gate is red: the model must not go into service."""


@dataclass(frozen=True)
class Pointer:
    """What current.json says. metrics: of the evaluation that the gate saw; previous: what was in service before."""

    name: str
    version: str
    published_at: str
    metadata_sha256: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    previous: str | None = None
    format: int = FORMAT


@dataclass(frozen=True)
class Publication:
    """changed: False if this very version had been published before, and nothing was done."""

    pointer: Pointer
    changed: bool


def version_of(run_id: str) -> str:
    """A run's id as a version: a-z, 0-9 and hyphens. Errors: ModelError if nothing is left of it."""
    version = re.sub(r"[^a-z0-9]+", "-", run_id.lower()).strip("-")
    if not version or len(version) > LONGEST_VERSION:
        raise ModelError(
            f"the run id '{run_id}' gives no version: 1 to {LONGEST_VERSION} letters and digits are needed",
            "give the run another id",
        )
    return version


def current(model: str, s3: Any) -> Pointer | None:
    """The version in service; None before the first. model: s3://bucket/sentiment.

    Errors: ModelError if the pointer is there and can't be understood.
    """
    return _current(model, s3)[0]


def published(model: str, version: str, s3: Any) -> Pointer | None:
    """What was known when a version was published, in service or not; None if it never was."""
    now = current(model, s3)
    return now if now and now.version == version else _replaced(model, version, s3)


def history(model: str, s3: Any) -> list[Pointer]:
    """Every version that was published: the one in service first, then the others, newest first."""
    now = current(model, s3)
    bucket, prefix = _split(_base(model) + "published/")
    with explained(f"list {model}/published"):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    versions = [key.removeprefix(prefix).removesuffix(".json") for key in keys]
    others = [_replaced(model, version, s3) for version in versions if now is None or version != now.version]
    found = sorted((each for each in others if each), key=lambda each: each.published_at, reverse=True)
    return [now, *found] if now else found


def address_of(model: str, version: str) -> str:
    """The folder of a version."""
    return f"{_base(model)}versions/{version}"


def download(model: str, version: str, folder: Path, s3: Any) -> list[Path]:
    """Bring a version's files into a folder. They are as S3 has them: whoever loads them checks them.

    Errors: ModelError if the version has no metadata, or a file is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = address_of(model, version)
    content = {METADATA: _must_read(f"{source}/{METADATA}", s3)}
    for name in _files(content[METADATA], source):
        content[name] = _must_read(f"{source}/{name}", s3, _left(content))
    for name, held in content.items():
        (folder / name).write_bytes(held)
    return sorted(folder / name for name in content)


def gate(metrics: Mapping[str, Any] | None, threshold: float, in_service: Pointer | None) -> str:
    """Why this model may go into service, in one sentence.

    metrics: of this run's own evaluation: accuracy, examples, data_sha256.
    Errors: Rejected without metrics, below the threshold, or below the model in service on the same data.
    """
    score = (metrics or {}).get(MEASURE)
    if (
        metrics is None
        or isinstance(score, bool)
        or not isinstance(score, int | float)
        or not 0 <= score <= 1
    ):
        raise Rejected(
            f"this run's evaluation gives no {MEASURE}, so nothing says that the model is any good",
            "look at the log of the evaluation, then run it again",
        )
    if not score >= threshold:  # also where the threshold is no number
        raise Rejected(
            f"{MEASURE} {score:.3f} is below the threshold {threshold:.3f}",
            "train longer or on more data, or lower the threshold if that is good enough",
        )
    told = f"{MEASURE} {score:.3f} reaches the threshold {threshold:.3f}"
    if in_service is None:
        return f"{told}; no model is in service yet"
    before = in_service.metrics.get(MEASURE)
    if in_service.metrics.get("data_sha256") != metrics.get("data_sha256") or before is None:
        return f"{told}; version {in_service.version} in service was measured on other data"
    if score < before:
        raise Rejected(
            f"{MEASURE} {score:.3f} is below the {before:.3f} of version {in_service.version} in service"
            " on the same data",
            "keep what is in service, or train a better one",
        )
    return f"{told} and the {before:.3f} of version {in_service.version} in service"


def publish(
    source: str,
    model: str,
    run_id: str,
    metrics: Mapping[str, Any],
    s3: Any,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Publication:
    """Copy an artefact below its version and point to it; a run that has been published changes nothing.

    source: the artefact's folder, here or at s3://…; every file is compared with its SHA-256 on the way.
    Errors: ModelError if a file is missing or damaged, if the version holds another artefact, or if another
    run published meanwhile.
    """
    version = version_of(run_id)
    content = read_artefact(source, s3)
    digest = hashlib.sha256(content[METADATA]).hexdigest()
    now, tag = _current(model, s3)
    before = now if now and now.version == version else _replaced(model, version, s3)
    if before is not None:
        if before.metadata_sha256 != digest:
            raise ModelError(
                f"version {version} has been published with another artefact than {source}",
                "give this run another id",
            )
        return Publication(before, changed=False)
    _write_version(address_of(model, version), content, s3)
    name = model.rstrip("/").rpartition("/")[2]
    told = clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    pointer = Pointer(name, version, told, digest, dict(metrics), now.version if now else None)
    if now:
        # Before it is replaced: so a version that was ever published is known as that, whenever we are cut off.
        _write(record_of(model, now.version), _spelled(now), s3)
    _point(model, pointer, tag, s3)
    return Publication(pointer, changed=True)


def point_to(model: str, version: str, s3: Any) -> Pointer:
    """Put a version that was published before into service again, if it is still whole.

    Errors: ModelError if it never was published, or if one of its files is missing or damaged.
    """
    now, tag = _current(model, s3)
    if now and now.version == version:
        return now
    before = _replaced(model, version, s3)
    if before is None:
        known = ", ".join(each.version for each in history(model, s3)) or "none"
        raise ModelError(f"version '{version}' was never published (published: {known})", "publish it first")
    content = read_artefact(address_of(model, version), s3)
    if hashlib.sha256(content[METADATA]).hexdigest() != before.metadata_sha256:
        raise ModelError(f"version {version} is not what was published", "publish another version")
    if now:
        _write(record_of(model, now.version), _spelled(now), s3)
    pointer = replace(before, previous=now.version if now else None)
    _point(model, pointer, tag, s3)
    return pointer


def read_artefact(source: str, s3: Any) -> dict[str, bytes]:
    """An artefact's files by name, each compared with its SHA-256 in metadata.json.

    Errors: ModelError that names every file that is missing or damaged.
    """
    metadata = _from(source, METADATA, s3)
    if metadata is None:
        raise ModelError(f"there is no artefact at {source}: it has no {METADATA}", "run the training again")
    content, problems = {METADATA: metadata}, []
    for name, wanted in _files(metadata, source).items():
        held = _from(source, name, s3, _left(content))
        if held is None:
            problems.append(f"{name} is missing")
        elif hashlib.sha256(held).hexdigest() != wanted:
            problems.append(f"{name} is not what its SHA-256 says")
        else:
            content[name] = held
    if problems:
        raise ModelError(
            f"the artefact at {source} is damaged: {'; '.join(problems)}", "run the training again"
        )
    return content


def is_complete(source: str, s3: Any) -> bool:
    """Whether there is a whole artefact."""
    try:
        read_artefact(source, s3)
    except ModelError:
        return False
    return True


def _write_version(address: str, content: Mapping[str, bytes], s3: Any) -> None:
    """The metadata last: a version that has them is whole."""
    for name in [*(name for name in content if name != METADATA), METADATA]:
        _write(f"{address}/{name}", content[name], s3)


def _point(model: str, pointer: Pointer, tag: str | None, s3: Any) -> None:
    """Write the pointer, only over the one that was read: of two runs that publish at once, one is refused."""
    # Conditional writes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    condition = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
    try:
        _write(_base(model) + CURRENT, _spelled(pointer), s3, **condition)
    except AwsError as error:
        cause = error.__cause__
        if not isinstance(cause, ClientError) or code_of(cause) not in CHANGED_MEANWHILE:
            raise
        raise ModelError(
            f"another run published meanwhile, and version {pointer.version} was not compared with it",
            "run it again with the same run id: only the comparison and what follows are repeated",
        ) from error


def _write(address: str, content: bytes, s3: Any, **condition: str) -> None:
    bucket, key = _split(address)
    with explained(f"write {address}"):
        s3.put_object(Bucket=bucket, Key=key, Body=content, **condition)


def _spelled(pointer: Pointer) -> bytes:
    return json.dumps(asdict(pointer), indent=2).encode() + b"\n"


def record_of(model: str, version: str) -> str:
    return f"{_base(model)}published/{version}.json"


def _replaced(model: str, version: str, s3: Any) -> Pointer | None:
    where = record_of(model, version)
    found = _read(where, s3)
    return None if found is None else _pointer(found[0], where)


def _current(model: str, s3: Any) -> tuple[Pointer | None, str | None]:
    where = _base(model) + CURRENT
    found = _read(where, s3)
    return (None, None) if found is None else (_pointer(found[0], where), found[1])


def _pointer(content: bytes, where: str) -> Pointer:
    try:
        held = json.loads(content)
        if held["format"] != FORMAT:
            raise ModelError(f"{where} has format {held['format']!r}, and this code reads {FORMAT}")
        return Pointer(
            name=str(held["name"]),
            version=version_of(str(held["version"])),
            published_at=str(held["published_at"]),
            metadata_sha256=str(held["metadata_sha256"]),
            metrics=dict(held["metrics"]),
            previous=version_of(str(held["previous"])) if held["previous"] else None,
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{where} is no pointer to a model: {type(error).__name__}: {error}", "publish a model again"
        ) from error


def _files(metadata: bytes, source: str) -> dict[str, str]:
    """SHA-256 by file name. Errors: ModelError if the metadata don't say, or name a file elsewhere."""
    try:
        files = {str(name): str(each["sha256"]) for name, each in json.loads(metadata)["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{source}/{METADATA} does not say which files belong to it ({type(error).__name__}: {error})",
            "run the training again",
        ) from error
    outside = sorted(name for name in files if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name))
    if outside or not 0 < len(files) <= MOST_FILES:
        told = ", ".join(outside[:MOST_FILES]) or f"{len(files)} of them, and 1 to {MOST_FILES} may be"
        raise ModelError(f"{source}/{METADATA} names files that can't be: {told}")
    return files


def _left(content: Mapping[str, bytes]) -> int:
    """How many bytes more a version may have that has these files already."""
    return LARGEST_BYTES - sum(map(len, content.values()))


def _from(source: str, name: str, s3: Any, most_bytes: int = LARGEST_BYTES) -> bytes | None:
    if source.startswith("s3://"):
        found = _read(f"{source.rstrip('/')}/{name}", s3, most_bytes)
        return found[0] if found else None
    path = Path(source) / name
    return path.read_bytes() if path.is_file() else None


def _must_read(address: str, s3: Any, most_bytes: int = LARGEST_BYTES) -> bytes:
    found = _read(address, s3, most_bytes)
    if found is None:
        raise ModelError(f"there is no {address}", "publish the model again")
    return found[0]


def _read(address: str, s3: Any, most_bytes: int = LARGEST_BYTES) -> tuple[bytes, str] | None:
    """(content, ETag), or None if there is no such object. Errors: ModelError if it is larger than may be."""
    bucket, key = _split(address)
    with explained(f"read {address}"):
        try:
            answer = s3.get_object(Bucket=bucket, Key=key)
            size = int(answer["ContentLength"])
            if size > most_bytes:
                raise ModelError(
                    f"{address} has {size} bytes, and a version may have {LARGEST_BYTES}",
                    "publish a smaller one",
                )
            return bytes(answer["Body"].read()), str(answer["ETag"])
        except ClientError as error:
            if code_of(error) in ABSENT:
                return None
            raise


def _base(model: str) -> str:
    return model.rstrip("/") + "/"


def _split(address: str) -> tuple[str, str]:
    scheme, _, rest = address.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise ModelError(f"'{address}' is not an S3 address", "write it as s3://bucket/sentiment")
    return bucket, key
