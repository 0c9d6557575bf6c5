"""What a lab's notebook calls: in its first cell to say where we are, and later for pictures of one's own.

Try it:  from workshop import lab; lab.start(1)
With target `local` (the default) every call stays on this machine; a lab opened in any way that does not lead
to the local AWS stops in its first cell with the remedy, whatever credentials the machine holds.
"""

import os
from pathlib import Path
from typing import Any

from workshop import datasets
from workshop.aws import objects, session, stacks, waiting
from workshop.aws.session import Aws
from workshop.data import catalogue
from workshop.errors import DataError, JobError
from workshop.settings import load

MY_PICTURES = "my-pictures"
UPLOADS = (".jpg", ".jpeg", ".png")  # what the upload rule lets through
UPLOAD_TIMEOUT_SECONDS = 240


def start(number: int) -> Aws:
    """Open the AWS that the settings name and print where calls go.

    Errors: TargetError with the remedy if the local AWS is not up, or a real account would be reached
    unasked.
    """
    settings = load()
    aws = session.current()
    _lead_other_clients(aws)
    print(f"lab {number} · {aws} · profile {settings.profile}")
    return aws


def _lead_other_clients(aws: Aws) -> None:
    """Lead boto3 and the AWS CLI, if a cell calls them directly, to the same place as the course's own
    functions.
    """
    if not aws.is_local or aws.endpoint is None:
        return
    from workshop import local

    for name in local.unwanted():
        os.environ.pop(name, None)
    os.environ.update(local.variables(aws.endpoint, aws.region))


def sample_cat() -> Path:
    """Return a photograph of a cat that the upload rule takes."""
    found = [photo.path for photo in datasets.photos() if photo.is_cat and photo.path.suffix in UPLOADS]
    if not found:
        raise DataError(f"no photograph of a cat ends in {', '.join(UPLOADS)}", "workshop data")
    return found[0]


def my_pictures() -> str:
    """Name the pictures of labs/my-pictures and one on the web; while the folder is empty, the sample cat."""
    settings = load()
    folder = settings.root / "labs" / MY_PICTURES
    folder.mkdir(exist_ok=True)
    mine = sorted(path for path in folder.iterdir() if not path.name.startswith(".")) or [sample_cat()]
    photos = [file for form in catalogue.entry(settings.root, "photos").forms for file in form.files]
    on_the_web = next(url for file in photos for url in file.urls)
    return ",".join([*map(str, mine), on_the_web])


def wait_for_upload(address: str, timeout_seconds: float = UPLOAD_TIMEOUT_SECONDS) -> list[dict[str, Any]]:
    """Wait for the task that an upload starts, and return what it says of the picture at this s3:// address.

    Errors: JobError with the task's own error if it failed; AwsError if nothing came within the time.
    """
    place = f"s3://{stacks.output('OutputBucket')}/runs/"
    uploaded = next(entry.modified for entry in objects.list(address) if entry.uri == address)

    def answered() -> list[dict[str, Any]] | None:
        for entry in objects.list(f"{place}upload-"):
            if entry.uri.endswith("/run.json") and entry.modified >= uploaded:
                record = objects.read_json(entry.uri)
                if record["parameters"].get("pictures") == address and record["status"] != "running":
                    return _answer(entry.uri.rpartition("/")[0], record)
        return None

    return waiting.until(answered, timeout_seconds, f"the task that the upload of {address} starts")


def _answer(output: str, record: dict[str, Any]) -> list[dict[str, Any]]:
    if record["status"] != "passed":
        raise JobError(
            f"the task of the upload {record['status']}: {record.get('error', '')}", "workshop status"
        )
    return list(objects.read_json(f"{output}/results.json"))
