"""Lab 4: both frameworks have learned, what they learned can be loaded, cats are told from the rest.

Try it:  workshop check 4
Reads the output bucket alone: that is where whoever uses the results would look.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from workshop import datasets
from workshop.aws import objects, stacks
from workshop.checkpoints import Check, Failed
from workshop.checks import course_runs
from workshop.checks.course_runs import Found
from workshop.errors import DataError
from workshop.ml import artefact

# Accuracy on pictures never seen that the course promises, by profile. Quick was measured at 0.71 in both.
NEEDED_ACCURACY = {
    "quick": {"mxnet": 0.60, "tensorflow": 0.60},
    "full": {"mxnet": 0.76, "tensorflow": 0.80},
}
CAT_AT_LEAST, OTHER_AT_MOST = 0.8, 0.05
FRAMEWORKS_DIFFER_AT_MOST = 1e-4
PICTURES = ("curves.png", "confusion.png")
PNG = b"\x89PNG\r\n\x1a\n"
CLASSIFY = "classify-images"


def mxnet_has_learned() -> str:
    """The learner has trained with MXNet as an ECS task."""
    return _has_learned("mxnet")


def tensorflow_has_learned() -> str:
    """The learner has trained with TensorFlow as an ECS task."""
    return _has_learned("tensorflow")


def artefacts_load() -> str:
    """Each run's artefact is whole: weights and description belong together and fit the network."""
    sizes = []
    for framework in NEEDED_ACCURACY["quick"]:
        run = _trained(framework)
        with tempfile.TemporaryDirectory() as folder:
            objects.sync_down(f"{run.output}/artefact", folder)
            try:
                weights, _ = artefact.read(folder)
            except DataError as error:
                raise Failed(
                    f"the artefact of {framework} in {run.output} can't be loaded: {error.message}",
                    "Half an upload, or files of two runs side by side: whoever serves the network would "
                    "fail.",
                    f"workshop run train-images-{framework} --on ecs",
                ) from error
        sizes.append(f"{framework} {sum(each.size for each in weights.values()):,} weights")
    return f"both artefacts load: {', '.join(sizes)}"


def curves_are_drawn() -> str:
    """Each training run left its learning curves and its confusion matrix as pictures."""
    for framework in NEEDED_ACCURACY["quick"]:
        run = _trained(framework)
        for name in PICTURES:
            content = objects.read_bytes(f"{run.output}/{name}") if name in run.names() else b""
            if not content.startswith(PNG):
                raise Failed(
                    f"{run.output}/{name} is {'missing' if not content else 'not a picture'}",
                    "The job draws it after training: if it is missing, a cell after training was changed.",
                    f"workshop run train-images-{framework} --on ecs",
                )
    return "learning curves and confusion matrices are drawn"


def workers_shared_one_network() -> str:
    """Several workers trained one network together: after every epoch all had the same weights."""
    together = [
        run
        for framework in NEEDED_ACCURACY["quick"]
        for run in course_runs.of_job(f"train-images-{framework}")
        if run.record.get("workers", 1) > 1
    ]
    fix = "workshop run train-images-mxnet -p num_epochs=2 --on ecs --workers 2"
    run = _newest_passed(together, "a training with two workers", fix)
    names = [f"workers/{rank}.jsonl" for rank in range(run.record["workers"])]
    missing = [name for name in names if name not in run.names()]
    if missing:
        raise Failed(
            f"{run.output} lacks {', '.join(missing)}",
            "Each worker writes its own file, a line an epoch.",
            fix,
        )
    kept = [objects.read_bytes(f"{run.output}/{name}").decode().splitlines() for name in names]
    epochs = [{line["epoch"]: line["weights_sha256"] for line in map(json.loads, lines)} for lines in kept]
    if not epochs[0] or any(each != epochs[0] for each in epochs):
        raise Failed(
            f"the workers of {run.output} had different weights, or none",
            "Then each learned by itself, from its own part of the pictures.",
            fix,
        )
    return f"{len(epochs)} workers had the same weights after each of {len(epochs[0])} epochs"


