"""Where a job's runner keeps the executed notebook and the record: in a folder here, or below an s3://
address.

Try it:  workshop run classify-images --output mine
The job writes its own results there by itself. Of a remote output the runner holds no copy: two mirrors of
one run would overwrite each other's newer epochs.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workshop.errors import AwsError, JobError
from workshop.records import FILE as RECORD

NOTEBOOK = "notebook.ipynb"
METRICS = "metrics.json"


@dataclass(frozen=True)
class Output:
    """An output; `folder` is the output itself if it is here, else a new folder for what the runner
    writes.
    """

    address: str
    folder: Path

    @property
    def is_remote(self) -> bool:
        return self.address.startswith("s3://")

    def begin(self) -> None:
        """Take away what an earlier run measured in the same folder: it must not pass for this run's."""
        if not self.is_remote:
            (self.folder / METRICS).unlink(missing_ok=True)

    def publish(self, names: Sequence[str] = (NOTEBOOK, RECORD)) -> None:
        """Send the executed notebook and the record, or other files by name, to a remote output."""
        if not self.is_remote:
            return
        from workshop.aws import objects

        for name in names:
            if (self.folder / name).exists():
                objects.upload(self.folder / name, f"{self.address}/{name}")

    def metrics(self, job: str) -> dict[str, Any]:
        """Read what the job measured; JobError if it left nothing: a run without metrics has not done its
        work.
        """
        path = self.folder / METRICS
        if self.is_remote:
            from workshop.aws import objects

            if objects.exists(f"{self.address}/{METRICS}"):
                objects.download(f"{self.address}/{METRICS}", path)
        if not path.exists():
            raise JobError(
                f"job '{job}' ended well but left no {METRICS} in {self.address}",
                f"its last cells write it: see the executed notebook, {self.folder / NOTEBOOK}",
            )
        return dict(json.loads(path.read_text()))


def open_output(address: str) -> Output:
    """Open a job's output; a folder is made if need be."""
    address = address.strip().rstrip("/")
    if address.startswith("s3://"):
        return Output(address, Path(tempfile.mkdtemp(prefix="workshop-run-")))
    folder = Path(address).expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        raise JobError(f"the output '{address}' is a file", "give a folder, or s3://bucket/runs/ID")
    folder.mkdir(parents=True, exist_ok=True)
    return Output(str(folder), folder)


def brief(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Leave only what fits on a line: figures and short texts, no lists."""
    return {name: value for name, value in metrics.items() if not isinstance(value, list | dict)}


def is_there(address: str) -> bool:
    """True if an output holds metrics: the stacks may have been deleted since it was written."""
    if not address.startswith("s3://"):
        return (Path(address) / METRICS).exists()
    from workshop.aws import objects

    try:
        return objects.exists(f"{address}/{METRICS}")
    except AwsError:
        return False
