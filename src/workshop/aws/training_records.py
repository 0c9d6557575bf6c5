"""What SageMaker says of a training job, as one value.

Try it:  from workshop.aws import training_jobs; print(training_jobs.describe("workshop-satisfaction-1"))
Makes no call: it reads the answer of describe_training_job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ENDED = ("Completed", "Failed", "Stopped")


@dataclass(frozen=True)
class Transition:
    """One secondary status; ended is None while it lasts. message: SageMaker's sentence about it."""

    status: str
    began: datetime
    ended: datetime | None
    message: str


@dataclass(frozen=True)
class TrainingJob:
    """One training job as SageMaker described it last.

    status: InProgress, Completed, Failed, Stopping or Stopped; secondary says more. model: the address of
    model.tar.gz once there is one. Times in seconds: training, and what AWS charges for.
    """

    name: str
    arn: str
    status: str
    secondary: str
    reason: str = ""
    model: str = ""
    image: str = ""
    instance_type: str = ""
    instances: int = 1
    training_seconds: float | None = None
    billable_seconds: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    transitions: tuple[Transition, ...] = field(default=(), repr=False)
    times: Mapping[str, datetime] = field(default_factory=dict, repr=False)

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def elapsed(self, moment: datetime) -> float:
        """Seconds from the job's creation to a moment."""
        created = self.times.get("CreationTime", moment)
        return max(0.0, (moment - created).total_seconds())

    def __str__(self) -> str:
        said = [f"{self.name}: {self.status}"]
        if self.billable_seconds is not None:
            said.append(f"{self.billable_seconds:g} s to pay on {self.instances} x {self.instance_type}")
        said += [f"{name} {value:.4g}" for name, value in self.metrics.items()]
        return ", ".join(said) + (f" ({self.reason})" if self.reason else "")


def read(entry: Mapping[str, Any]) -> TrainingJob:
    """The training job in an answer of describe_training_job."""
    resources = entry.get("ResourceConfig", {})
    return TrainingJob(
        name=entry["TrainingJobName"],
        arn=entry["TrainingJobArn"],
        status=entry["TrainingJobStatus"],
        secondary=entry.get("SecondaryStatus", ""),
        reason=entry.get("FailureReason", ""),
        model=entry.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""),
        image=entry.get("AlgorithmSpecification", {}).get("TrainingImage", ""),
        instance_type=resources.get("InstanceType", ""),
        instances=int(resources.get("InstanceCount", 1)),
        training_seconds=entry.get("TrainingTimeInSeconds"),
        billable_seconds=entry.get("BillableTimeInSeconds"),
        metrics={each["MetricName"]: each["Value"] for each in entry.get("FinalMetricDataList", [])},
        transitions=tuple(
            Transition(each["Status"], each["StartTime"], each.get("EndTime"), each.get("StatusMessage", ""))
            for each in entry.get("SecondaryStatusTransitions", [])
        ),
        times={name: value for name, value in entry.items() if isinstance(value, datetime)},
    )