def cats_are_told_from_the_rest() -> str:
    """The pre-trained network is right on every photograph, in either framework.

    Our own small network, which stands in where SqueezeNet's weights can't be had, learned from pictures of
    32 x 32 and is fooled by some photographs: there the line says by how many, and every one must have an answer.
    """
    known = {photo.name: photo.is_cat for photo in datasets.photos()}
    for framework in ("mxnet", "tensorflow"):
        metrics = _classified(framework).json("metrics.json")
        if "SqueezeNet" not in metrics["network"]:
            return _stand_in(metrics["results"], known)
        wrong = [row for row in metrics["results"] if _is_wrong(row, known)]
        if wrong:
            worst = wrong[0]
            raise Failed(
                f"{framework} says {worst['verdict']} of {worst['picture']} "
                f"(cat {worst['cat_probability']:.2f})",
                f"For a photograph of a cat the five cat classes together should have at least {CAT_AT_LEAST}, "
                f"for any other at most {OTHER_AT_MOST}. Usually the picture or the weights are not the course's own.",
                f"workshop data, then workshop run {CLASSIFY} -p framework={framework} --on ecs",
            )
    cats = sum(1 for is_cat in known.values() if is_cat)
    return f"{cats} cats are told from {len(known) - cats} other photographs"


def _stand_in(rows: list[dict[str, Any]], known: dict[str, bool | None]) -> str:
    answered = {Path(row["picture"]).stem: row["is_cat"] for row in rows}
    missing = sorted(name for name in known if Path(name).stem not in answered)
    if missing:
        raise Failed(
            f"no answer for {', '.join(missing)}",
            "The job reports each picture that it could not read.",
            f"workshop data, then workshop run {CLASSIFY} --on ecs",
        )
    right = sum(answered[Path(name).stem] == is_cat for name, is_cat in known.items())
    return f"our small stand-in network is right on {right} of {len(known)} photographs (no SqueezeNet weights here)"


def frameworks_agree() -> str:
    """MXNet and TensorFlow give the same probabilities for the same photographs."""
    by_framework = [_probabilities(_classified(framework)) for framework in ("mxnet", "tensorflow")]
    both = by_framework[0].keys() & by_framework[1].keys()
    largest = max((abs(by_framework[0][name] - by_framework[1][name]) for name in both), default=1.0)
    if largest > FRAMEWORKS_DIFFER_AT_MOST:
        raise Failed(
            f"the frameworks differ by {largest:.4f} for one of {len(both)} photographs",
            f"From the same weights they should differ by at most {FRAMEWORKS_DIFFER_AT_MOST}: one of the "
            "two runs "
            "was with other weights or other pictures.",
            f"workshop run {CLASSIFY} -p framework=mxnet --on ecs, and the same with tensorflow",
        )
    return f"MXNet and TensorFlow agree to {FRAMEWORKS_DIFFER_AT_MOST} on {len(both)} photographs"


def upload_was_answered() -> str:
    """A picture in the input bucket started a task by itself, and its result is in the output bucket."""
    runs = _uploads()
    good = [run for run in runs if run.passed]
    if not good:
        seen = (
            f"the latest {runs[0].record['status']}: {runs[0].record.get('error', '')}"
            if runs
            else "none began"
        )
        raise Failed(
            f"no upload has been answered: {seen}",
            "The rule hears of objects that end in .jpg, .jpeg or .png; then the function starts the task. "
            "Its log "
            "group says whether it was called, and what ECS said.",
            "stacks.deploy('upload'), then upload a picture again (step 4.8)",
        )
    row = good[0].json("results.json")[0]
    seconds = _seconds_after_upload(good[0])
    took = f", {seconds:.0f} s after it arrived" if seconds is not None else ""
    return f"{row['picture']} was answered by itself{took}: {row['verdict']}"


def own_picture_was_answered() -> str:
    """The exercise: let the gate judge a picture of one's own.

    The learner has put a picture (.jpg or .png) under a name of its own into the input bucket, for instance
    objects.upload('labs/my-pictures/lion.jpg', f"s3://{stacks.output('InputBucket')}/pictures/lion.jpg"),
    and waited: lab.wait_for_upload(address).
    """
    course = {photo.path.name for photo in datasets.photos()}
    mine = [run for run in _uploads() if _name(run) not in course]
    good = [run for run in mine if run.passed]
    if not good:
        seen = f"{_name(mine[0])}: {mine[0].record.get('error') or mine[0].record['status']}" if mine else ""
        raise Failed(
            "no picture of your own has been answered" + (f" ({seen})" if seen else ""),
            "What counts is a picture in the input bucket that is none of the course's photographs. A file "
            "that is "
            "no picture is refused by the task, and its record says so.",
            "objects.upload(path, f\"s3://{stacks.output('InputBucket')}/pictures/mine.jpg\")",
        )
    row = good[0].json("results.json")[0]
    return f"your {_name(good[0])} was answered: {row['verdict']} (cat {row['cat_probability']:.2f})"


