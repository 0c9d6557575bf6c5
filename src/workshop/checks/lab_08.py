"""Lab 8: a model was trained by SageMaker, stands behind an endpoint, and answers the world through the API.

Try it:  workshop check 8
Asks the endpoint and the API as anybody would, and SageMaker how they came to be.
"""

from typing import Any

import numpy as np

from workshop.aws import apis, hosting, linear_learner, objects, session, stacks, training_jobs
from workshop.checkpoints import Check, Failed
from workshop.errors import WorkshopError
from workshop.ml.satisfaction import measures, predictions, prepare, recipe

MOST_JOBS = 20
MOST_ROWS = 1000  # of the test file: one call to the endpoint
AGAIN = "run the cells of step {step} again"
YOUR_TURN_FILE = "your-turn.jsonl"
HAS_TO_GAIN = 0.02  # accuracy: more than chance gives on a thousand rows


def data_is_prepared() -> str:
    """The input bucket holds rows as the algorithm wants them, and the recipe that made them."""
    numbers, labels = _test()
    document = recipe.from_json(objects.read_bytes(f"{_place()}/{recipe.FILE}").decode())
    return f"{len(labels):,} test rows of {numbers.shape[1]} numbers, the label first; ratings: {document['ratings']}"


def model_was_trained() -> str:
    """The endpoint's model is what a completed training job left."""
    model = _model()
    for job in _jobs():
        if job.model == model["PrimaryContainer"]["ModelDataUrl"]:
            paid = f"{job.billable_seconds:g} s to pay"
            return f"training job {job.name} is {job.status}, {paid}, and its model is the one that answers"
    raise Failed(
        f"no completed training job has left {model['PrimaryContainer']['ModelDataUrl']}",
        "The endpoint's model was made from something else, or the job was deleted.",
        AGAIN.format(step="8.4 and 8.5"),
    )


def endpoint_beats_the_larger_class() -> str:
    """The endpoint answers the test rows better than whoever always says the same."""
    numbers, labels = _test()
    scores, guesses = hosting.predict(_endpoint(), numbers[:MOST_ROWS])
    labels = labels[:MOST_ROWS]
    found = measures.report(scores, guesses, labels)
    always = max(np.mean(labels), 1 - np.mean(labels))
    if found["accuracy"] <= always + HAS_TO_GAIN:
        raise Failed(
            f"the endpoint is right for {found['accuracy']:.3f} of the test rows; always saying the same, {always:.3f}",
            "Most often the columns it is asked with are in another order than those it was trained with.",
            AGAIN.format(step="8.2 to 8.5"),
        )
    said = f"{found['accuracy']:.3f} of {len(labels):,} test rows, AUC {found['auc']:.3f}"
    return f"endpoint {_endpoint()} is right for {said}"


def the_world_gets_the_same_answer() -> str:
    """What the API says of a passenger is what the endpoint says."""
    row = _test()[0][0]
    said = _call(_csv(row), apis.key())
    _, guesses = hosting.predict(_endpoint(), [row])
    if said.status != 200 or said.body["prediction"] != guesses[0]:
        raise Failed(
            f"the API answers {said}, the endpoint {guesses[0]}",
            "502 and 503 mean that the function did not get an answer; its log has the reason.",
            'python -c "from workshop.aws import logs, stacks; '
            "print(*logs.tail(stacks.output('PredictLogGroup')), sep='\\n')\"",
        )
    return f"the API says '{said.body['label']}' of a passenger, as the endpoint does, in {said.milliseconds:.0f} ms"


def nonsense_is_the_callers_fault() -> str:
    """Without a key 403; what is no survey 400, with a reason."""
    row, key = _csv(_test()[0][0]), apis.key()
    cases = [
        (row, None, 403),
        (row.rpartition(",")[0], key, 400),
        (f"satisfied,{row}", key, 400),
        ("", key, 400),
    ]
    for data, used, wanted in cases:
        said = _call(data, used)
        if said.status != wanted:
            raise Failed(
                f"'{data[:40]}' {'with' if used else 'without'} the key got {said}",
                f"It should have been {wanted}.",
                "python -c \"from workshop.aws import stacks; stacks.deploy('satisfaction')\"",
            )
    return f"{len(cases)} requests that should be refused were refused, each with a status that says why"


