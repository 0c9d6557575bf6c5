"""Package a Lambda handler and put it where CloudFormation finds it.

Try it:  python -c "from workshop.aws import functions; print(len(functions.package('classify_upload')))"
A handler is one file in functions/ that needs boto3 and the standard library alone, so its zip is that file, and
the page of the same name where it answers one. The same source gives the same bytes, hence the same key: a template
changes only when the code does.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from workshop.aws import objects, session
from workshop.aws.session import Aws
from workshop.errors import AwsError

BUCKET_OUTPUT = "AssetsBucket"
PREFIX = "functions/"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold; the file's own would make every zip differ."""


def package(name: str, root: Path | None = None) -> bytes:
    """The zip of functions/<name>.py (and .html), byte for byte the same for the same source."""
    root = root or session.load().root
    path = root / "functions" / f"{name}.py"
    if not path.is_file():
        have = ", ".join(sorted(each.stem for each in path.parent.glob("*.py"))) or "none"
        raise AwsError(f"there is no function {path} (functions: {have})")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in filter(Path.is_file, (path, path.with_suffix(".html"))):
            entry = zipfile.ZipInfo(file.name, ZIP_EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    return packed.getvalue()


def publish(name: str, outputs: Mapping[str, str], aws: Aws) -> str:
    """Upload the package to the assets bucket unless it is there, and return its key."""
    if BUCKET_OUTPUT not in outputs:
        raise AwsError(
            f"the function {name} needs the output '{BUCKET_OUTPUT}' of the storage stack",
            "workshop prepare 2",
        )
    content = package(name, aws.settings.root)
    key = f"{PREFIX}{name}-{hashlib.sha256(content).hexdigest()[:16]}.zip"
    uri = f"s3://{outputs[BUCKET_OUTPUT]}/{key}"
    if not objects.exists(uri, aws):
        objects.write_bytes(uri, content, aws)
    return key
