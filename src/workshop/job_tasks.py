"""Run a job as an ECS task: start it, follow its log, bring its results back.

Try it:  workshop run train-images-mxnet --on ecs
The task's command is the same `workshop run` with an s3:// output, so a task does what a terminal does.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workshop.errors import AwsError
from workshop.execution import Event
from workshop.records import Record

if TYPE_CHECKING:
    from workshop.aws.tasks import Task
    from workshop.job_runs import Request


def run(request: "Request", record: Record, task_arn: str = "") -> None:
    """Run a job to its end; afterwards the record's folder holds what the task wrote.

    task_arn: the task of a run that was cut off. It is followed if it still runs; if it failed or is gone, a
    new one goes on from the last epoch in the same output.
    Errors: AwsError with the task's exit code, reason and last lines; what it left is brought here before.
    """
    from workshop.aws import objects, tasks

    job, listen = request.job, request.listen
    output = record.get("output") or output_of(record.id)
    spelled = command(job.name, request.values, output)
    task = _earlier(task_arn) or tasks.run(
        job.family, command=spelled, size=request.size, shell=request.shell
    )
    record.set(output=output, task=task.arn)
    try:
        ended = tasks.follow(
            task,
            on_line=lambda line: listen(Event("line", text=line)),
            on_state=lambda state: listen(Event("state", text=state)),
        )
    except (KeyboardInterrupt, SystemExit):
        tasks.stop(task, "interrupted by the learner")
        raise
    try:
        objects.sync_down(output, record.folder)
    except AwsError:
        tasks.succeed(ended)  # why the task failed says more than that its results can't be had
        raise
    record.set(exit_code=ended.exit_code)  # the task's own run.json came down over ours
    tasks.succeed(ended)


def command(name: str, values: Mapping[str, Any], output: str) -> list[str]:
    """Spell the task's command; the image's entry point is `workshop`."""
    pairs = [part for key, value in values.items() for part in ("-p", f"{key}={value}")]
    return ["run", name, *pairs, "--output", output]


def output_of(run_id: str) -> str:
    """Where a run on ECS keeps its results: in the bucket of the storage stack."""
    from workshop.aws import stacks

    return f"s3://{stacks.output('OutputBucket')}/runs/{run_id}"


def _earlier(task_arn: str) -> "Task | None":
    """Return the task of a run that was cut off, if it still runs or ended well meanwhile."""
    from workshop.aws import tasks

    if not task_arn:
        return None
    try:
        task = tasks.find(task_arn)
    except AwsError:
        return None  # ECS forgets stopped tasks after an hour
    return task if not task.is_stopped or task.exit_code == 0 else None