def one_endpoint_is_up() -> str:
    """Nothing is paid for but the endpoint of this lab."""
    up = [each.name for each in hosting.endpoints()]
    extra = [name for name in up if name != _endpoint()]
    if extra:
        raise Failed(
            f"{len(up)} endpoints are up: {', '.join(up)}",
            "Each costs by the hour, whether anybody asks it or not.",
            f"python -c \"from workshop.aws import hosting; hosting.remove('{extra[0]}')\"",
        )
    return f"one endpoint is up: {up[0]}" if up else "no endpoint is up: nothing is paid for"


def trees_beat_the_line() -> str:
    """The exercise: another model's answers to the test file are better than the endpoint's."""
    numbers, labels = _test()
    where = f"{_place()}/{YOUR_TURN_FILE}"
    try:
        scores, guesses = predictions.parse(objects.read_bytes(where), where)
        predictions.check_count(scores, len(labels), where)
    except WorkshopError as error:
        raise Failed(
            error.message,
            'One line a passenger, in the order of test.csv: {"score": 0.93, "predicted_label": 1}.',
            f'objects.write_bytes(f"{{place}}/{YOUR_TURN_FILE}", lines.encode())',
        ) from error
    _, linear = hosting.predict(_endpoint(), numbers)
    yours, its = float(np.mean(guesses == labels)), float(np.mean(linear == labels))
    if yours < its + HAS_TO_GAIN:
        raise Failed(
            f"yours is right for {yours:.3f} of the passengers, Linear Learner for {its:.3f}",
            "Trees see more with more of them: max_iter, and leaves enough (max_leaf_nodes).",
            "from workshop.ml.satisfaction import boosting; help(boosting.train)",
        )
    return f"yours is right for {yours:.3f} of {len(labels):,} passengers, Linear Learner for {its:.3f}"


def _place() -> str:
    return f"s3://{stacks.output('InputBucket')}/satisfaction"


def _endpoint() -> str:
    return stacks.output("EndpointName")


def _test() -> tuple[np.ndarray, np.ndarray]:
    """Numbers float64 (N, 22) and labels int64 (N,) of the prepared test file."""
    where = f"{_place()}/{prepare.TEST}/{prepare.TEST}.csv"
    return prepare.read_lines(objects.read_bytes(where), where)


def _csv(row: np.ndarray) -> str:
    return next(linear_learner.bodies([row.tolist()], 1))[0].decode()


def _call(data: str, key: apis.Key | None) -> apis.Answer:
    return apis.call("/predict", {"data": data}, key)


def _model() -> dict[str, Any]:
    """The model that the endpoint answers with."""
    client = session.current().client("sagemaker")
    found = hosting.describe(_endpoint())
    if found is None or not found.is_up:
        raise Failed(
            f"endpoint {_endpoint()} is {found.status if found else 'not there'}",
            "It is made in step 8.5, and taken away by `workshop clean 8`.",
            "workshop run 8",
        )
    variants = client.describe_endpoint_config(EndpointConfigName=found.configuration)["ProductionVariants"]
    return dict(client.describe_model(ModelName=variants[0]["ModelName"]))


def _jobs() -> list[training_jobs.TrainingJob]:
    """The training jobs of this lab that have come to their end, the latest first."""
    client = session.current().client("sagemaker")
    found = client.list_training_jobs(
        NameContains=_endpoint(),
        StatusEquals="Completed",
        SortBy="CreationTime",
        SortOrder="Descending",  # SageMaker's default is the oldest first
        MaxResults=MOST_JOBS,
    )
    return [training_jobs.describe(each["TrainingJobName"]) for each in found["TrainingJobSummaries"]]


CHECKS: tuple[Check, ...] = (
    data_is_prepared,
    model_was_trained,
    endpoint_beats_the_larger_class,
    the_world_gets_the_same_answer,
    nonsense_is_the_callers_fault,
    one_endpoint_is_up,
)
YOUR_TURN: tuple[Check, ...] = (trees_beat_the_line,)
