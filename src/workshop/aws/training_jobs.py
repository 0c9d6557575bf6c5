"""Follow SageMaker's training jobs: statuses, log lines, metrics, and the model in the end.

Try it:  from workshop.aws import training_jobs; training_jobs.follow("workshop-satisfaction-1")
A training job is made by CreateTrainingJob itself, as the labs show it: this begins where that ends. Knows nothing
of what a container does, only the lines that built-in algorithms write (`training_lines`).
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workshop.aws import denials, objects, session, training_lines, training_records, waiting
from workshop.aws import logs as log_lines
from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.aws.training_records import TrainingJob
from workshop.errors import AwsError
from workshop.progress import moment

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
"""SageMaker's own, for all training jobs of an account; a stream begins with its job's name and a slash."""
FOLLOW_TIMEOUT_SECONDS = 6 * 3600
LONGEST_PAUSE_SECONDS = {"local": 0.2, "aws": 5.0}
# After the end, lines may still be on their way to CloudWatch Logs.
DRAIN_SECONDS = {"local": 0.3, "aws": 6.0}
REASON_LINES = 3  # of the log, in an error that gives no reason of its own
# What a reason of SageMaker's begins with, and what mends it.
REMEDIES = (
    ("CapacityError", "try again in some minutes, or with another instance type"),
    ("InternalServerError", "create it again, with another name"),
    (
        "Cannot pull algorithm container",
        "push the image (workshop push mxnet tensorflow), and let SageMakerRole in cloudformation/satisfaction.yaml "
        "pull it: ecr:GetAuthorizationToken, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer",
    ),
)


def describe(name: str, aws: Aws | None = None) -> TrainingJob:
    """The training job as it is now. Errors: AwsError if there is none by that name."""
    aws = aws or session.current()
    with explained(f"look at the training job {name}"):
        return training_records.read(aws.client("sagemaker").describe_training_job(TrainingJobName=name))


def follow(
    name: str,
    on_line: Callable[[str], None] = print,
    on_state: Callable[[str], None] | None = None,
    timeout_seconds: float = FOLLOW_TIMEOUT_SECONDS,
    aws: Aws | None = None,
) -> TrainingJob:
    """Tell every status with its time and every log line as it comes; return the job once it has ended.

    on_state: told the statuses, instead of on_line. Of a built-in algorithm's lines those that are for SageMaker
    alone are left out, and its progress is a bar.
    Errors: AwsError with SageMaker's reason if it failed; one that was stopped is returned.
    """
    aws = aws or session.current()
    lines = _Lines(name, aws)
    states = _States(on_state or on_line)
    latest = describe(name, aws)

    def hand_on() -> bool:
        fresh = lines.fresh()
        for line in fresh:
            if (text := training_lines.shown(line)) is not None:
                on_line(text)
        return bool(fresh)

    def ended() -> TrainingJob | None:
        nonlocal latest
        latest = describe(name, aws)
        hand_on()
        if latest.has_ended:  # what it wrote comes before how it ended
            waiting.quiet(hand_on, DRAIN_SECONDS[aws.target])
        states.tell(latest)
        return latest if latest.has_ended else None

    waiting.until(
        ended,
        timeout_seconds,
        f"training job {name} to end",
        lambda: f"{latest.status}, {latest.secondary}",
        longest_pause_seconds=LONGEST_PAUSE_SECONDS[aws.target],
    )
    if latest.status == "Failed":
        raise failed(latest, lines.latest)
    for metric, value in latest.metrics.items():
        on_line(f"{metric} {value:.4g}")
    return latest


def stop(name: str, aws: Aws | None = None) -> TrainingJob:
    """Ask SageMaker to stop the job, which may save for two minutes; one that has ended stays as it is."""
    aws = aws or session.current()
    if not describe(name, aws).has_ended:
        try:
            with explained(f"stop the training job {name}"):
                aws.client("sagemaker").stop_training_job(TrainingJobName=name)
        except AwsError:
            # It may have ended in between, and then it can't be stopped.
            if not describe(name, aws).has_ended:
                raise
    return describe(name, aws)


def metrics(name: str, aws: Aws | None = None) -> dict[str, float]:
    """The last value of each metric that the job's definitions have found in its log."""
    return dict(describe(name, aws).metrics)


