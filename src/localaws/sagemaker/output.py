"""What a training job leaves: the failure text, model.tar.gz and output.tar.gz.

Try it:  aws s3 ls --recursive s3://BUCKET/OUTPUT/JOB/output/
How AWS does it: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html. Knows
folders and S3, and no containers.
"""

import errno
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

from localaws.sagemaker import locations
from localaws.sagemaker.jobfailures import LONGEST_REASON, of_client
from localaws.sagemaker.locations import Location
from localaws.sagemaker.store import Record

MODEL, OUTPUT = "model.tar.gz", "output.tar.gz"
GIB = 1024**3
COMPRESSION = 1  # weights hardly get smaller above, and take longer


def place(record: Record, name: str) -> Location:
    """Where AWS puts an artefact: S3OutputPath/JOB/output/NAME."""
    found = locations.parse(record["OutputDataConfig"]["S3OutputPath"])
    assert found  # refused before, if it is none
    return found.below(record["TrainingJobName"], "output", name)


def failure(folder: Path) -> str:
    """What the container wrote to /opt/ml/output/failure, as much as AWS takes of it.

    A link could lead to a file of this machine's, and nobody may ever write to a pipe.
    """
    try:
        found = os.open(folder / "failure", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(found, encoding="utf-8", errors="replace") as file:
            return file.read(LONGEST_REASON).strip() if stat.S_ISREG(os.fstat(found).st_mode) else ""
    except OSError:
        return ""


def upload(client: Any, record: Record, name: str, folder: Path, scratch: Path) -> bool:
    """Pack what is in a folder and put it to S3; False if there is nothing in it, and then nothing is put.

    Errors: JobFailed.
    """
    packed = scratch / name
    try:
        if not _is_own(folder) or not any(folder.iterdir()):
            return False
        pack(folder, packed, record["ResourceConfig"]["VolumeSizeInGB"] * GIB)
        locations.upload(client, packed, place(record, name))
    except OSError as error:
        raise of_client(f"Artifact upload failed:{error.strerror}") from error
    except RecursionError as error:
        raise of_client("Artifact upload failed:Folders lie too deep in one another") from error
    finally:
        packed.unlink(missing_ok=True)
    return True


def _is_own(folder: Path) -> bool:
    """Whether it is a folder in its own place; the container may have put a link to another one there."""
    return folder.is_dir() and not folder.is_symlink() and not folder.parent.is_symlink()


def pack(folder: Path, packed: Path, most_bytes: int = 2**60) -> None:
    """A gzipped tar of what is in a folder, by the names below it.

    Errors: OSError, as a full disk is one, if there is more than the job's volume would have had room for.
    """
    left = most_bytes

    def harmless(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        nonlocal left
        left -= entry.size
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return _nobodys(entry)

    with tarfile.open(packed, "w:gz", compresslevel=COMPRESSION) as tar:
        for each in sorted(folder.iterdir()):
            tar.add(each, each.name, filter=harmless)


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry if entry.isfile() or entry.isdir() or entry.issym() or entry.islnk() else None
