"""A folder that is read as `models` reads S3: the same layout, the same rules, no AWS.

Try it:  from workshop.aws import model_folder, models; models.current(model_folder.ADDRESS, FolderClient(folder))
For tests, and for trying the service by hand. Answers GetObject, and nothing is written.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

BUCKET = "folder"
ADDRESS = f"s3://{BUCKET}/model"
"""What the folder is called where an address is wanted."""


class FolderClient:
    """The one call of an S3 client that reading needs, on files of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        """As S3's GetObject: body and ETag. Errors: ClientError NoSuchKey."""
        path = self._folder / Key.partition("/")[2]
        try:
            content = path.read_bytes()
        except OSError as error:
            refusal: Any = {"Error": {"Code": "NoSuchKey", "Message": f"{path}: {error.strerror}"}}
            raise ClientError(refusal, "GetObject") from None
        digest = hashlib.sha256(content).hexdigest()
        return {"Body": io.BytesIO(content), "ETag": f'"{digest}"', "ContentLength": len(content)}
