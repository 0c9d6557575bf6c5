"""Lab 5: the pipeline has trained in ECS tasks, the gate has opened and has stayed shut, a version is published.

Try it:  workshop check 5
Reads the buckets alone: what DAG runs left there, and what the service will read.
"""

import tempfile
from pathlib import Path
from typing import Any

from workshop.aws import models, objects, session, stacks
from workshop.checkpoints import Check, Failed
from workshop.checks import course_runs
from workshop.errors import WorkshopError

RECORD = "dag.json"
JOBS = {"train": "train-sentiment", "evaluate": "evaluate-sentiment"}
BEAT_LARGEST_CLASS_BY = 0.1  # accuracy; a network that has learned nothing answers the largest class always
RUN_IT = "workshop dag sentiment"


def texts_are_in_the_bucket() -> str:
    """The data that the pipeline reads: labelled texts in the input bucket."""
    place = f"s3://{stacks.output('InputBucket')}/sentiment/"
    found = [entry for entry in objects.list(place) if entry.uri.endswith(".csv")]
    if not found:
        raise Failed(
            f"{place} has no CSV",
            "The pipeline's task validate_data reads it there.",
            "python -c \"from workshop import dags; print(dags.upload('tweets'))\"",
        )
    rows = objects.read_bytes(found[0].uri).count(b"\n") - 1
    return f"labelled texts are in {found[0].uri} ({rows:,} lines)"


def run_was_green_and_published() -> str:
    """A DAG run passed every task and put its version into the model bucket."""
    good = _green()
    return f"DAG run {good['run_id']} passed {len(good['tasks'])} tasks and published {good['published']}"


def jobs_were_ecs_tasks() -> str:
    """Training and evaluation ran in ECS, and their results are in the output bucket under the run's name."""
    good = _green()
    folder = f"s3://{stacks.output('OutputBucket')}/runs/{models.version_of(good['run_id'])}"
    for name, job in JOBS.items():
        run = next((run for run in _records(folder) if run.record.get("job") == job), None)
        if run is None or not run.passed:
            status = run.record.get("status") if run else "not there"
            raise Failed(
                f"{folder}/{name} is {status}",
                "The DAG's tasks train and evaluate write their results there, from inside their ECS tasks.",
                RUN_IT,
            )
    seconds = {task["name"]: task["seconds"] for task in good["tasks"]}
    return f"train ({seconds['train']:.0f} s) and evaluate ({seconds['evaluate']:.0f} s) ran as ECS tasks"


def network_has_learned() -> str:
    """On texts that it never saw, the published network is better than answering the largest class."""
    metrics = _in_service().metrics
    largest = metrics.get("largest_class_share")
    if largest is None:
        raise Failed(
            "the evaluation does not say how large the largest class is",
            "The image that the jobs ran in is older than the workshop's code.",
            "workshop build tensorflow && workshop push tensorflow, then run the lab again",
        )
    if metrics["accuracy"] < largest + BEAT_LARGEST_CLASS_BY:
        raise Failed(
            f"accuracy {metrics['accuracy']:.3f}, and the largest class alone gives {largest:.3f}",
            "Too few epochs (num_epochs=0: the layout's number), or labels that have little to do with their texts.",
            RUN_IT,
        )
    return (
        f"accuracy {metrics['accuracy']:.3f}, macro F1 {metrics['macro_f1']:.3f} on {metrics['examples']:,} texts "
        f"never seen (the largest class alone: {largest:.3f})"
    )


def gate_has_said_no() -> str:
    """A run that was not good enough is red at the gate and has published nothing."""
    shut = [each for each in _dag_runs() if _red(each) == "gate"]
    if not shut:
        raise Failed(
            "no DAG run is red at its gate",
            "A gate that nobody has seen shut may be one that can't shut.",
            f"{RUN_IT} -p run={_green()['run_id']} -p threshold=0.99",
        )
    reason = next(task["reason"] for task in shut[0]["tasks"] if task["name"] == "gate")
    if shut[0].get("published"):
        raise Failed(f"{shut[0]['run_id']} is red, and has published", "That must never be.", RUN_IT)
    return f"the gate stayed shut once: {reason}"


