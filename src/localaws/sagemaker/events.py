"""SageMaker's events on EventBridge.

Try it:  aws events put-rule --name r --event-pattern '{"source":["aws.sagemaker"]}'
Detail types and details: https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html.
Knows no resource.
"""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

logger = logging.getLogger("localaws.sagemaker")

TRAINING_JOB = "SageMaker Training Job State Change"
TRANSFORM_JOB = "SageMaker Transform Job State Change"
MODEL = "SageMaker Model State Change"
ENDPOINT_CONFIG = "SageMaker Endpoint Config State Change"
ENDPOINT = "SageMaker Endpoint State Change"
DEPLOYMENT = "SageMaker Endpoint Deployment State Change"
MODEL_PACKAGE = "SageMaker Model Package State Change"


def put(detail_type: str, detail: dict[str, Any], resource_arn: str) -> None:
    """Send an event in the account and region of the calling context; from any thread, `changing` not held.

    detail: a record, times in seconds since the epoch. Its notes (`_…`) are left out but the tags, which AWS sends as
    a map. Model packages' times are sent as ISO 8601, all others in milliseconds, and their tags not at all.
    """
    from ministack.services import eventbridge

    packaged = detail_type == MODEL_PACKAGE
    given = {name: value for name, value in detail.items() if not name.startswith("_")}
    if "_tags" in detail and not packaged:
        given["Tags"] = dict(detail["_tags"])
    entry = {
        "Source": "aws.sagemaker",
        "DetailType": detail_type,
        "Detail": json.dumps(_sent(given, _iso if packaged else _milliseconds)),
        "Resources": [resource_arn],
    }
    try:
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:  # a rule's target is no reason to leave undone what the event is about
        logger.exception("the event %s of %s", detail_type, resource_arn)


def _sent(value: Any, as_time: Callable[[float], Any], name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _sent(each, as_time, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_sent(each, as_time) for each in value]
    return as_time(value) if name.endswith("Time") and isinstance(value, (int, float)) else value


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
