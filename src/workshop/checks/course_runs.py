"""Find the runs of jobs in the output bucket, by the run.json that each of them leaves.

Try it:  workshop check 4
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workshop.aws import objects, stacks

RECORD = "run.json"


@dataclass(frozen=True)
class Found:
    """One run: its s3:// address, what its record says, when that was last written."""

    output: str
    record: dict[str, Any]
    written: datetime

    @property
    def id(self) -> str:
        return self.output.rpartition("/")[2]

    @property
    def passed(self) -> bool:
        return self.record.get("status") == "passed"

    def json(self, name: str) -> Any:
        return objects.read_json(f"{self.output}/{name}")

    def names(self) -> dict[str, int]:
        """Name every file of the run, with its size in bytes."""
        prefix = f"{self.output}/"
        return {each.uri.removeprefix(prefix): each.size_bytes for each in objects.list(prefix)}


def of_job(job: str, prefix: str = "", **parameters: Any) -> list[Found]:
    """Return a job's runs whose id begins so and whose parameters hold these values, newest first."""
    every = sorted(
        _records(f"s3://{stacks.output('OutputBucket')}/runs/{prefix}"), key=lambda run: run.written
    )
    return [
        run
        for run in reversed(every)
        if run.record.get("job") == job
        and all(run.record.get("parameters", {}).get(name) == value for name, value in parameters.items())
    ]


def _records(place: str) -> Iterator[Found]:
    for entry in objects.list(place):
        if entry.uri.endswith(f"/{RECORD}"):
            record = json.loads(objects.read_bytes(entry.uri))
            yield Found(entry.uri.rpartition("/")[0], record, entry.modified)