def published_version_is_whole() -> str:
    """Every file of the version in service is what its description says, and it loads and answers."""
    version = _in_service()
    aws = session.current()
    try:
        with tempfile.TemporaryDirectory() as folder:
            models.download(_model(), version.version, Path(folder), aws.client("s3"))
            from workshop.serving.predictor import Predictor

            predictor = Predictor.load(Path(folder))
            (row,) = predictor.predict(["what a lovely day, thank you all"])
    except WorkshopError as error:
        raise Failed(
            f"version {version.version} can't be served: {error.message}",
            "Something wrote into the bucket beside the pipeline, or an upload was cut short.",
            RUN_IT,
        ) from error
    label = predictor.labels[int(row.argmax())]
    return f"version {version.version} is whole; it finds 'what a lovely day, thank you all' {label} ({row.max():.2f})"


def bad_data_was_refused() -> str:
    """The exercise: spoil the data as it happens in real life, and have the pipeline refuse them.

    The learner has put a CSV of their own into the input bucket (objects.write_bytes), run the DAG on its address
    (dags.run("sentiment", {"dataset": address})), and validate_data was red before anything trained.
    """
    spoiled = [each for each in _dag_runs() if str(each["parameters"].get("dataset")).startswith("s3://")]
    refused = [each for each in spoiled if _red(each) == "validate_data"]
    if not refused:
        seen = f" (the latest was red at {_red(spoiled[0]) or 'no task'})" if spoiled else ""
        raise Failed(
            f"no run on data of your own was red at validate_data{seen}",
            "It has to be the data that are wrong: another column's name, half of the texts empty, one class alone.",
            "dags.run('sentiment', {'dataset': 's3://the-input-bucket/sentiment/mine.csv'})",
        )
    reason = next(task["reason"] for task in refused[0]["tasks"] if task["name"] == "validate_data")
    return f"your data were refused before anything trained: {reason}"


def _dag_runs() -> list[dict[str, Any]]:
    """Every DAG run's record, newest first."""
    place = f"s3://{stacks.output('OutputBucket')}/runs/"
    found = [entry for entry in objects.list(place) if entry.uri.endswith(f"/{RECORD}")]
    found.sort(key=lambda entry: entry.modified, reverse=True)
    return [objects.read_json(entry.uri) for entry in found]


def _green() -> dict[str, Any]:
    every = _dag_runs()
    good = [each for each in every if each["state"] == "success" and each.get("published")]
    if good:
        return good[0]
    seen = f"the latest is red at {_red(every[0])}" if every else "there is none"
    raise Failed(
        f"no DAG run has published a version: {seen}",
        "Its record says of each task how it ended and why.",
        RUN_IT,
    )


def _red(run: dict[str, Any]) -> str:
    return next((str(task["name"]) for task in run["tasks"] if task["state"] == "failed"), "")


def _records(folder: str) -> list[course_runs.Found]:
    names = [f"{folder}/{name}/{course_runs.RECORD}" for name in JOBS]
    there = [entry for name in names for entry in objects.list(name)]
    return [
        course_runs.Found(entry.uri.rpartition("/")[0], objects.read_json(entry.uri), entry.modified)
        for entry in there
    ]


def _model() -> str:
    return f"s3://{stacks.output('ModelBucket')}/sentiment"


def _in_service() -> models.Pointer:
    found = models.current(_model(), session.current().client("s3"))
    if found is None:
        raise Failed(
            f"{_model()} points at no version", "The pipeline's task publish writes current.json.", RUN_IT
        )
    return found


CHECKS: tuple[Check, ...] = (
    texts_are_in_the_bucket,
    run_was_green_and_published,
    jobs_were_ecs_tasks,
    network_has_learned,
    gate_has_said_no,
    published_version_is_whole,
)
YOUR_TURN: tuple[Check, ...] = (bad_data_was_refused,)
