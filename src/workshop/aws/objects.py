"""Objects in S3, addressed by s3://bucket/key.

Try it:  from workshop.aws import objects; objects.list("s3://my-bucket/runs/")
Transfers only what differs. Knows nothing of runs, jobs or datasets.
"""

from __future__ import annotations

import builtins
import hashlib
import json
import mimetypes
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from workshop.aws import session
from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.errors import AwsError

UNFINISHED = (".part", ".tmp")
"""Names that a writer gives to files it has not finished: these never leave the machine."""


@dataclass(frozen=True)
class Object:
    """One object. key is the whole key; size in bytes; etag without quotes."""

    uri: str
    key: str
    size_bytes: int
    etag: str
    modified: datetime


def split(uri: str) -> tuple[str, str]:
    """('bucket', 'key') of s3://bucket/key. Errors: AwsError if it is not such an address."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise AwsError(f"'{uri}' is not an S3 address", "write it as s3://bucket/key")
    return bucket, key


def list(uri: str, aws: Aws | None = None) -> builtins.list[Object]:
    """Every object whose key begins as the address does, in key order."""
    bucket, prefix = split(uri)
    client = _s3(aws)
    found = []
    with explained(f"list {uri}"):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            found += [_object(bucket, entry) for entry in page.get("Contents", [])]
    return found


def exists(uri: str, aws: Aws | None = None) -> bool:
    """True if there is an object with exactly this key."""
    return any(entry.uri == uri for entry in list(uri, aws))


def read_bytes(uri: str, aws: Aws | None = None) -> bytes:
    bucket, key = split(uri)
    with explained(f"read {uri}"):
        return bytes(_s3(aws).get_object(Bucket=bucket, Key=key)["Body"].read())


def read_json(uri: str, aws: Aws | None = None) -> Any:
    """The parsed content. Errors: AwsError if it is absent or not JSON."""
    try:
        return json.loads(read_bytes(uri, aws))
    except ValueError as error:
        raise AwsError(f"{uri} is not JSON: {error}") from error


def write_bytes(uri: str, content: bytes, aws: Aws | None = None) -> str:
    """Write one object whole and return its address."""
    bucket, key = split(uri)
    with explained(f"write {uri}"):
        _s3(aws).put_object(Bucket=bucket, Key=key, Body=content, ContentType=_content_type(key))
    return uri


def write_json(uri: str, content: Any, aws: Aws | None = None) -> str:
    return write_bytes(uri, json.dumps(content, indent=2).encode() + b"\n", aws)


def upload(path: Path | str, uri: str, aws: Aws | None = None) -> str:
    """Upload one file; an address that ends in / keeps the file's name."""
    path = Path(path)
    if not path.is_file():
        raise AwsError(f"there is no file {path} to upload")
    bucket, key = split(uri + path.name if uri.endswith("/") else uri)
    with explained(f"upload {path.name} to s3://{bucket}/{key}"):
        _s3(aws).upload_file(str(path), bucket, key, ExtraArgs={"ContentType": _content_type(key)})
    return f"s3://{bucket}/{key}"


def download(uri: str, path: Path | str, aws: Aws | None = None) -> Path:
    """Download one object. The file appears whole or not at all."""
    bucket, key = split(uri)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    os.close(handle)
    try:
        with explained(f"download {uri}"):
            _s3(aws).download_file(bucket, key, partial)
        Path(partial).replace(path)
    finally:
        Path(partial).unlink(missing_ok=True)
    return path


def delete(uris: Iterable[str], aws: Aws | None = None) -> int:
    """Delete objects by address and return how many there were to delete."""
    count = 0
    for uri in uris:
        bucket, key = split(uri)
        with explained(f"delete {uri}"):
            _s3(aws).delete_object(Bucket=bucket, Key=key)
        count += 1
    return count


def sync_up(
    folder: Path | str,
    uri: str,
    aws: Aws | None = None,
    wanted: Callable[[Path], bool] = lambda path: True,
) -> builtins.list[str]:
    """Upload the finished files of a folder that S3 lacks or has otherwise; return the keys uploaded.

    wanted: asked for each file by its path within the folder.
    """
    folder, base = Path(folder), uri.rstrip("/") + "/"
    there = {entry.key: entry for entry in list(base, aws)}
    uploaded = []
    for path in finished_files(folder):
        if not wanted(path.relative_to(folder)):
            continue
        bucket, key = split(base + path.relative_to(folder).as_posix())
        if not _same(path, there.get(key)):
            upload(path, f"s3://{bucket}/{key}", aws)
            uploaded.append(key)
    return uploaded


def sync_down(uri: str, folder: Path | str, aws: Aws | None = None) -> builtins.list[Path]:
    """Download what the folder lacks or has otherwise; return the files written."""
    folder, base = Path(folder), uri.rstrip("/") + "/"
    written = []
    for entry in list(base, aws):
        name = entry.uri.removeprefix(base)
        path = folder / name
        if not name or name.endswith("/"):
            continue
        if not path.resolve().is_relative_to(folder.resolve()):
            raise AwsError(f"the key '{entry.key}' would be written outside {folder}", "delete that object")
        if not _same(path, entry):
            written.append(download(entry.uri, path, aws))
    return written


def finished_files(folder: Path) -> builtins.list[Path]:
    """Every file below a folder, in name order, without those still being written and without hidden ones."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if path.suffix not in UNFINISHED and not _is_hidden(path, folder)]


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _same(path: Path, entry: Object | None) -> bool:
    """True if file and object are equal: by size, then MD5, or age where a multipart ETag is no MD5."""
    if entry is None or not path.is_file() or path.stat().st_size != entry.size_bytes:
        return False
    if "-" in entry.etag:
        return path.stat().st_mtime <= entry.modified.timestamp()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest() == entry.etag


def _object(bucket: str, entry: dict[str, Any]) -> Object:
    key = entry["Key"]
    etag = entry["ETag"].strip('"')
    return Object(f"s3://{bucket}/{key}", key, entry["Size"], etag, entry["LastModified"])


def _content_type(key: str) -> str:
    if key.endswith(".ipynb"):
        return "application/x-ipynb+json"
    return mimetypes.guess_type(key)[0] or "application/octet-stream"


def _s3(aws: Aws | None) -> Any:
    return (aws or session.current()).client("s3")