def _has_learned(framework: str) -> str:
    run = _trained(framework)
    metrics = run.json("metrics.json")
    profile = metrics.get("profile", "quick")
    needed, reached = NEEDED_ACCURACY[profile][framework], metrics["accuracy"]
    if reached < needed:
        raise Failed(
            f"{framework} reached accuracy {reached:.3f}, and profile {profile} needs {needed:.2f}",
            f"It was trained for {metrics.get('num_epochs')} epochs. Fewer epochs, a larger learning rate or "
            "another seed than the profile's explain most of it.",
            f"workshop run train-images-{framework} --on ecs",
        )
    data = f"{metrics['dataset']} from the {metrics['data_source']}"
    return f"{framework} learned {data}: accuracy {reached:.3f} on pictures never seen (needed {needed:.2f})"


def _trained(framework: str) -> Found:
    job, fix = f"train-images-{framework}", f"workshop run train-images-{framework} --on ecs"
    alone = [run for run in course_runs.of_job(job) if run.record.get("workers", 1) == 1]
    return _newest_passed(alone, job, fix)


def _classified(framework: str) -> Found:
    """Return the newest run over the course's photographs: one without pictures of its own."""
    every = course_runs.of_job(CLASSIFY)
    fitting = [run for run in every if not run.record["parameters"].get("pictures")]
    chosen = [run for run in fitting if run.record["parameters"].get("framework", "tensorflow") == framework]
    fix = f"workshop run {CLASSIFY} -p framework={framework} --on ecs"
    return _newest_passed(chosen, f"{CLASSIFY} with framework={framework}", fix)


def _newest_passed(runs: list[Found], what: str, fix: str) -> Found:
    good = [run for run in runs if run.passed]
    if good:
        return good[0]
    error = str(runs[0].record.get("error") or runs[0].record["status"]) if runs else ""
    raise Failed(
        f"the output bucket has no run of {what} that passed" + (f": {error}" if error else ""),
        "A run counts when its task ended well and its results are in S3; one that ran here is not there.",
        fix,
    )


def _uploads() -> list[Found]:
    """Return the runs that uploads to the input bucket have started, newest first."""
    begins = f"s3://{stacks.output('InputBucket')}/"
    runs = course_runs.of_job(CLASSIFY, prefix="upload-")
    return [run for run in runs if str(run.record["parameters"].get("pictures")).startswith(begins)]


def _name(run: Found) -> str:
    return str(run.record["parameters"]["pictures"]).rpartition("/")[2]


def _seconds_after_upload(run: Found) -> float | None:
    """Tell how long after the picture the result came, by S3's own clock; None if the picture is gone."""
    address = run.record["parameters"]["pictures"]
    picture = next((each for each in objects.list(address) if each.uri == address), None)
    seconds = (run.written - picture.modified).total_seconds() if picture else -1.0
    return seconds if seconds >= 0 else None  # uploaded again since: that one's task is not this one


def _is_wrong(row: dict[str, Any], known: dict[str, bool | None]) -> bool:
    is_cat = known.get(row["picture"], known.get(Path(row["picture"]).stem))
    if is_cat is None:
        return False
    probability = row["cat_probability"]
    return bool(probability < CAT_AT_LEAST if is_cat else probability > OTHER_AT_MOST)


def _probabilities(run: Found) -> dict[str, float]:
    return {row["picture"]: row["cat_probability"] for row in run.json("metrics.json")["results"]}


CHECKS: tuple[Check, ...] = (
    mxnet_has_learned,
    tensorflow_has_learned,
    artefacts_load,
    curves_are_drawn,
    workers_shared_one_network,
    cats_are_told_from_the_rest,
    frameworks_agree,
    upload_was_answered,
)
YOUR_TURN: tuple[Check, ...] = (own_picture_was_answered,)
