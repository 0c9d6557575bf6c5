"""What lab 6 does to its service to see what it is worth: publish again, publish something broken, wait, draw.

Try it:  from workshop import lab_service; lab_service.wait_for_version(url, "20261120-sentiment-1f2e")
Knows the service by its web address and the published versions by their bucket; nothing of ECS.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import requests

from workshop.aws import models, objects, session, waiting
from workshop.aws.service_records import Service
from workshop.errors import AwsError

ANSWER_SECONDS = 5
SWAP_SECONDS = 120
IN_A_ROW = 10  # answers that must agree: of several tasks each looks for a new version at its own times
CLOUDWATCH_MINUTE_SECONDS = 60.0


def metric_minutes(count: float) -> float:
    """Seconds that so many minutes of CloudWatch's last: fewer on the local AWS, whose minutes are short."""
    aws = session.current()
    return count * (aws.settings.metric_seconds if aws.is_local else CLOUDWATCH_MINUTE_SECONDS)


def publish_again(model: str, s3: Any) -> str:
    """Publish what is in service once more as a version of its own, and return that version's name."""
    now = _whole(model, s3)
    again = f"again-{secrets.token_hex(4)}"
    done = models.publish(models.address_of(model, now.version), model, again, now.metrics, s3)
    return done.pointer.version


def publish_broken(model: str, s3: Any) -> str:
    """Point to a copy of the version in service whose network was cut in half, and return the copy's name.

    `models.publish` would refuse it: this writes past it, as somebody with too many rights and a script could.
    """
    now = _whole(model, s3)
    broken = f"broken-{secrets.token_hex(4)}"
    content = models.read_artefact(models.address_of(model, now.version), s3)
    content["model.onnx"] = content["model.onnx"][: len(content["model.onnx"]) // 2]
    for name, held in content.items():
        objects.write_bytes(f"{models.address_of(model, broken)}/{name}", held)
    objects.write_bytes(models.record_of(model, now.version), json.dumps(asdict(now)).encode())
    pointer = {**asdict(now), "version": broken, "previous": now.version}
    objects.write_bytes(f"{model}/{models.CURRENT}", json.dumps(pointer).encode())
    return broken


def wait_for_version(url: str, version: str, timeout_seconds: float = SWAP_SECONDS) -> dict[str, Any]:
    """Wait until the service has said ten times in a row that this version answers and none is refused."""

    def swapped() -> dict[str, Any] | None:
        answers = [_health(url) for _ in range(IN_A_ROW)]
        well = all(each.get("version") == version and "refused" not in each for each in answers)
        return answers[-1] if well else None

    return waiting.until(swapped, timeout_seconds, f"{url} to answer with version {version}")


def wait_for_refusal(url: str, version: str, timeout_seconds: float = SWAP_SECONDS) -> dict[str, Any]:
    """Wait until the service says that it refused this version, and return that answer.

    Errors: AwsError if it takes the version up.
    """

    def refused() -> dict[str, Any] | None:
        answer = _health(url)
        if answer.get("version") == version:
            raise AwsError(f"{url} serves version {version}, which is broken", "workshop run 6")
        return answer if answer.get("refused", {}).get("version") == version else None

    return waiting.until(refused, timeout_seconds, f"{url} to refuse version {version}")


def timeline(changes: Sequence[tuple[float, Service]]) -> Any:
    """Draw how many tasks were wanted and how many answered, from what `services.watch` saw.

    Returns: a figure of Matplotlib's.
    """
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    seconds = [after for after, _ in changes]
    figure, axes = pyplot.subplots(figsize=(8, 2.6), layout="constrained")
    pyplot.close(figure)  # a cell shows what it returns; pyplot would show it a second time
    axes.step(seconds, [service.desired for _, service in changes], where="post", label="wanted")
    axes.step(seconds, [service.healthy for _, service in changes], where="post", label="healthy")
    axes.set(xlabel="seconds", ylabel="tasks", ylim=(0, None))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper right", frameon=False)
    return figure


def _whole(model: str, s3: Any) -> models.Pointer:
    """The version in service; or, if this lab was left while a broken one was, the latest that is whole."""
    for version in models.history(model, s3):
        if models.is_complete(models.address_of(model, version.version), s3):
            return version
    raise AwsError(f"{model} has no version that could be served", "workshop prepare 6")


def _health(url: str) -> dict[str, Any]:
    """What /healthz says; a 503 has a reason too."""
    try:
        return dict(requests.get(f"{url}/healthz", timeout=ANSWER_SECONDS).json())
    except (requests.RequestException, ValueError) as error:
        raise AwsError(f"{url}/healthz does not answer as it should: {error}", "workshop check 6") from error
