"""A job's place for its results: a folder here, published to S3 where the output says so.

Try it:  from workshop.aws import runs; run = runs.open(""); (run.folder / "metrics.json").write_text("{}")
An output of s3://bucket/runs/ID that has files already brings them down first: that is how a killed job
resumes in another task. Knows nothing of what the files mean.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from workshop.aws import objects
from workshop.aws.session import Aws
from workshop.errors import JobError
from workshop.settings import load

WORKERS = "workers"  # the folder of what each worker of a group keeps for itself, by its rank


@dataclass
class Run:
    """One run's results. folder is local; output is where they are published, the folder itself or s3://…"""

    id: str
    folder: Path
    output: str
    restored: list[Path] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    published_at: float = 0.0  # when `publish` was last called, on `clock`
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    aws: Aws | None = field(default=None, repr=False)
    rank: int | None = (
        None  # of a worker in a group that shares the output; None: the output is this job's own
    )

    @property
    def is_remote(self) -> bool:
        return self.output.startswith("s3://")

    def publish(self) -> list[str]:
        """Upload what is finished and changed since last time; return those addresses.

        A reader of S3 sees each file whole or not at all: files that end in .part or .tmp stay here.
        """
        self.published_at = self.clock()
        if not self.is_remote:
            return []
        bucket, _ = objects.split(self.output)
        uploaded = objects.sync_up(self.folder, self.output, self.aws, self._is_mine)
        fresh = [f"s3://{bucket}/{key}" for key in uploaded]
        self.published = sorted({*self.published, *fresh})
        return fresh

    def publish_if_due(self, seconds: float) -> list[str]:
        """Publish unless that was done less than so many seconds ago: each time, a training's state is paid for."""
        return self.publish() if self.clock() - self.published_at >= seconds else []

    def _is_mine(self, path: Path) -> bool:
        """Whether this worker keeps the file: below workers/ its own by rank, all else worker 0.

        Of the others' files it has at most what lay there when it began, which must not replace newer ones.
        """
        if self.rank is None:
            return True
        return path.name.split(".")[0] == str(self.rank) if path.parts[0] == WORKERS else self.rank == 0

    def uri(self, name: str) -> str:
        """Where a file of this run is found by others: an S3 address or a path."""
        return f"{self.output}/{name}" if self.is_remote else str(self.folder / name)


def new_id(prefix: str = "") -> str:
    """A run id that sorts by time and never repeats: 20260131-142500-1a2b3c."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{prefix + '-' if prefix else ''}{stamp}-{secrets.token_hex(3)}"


def open(output: str, aws: Aws | None = None, folder: Path | str | None = None) -> Run:
    """Open a run's place: '' makes a new one in the runs folder, a path is used as it is, s3://… is mirrored.

    folder: the local mirror of an s3:// output; left out, a new one: what S3 has is the only truth, and half
    of what a killed job wrote here must not mix with it.
    Errors: JobError if the output is neither; AwsError if the bucket can't be read.
    """
    output = output.strip().rstrip("/")
    if output.startswith("s3://"):
        return _open_remote(output, aws, Path(folder) if folder else None)
    if re.match(r"[a-z][a-z0-9+.-]+://", output):
        raise JobError(
            f"the output '{output}' is neither a folder nor an s3:// address", "output=s3://bucket/runs/ID"
        )
    if output:
        place = Path(output).expanduser().absolute()
        run = Run(place.name, place, str(place))
    else:
        run_id = new_id()
        place = load().runs_dir / run_id
        run = Run(run_id, place, str(place))
    if place.exists() and not place.is_dir():
        raise JobError(f"the output '{output}' is a file", "give a folder")
    place.mkdir(parents=True, exist_ok=True)
    return run


def bring(where: str, aws: Aws | None = None) -> Path:
    """Return a folder of results as one on this machine: a path as it is, what lies at s3://… brought down.

    Errors: JobError if there is nothing.
    """
    if where.startswith("s3://"):
        folder = Path(tempfile.mkdtemp(prefix="workshop-artefact-"))
        if objects.sync_down(where, folder, aws):
            return folder
    elif Path(where).is_dir():
        return Path(where)
    raise JobError(
        f"there is nothing at '{where}'",
        "name what an earlier run left, such as OUTPUT/artefact or OUTPUT/prepared",
    )


def _open_remote(output: str, aws: Aws | None, folder: Path | None) -> Run:
    _, key = objects.split(output)
    if not key:
        raise JobError(
            f"the output '{output}' is a whole bucket", f"give a folder in it: {output}/runs/{new_id()}"
        )
    run_id = key.rsplit("/", 1)[-1]
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix=f"{run_id}-"))
    folder.mkdir(parents=True, exist_ok=True)
    restored = objects.sync_down(output, folder, aws)
    rank = os.environ.get("WORKSHOP_RANK", "")
    return Run(
        run_id, folder, output, restored=restored, aws=aws, rank=int(rank) if rank.isdecimal() else None
    )
