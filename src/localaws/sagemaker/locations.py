"""Places in S3, read and written as a job's role.

Try it:  python -m pytest tests/fast/test_sagemaker_pieces.py
Knows S3's keys and nothing of jobs; a client of `roles.client` is given.
"""

import json
import posixpath
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws.sagemaker.jobfailures import ANSWERS_NOT, of_client, said

COPY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Location:
    """A bucket and the beginning of keys in it."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def below(self, *names: str) -> "Location":
        return Location(self.bucket, "/".join([*([self.key.rstrip("/")] if self.key else []), *names]))


@dataclass(frozen=True)
class Object:
    """An object, and what it is called below the folder that it is downloaded to."""

    place: Location
    name: str
    size_bytes: int


def parse(uri: str) -> Location | None:
    """A place of the form s3://BUCKET/KEY; None for any other."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    return Location(bucket, key) if scheme == "s3" and bucket else None


def name_below(key: str, prefix: str) -> str:
    """What AWS calls an object below a channel's folder.

    A prefix that names a folder is left out whole, with or without its last slash; one that names an object, or is the
    beginning of several names, is left out up to its last slash.
    """
    if key.startswith(prefix) and (prefix.endswith("/") or key[len(prefix) :].startswith("/")):
        return key[len(prefix) :].lstrip("/")
    return key[len(prefix.rpartition("/")[0]) :].lstrip("/")


def objects(client: Any, place: Location) -> Iterator[Object]:
    """The objects whose keys begin so, without what stands for folders.

    Errors: botocore's.
    """
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.key):
        for each in page.get("Contents") or []:
            if not each["Key"].endswith("/"):
                name = name_below(each["Key"], place.key)
                yield Object(Location(place.bucket, each["Key"]), name, int(each["Size"]))


def of_manifest(client: Any, place: Location) -> Iterator[Object]:
    """The objects that a manifest names: [{"prefix": "s3://BUCKET/PREFIX"}, "RELATIVE KEY", …].

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html, S3Uri.
    """
    try:
        entries = json.loads(client.get_object(Bucket=place.bucket, Key=place.key)["Body"].read())
        prefix = parse(str(entries[0]["prefix"]))
        names = entries[1:]
        if prefix is None or not all(isinstance(each, str) for each in names):
            raise ValueError("a prefix with s3://, then names")
        json.dumps(entries, ensure_ascii=False).encode()  # half a character is no part of a key
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise of_client(f"Data download failed:Manifest file {place.uri} is not valid: {error}") from error
    for name in names:
        yield Object(Location(prefix.bucket, prefix.key + name), name, 0)


def download(client: Any, found: Iterable[Object], folder: Path) -> int:
    """Put objects below a folder; returns how many.

    Errors: JobFailed in AWS's words.
    """
    count = 0
    for each in found:
        name = each.name
        count += 1
        if "//" in each.place.key or name != posixpath.normpath(name) or name.startswith(("/", "..")):
            raise of_client(
                f"Data download failed:Failed to download data. S3 key: {each.place.uri} has an illegal char "
                "sub-sequence in it"
            )
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            body = client.get_object(Bucket=each.place.bucket, Key=each.place.key)["Body"]
            with target.open("wb") as file:
                shutil.copyfileobj(body, file, COPY_BYTES)
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            raise of_client(
                f"Data download failed:{each.place.uri} is the name of an object and of a folder"
            ) from error
        except ANSWERS_NOT as error:
            raise of_client(
                f"Data download failed:Unable to download object {each.place.uri} ({said(error)})"
            ) from error
    return count


def upload(client: Any, file: Path, place: Location) -> None:
    """Put a file, in parts if it is large.

    Errors: JobFailed in AWS's words.
    """
    from s3transfer.manager import TransferManager

    try:
        with TransferManager(client) as transfers:
            transfers.upload(str(file), place.bucket, place.key).result()
    except ANSWERS_NOT as error:
        raise of_client(
            f"Artifact upload failed:Unable to upload object {place.uri} ({said(error)})"
        ) from error
