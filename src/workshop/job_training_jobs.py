"""Run a job as a training job of SageMaker's: create it, follow its log, bring its results back.

Try it:  workshop run train-images-mxnet --on sagemaker
The container's command is the same `workshop run` with an s3:// output as in an ECS task, so the results are in the
same place; SageMaker keeps the artefact besides, as model.tar.gz.
"""

from typing import TYPE_CHECKING

from workshop.errors import AwsError, JobError
from workshop.execution import Event
from workshop.job_tasks import command, output_of
from workshop.records import Record

if TYPE_CHECKING:
    from workshop.aws.training_records import TrainingJob
    from workshop.job_runs import Request


def check(request: "Request") -> None:
    """Errors: JobError for what a job can have on ECS and not on SageMaker."""
    asked = (
        ("--size gpu", request.size == "gpu"),
        ("--workers", request.workers > 1),
        ("--shell", request.shell),
    )
    wrong = [flag for flag, given in asked if given]
    if wrong:
        raise JobError(
            f"on SageMaker a job has one CPU instance and no shell, so there is no {', '.join(wrong)}",
            f"workshop run {request.job.name} --on ecs {' '.join(wrong)}",
        )


def run(request: "Request", record: Record, name: str = "") -> None:
    """Run a job to its end; afterwards the record's folder holds what it wrote.

    name: the training job of a run that was cut off. It is followed if it still runs; if it failed, a new one goes
    on from the last epoch in the same output.
    Errors: AwsError with SageMaker's reason; what the job left is brought here before.
    """
    from workshop.aws import objects, training_jobs, training_requests

    job, listen = request.job, request.listen
    output = record.get("output") or output_of(record.id)
    if name and not _goes_on(name):
        name = ""
    name = name or training_requests.create(
        job.name, job.family, command(job.name, request.values, output), output
    )
    record.set(output=output, training_job=name)
    failure: AwsError | None = None
    try:
        ended = training_jobs.follow(
            name,
            on_line=lambda line: listen(Event("line", text=line)),
            on_state=lambda state: listen(Event("state", text=state)),
        )
    except (KeyboardInterrupt, SystemExit):
        training_jobs.stop(name)
        raise
    except AwsError as error:
        failure, ended = error, training_jobs.describe(name)
    try:
        objects.sync_down(output, record.folder)
    except AwsError as error:
        raise failure or error from None  # why the job failed says more than that its results can't be had
    # The job's own run.json came down over ours.
    record.set(model=ended.model, billable_seconds=ended.billable_seconds)
    if failure or ended.status != "Completed":
        raise failure or _stopped(ended, job.name)


def _goes_on(name: str) -> bool:
    """Whether the training job of a run that was cut off still runs, or ended well meanwhile."""
    from workshop.aws import training_jobs

    try:
        return training_jobs.describe(name).status in ("InProgress", "Completed")
    except AwsError:
        return False  # it was deleted


def _stopped(ended: "TrainingJob", job: str) -> AwsError:
    why = "it took longer than it may" if ended.secondary == "MaxRuntimeExceeded" else "somebody stopped it"
    return AwsError(
        f"training job {ended.name} was stopped: {why}", f"workshop run {job} --on sagemaker --resume"
    )