def curve(name: str, what: str = "", aws: Aws | None = None) -> list[dict[str, float]]:
    """A row for each epoch of a built-in algorithm, read from its log: CloudWatch keeps one point a minute."""
    return training_lines.curve(logs(name, aws), what)


def logs(name: str, aws: Aws | None = None) -> list[str]:
    """Every line that the job has written so far, as it was written."""
    return _Lines(name, aws or session.current()).fresh()


def timeline(name: str, aws: Aws | None = None) -> list[tuple[str, float, float]]:
    """(status, seconds after the creation, how long it lasted) of each secondary status, in order."""
    job = describe(name, aws)
    return [
        (each.status, job.elapsed(each.began), (each.ended - each.began).total_seconds())
        for each in job.transitions
        if each.ended is not None
    ]


def artefact(name: str, folder: Path | str, aws: Aws | None = None) -> list[Path]:
    """Bring model.tar.gz into a folder, unpacked; the files, in order of their names.

    Errors: AwsError if the job has left none.
    """
    job = describe(name, aws)
    if not job.model:
        raise AwsError(
            f"training job {name} has left no model: it is {job.status}",
            f"python -c \"from workshop.aws import training_jobs; training_jobs.follow('{name}')\"",
        )
    return unpack(job.model, Path(folder), aws)


def unpack(address: str, folder: Path, aws: Aws | None = None) -> list[Path]:
    """Unpack an archive of S3's into a folder. Errors: AwsError if it is damaged, or would write elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="workshop-model-") as place:
        packed = objects.download(address, Path(place) / "model.tar.gz", aws)
        try:
            with tarfile.open(packed) as archive:
                archive.extractall(folder, filter="data")
                names = [member.name for member in archive.getmembers() if member.isfile()]
        except tarfile.TarError as error:
            raise AwsError(
                f"{address} can't be unpacked: {error}", "train again, under another name"
            ) from error
    return sorted(folder / name for name in names)


def failed(job: TrainingJob, lines: list[str]) -> AwsError:
    """The error that a failed job is: SageMaker's reason, and what mends it."""
    reason = job.reason or "; ".join(lines[-REASON_LINES:]) or "SageMaker gives no reason"
    known = next((remedy for begin, remedy in REMEDIES if begin in reason), None)
    look = f"its log says why: workshop.aws.training_jobs.logs('{job.name}')"
    return AwsError(f"training job {job.name} failed: {reason}", denials.remedy(reason) or known or look)


class _States:
    """Tells each secondary status once, and again when SageMaker says something else of it."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: dict[int, str] = {}

    def tell(self, job: TrainingJob) -> None:
        for number, each in enumerate(job.transitions):
            said = f"{each.status}  {each.message}".rstrip()
            if self._told.get(number) != said:
                self._told[number] = said
                self._tell(f"{moment(job.elapsed(each.began))}  {said}")


class _Lines:
    """A job's log: one stream for each of its instances, which come to be as they start."""

    def __init__(self, name: str, aws: Aws) -> None:
        self._name, self._aws = name, aws
        self._cursors: dict[str, log_lines.Cursor] = {}
        self.latest: list[str] = []

    def fresh(self) -> list[str]:
        """What came since the last time; nothing while no stream exists."""
        for stream in self._streams():
            self._cursors.setdefault(stream, log_lines.Cursor(LOG_GROUP, stream, self._aws))
        found = [line.message for cursor in self._cursors.values() for line in cursor.fresh()]
        self.latest = [*self.latest, *found][-REASON_LINES:]
        return found

    def _streams(self) -> list[str]:
        if self._cursors:  # all instances of a job begin together, and the course's jobs have one
            return []
        request: Mapping[str, Any] = {"logGroupName": LOG_GROUP, "logStreamNamePrefix": f"{self._name}/"}
        client = self._aws.client("logs")
        try:
            with explained(f"look for the log of {self._name}"):
                return [
                    each["logStreamName"] for each in client.describe_log_streams(**request)["logStreams"]
                ]
        except AwsError as error:
            if isinstance(error.__cause__, client.exceptions.ResourceNotFoundException):
                return []  # SageMaker makes the group with the first job's first line
            raise
