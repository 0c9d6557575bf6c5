"""As much of an S3 client as publishing models needs, in memory: objects, ETags, conditional writes."""

import hashlib
import io
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class FakeS3:
    """objects: {(bucket, key): content}. on_put is called before each write, with the key."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.writes: list[str] = []
        self.on_put = lambda key: None

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        if (Bucket, Key) not in self.objects:
            raise refusal("NoSuchKey", "The specified key does not exist.")
        content = self.objects[Bucket, Key]
        return {"Body": io.BytesIO(content), "ETag": etag(content), "ContentLength": len(content)}

    def put_object(
        self, Bucket: str, Key: str, Body: bytes, IfMatch: str = "", IfNoneMatch: str = "", **ignored: str
    ) -> None:
        self.on_put(Key)
        held = self.objects.get((Bucket, Key))
        if (IfNoneMatch and held is not None) or (IfMatch and (held is None or etag(held) != IfMatch)):
            raise refusal(
                "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"
            )
        self.objects[Bucket, Key] = Body
        self.writes.append(Key)

    def get_paginator(self, name: str) -> "Pages":
        return Pages(self)


class Pages:
    """What lists a bucket, in one page."""

    def __init__(self, s3: FakeS3) -> None:
        self.s3 = s3

    def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        held = self.s3.objects
        keys = sorted(key for bucket, key in held if bucket == Bucket and key.startswith(Prefix))
        found = [
            {"Key": key, "Size": len(held[Bucket, key]), "ETag": etag(held[Bucket, key]), "LastModified": NOW}
            for key in keys
        ]
        return [{"Contents": found}] if found else [{}]


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


def refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "PutObject")
