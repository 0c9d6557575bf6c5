"""As much of SageMaker's and CloudWatch Logs' clients as the kit calls, in memory. Not a test."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from workshop.settings import load

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JOB = "workshop-satisfaction-1"


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Call")


def job(status: str, *transitions: tuple[str, float, str], **members: Any) -> dict[str, Any]:
    """An answer of describe_training_job; transitions: status, seconds after the creation, message."""
    return {
        "TrainingJobName": JOB,
        "TrainingJobArn": f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{JOB}",
        "TrainingJobStatus": status,
        "SecondaryStatus": transitions[-1][0] if transitions else "",
        "CreationTime": BEGAN,
        "SecondaryStatusTransitions": [
            {
                "Status": name,
                "StartTime": after(seconds),
                "EndTime": after(seconds + 1),
                "StatusMessage": said,
            }
            for name, seconds, said in transitions
        ],
        **members,
    }


class NotThere(ClientError):
    """ResourceNotFoundException, as botocore makes it for a service."""


class Logs:
    """One stream whose lines come one by one with each look."""

    exceptions = SimpleNamespace(ResourceNotFoundException=NotThere)

    def __init__(self, *lines: str) -> None:
        self.lines, self.seen = list(lines), 0

    def describe_log_streams(self, logGroupName: str, logStreamNamePrefix: str) -> dict[str, Any]:
        if not self.lines:
            raise NotThere({"Error": {"Code": "ResourceNotFoundException", "Message": "no group"}}, "Call")
        return {"logStreams": [{"logStreamName": f"{logStreamNamePrefix}algo-1-1"}]}

    def get_log_events(self, nextToken: str = "0", **asked: Any) -> dict[str, Any]:
        begin = int(nextToken)
        self.seen = min(len(self.lines), max(self.seen, begin) + 1)
        found = [{"timestamp": 0, "message": line} for line in self.lines[begin : self.seen]]
        return {"events": found, "nextForwardToken": str(begin + len(found))}


class Pages:
    def __init__(self, answer: Callable[..., dict[str, Any]]) -> None:
        self._answer = answer

    def paginate(self, **asked: Any) -> list[dict[str, Any]]:
        return [self._answer(**asked)]


class SageMaker:
    """jobs: the answers of describe_training_job, the last of them for ever. Other things are there by name."""

    exceptions = SimpleNamespace(ClientError=ClientError)

    def __init__(self, *jobs: dict[str, Any], endpoints: dict[str, list[str]] | None = None) -> None:
        self.jobs: Iterator[dict[str, Any]] = iter(jobs)
        self.latest: dict[str, Any] | None = None
        self.stopped: list[str] = []
        self.endpoints = endpoints or {}
        self.configurations: dict[str, list[str]] = {}
        self.models: set[str] = set()
        self.reason = ""
        self.calls: list[tuple[str, str]] = []
        self.created: dict[str, Any] = {}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:
        self.latest = next(self.jobs, self.latest)
        if self.latest is None:
            raise refusal("ValidationException", "Requested resource not found.")
        return self.latest

    def stop_training_job(self, TrainingJobName: str) -> None:
        self.stopped.append(TrainingJobName)

    def create_training_job(self, **request: Any) -> None:
        self.created = request

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        if EndpointName not in self.endpoints:
            raise refusal("ValidationException", f'Could not find endpoint "{EndpointName}".')
        states = self.endpoints[EndpointName]
        state = states.pop(0) if len(states) > 1 else states[0]
        return {
            "EndpointName": EndpointName,
            "EndpointArn": "arn",
            "EndpointStatus": state,
            "EndpointConfigName": f"{EndpointName}-1",
            "CreationTime": BEGAN,
            "FailureReason": self.reason,
            "ProductionVariants": [
                {"VariantName": "A", "CurrentInstanceCount": 1, "DesiredInstanceCount": 2, "CurrentWeight": 1}
            ],
        }

    def describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:
        if EndpointConfigName not in self.configurations:
            raise refusal("ValidationException", "Could not find endpoint configuration.")
        return {
            "ProductionVariants": [
                {
                    "VariantName": "A",
                    "ModelName": model,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 2,
                }
                for model in self.configurations[EndpointConfigName]
            ]
        }

    def describe_model(self, ModelName: str) -> dict[str, Any]:
        if ModelName not in self.models:
            raise refusal("ValidationException", "Could not find model.")
        return {}

    def delete_endpoint(self, EndpointName: str) -> None:
        self.calls.append(("endpoint", EndpointName))
        del self.endpoints[EndpointName]

    def delete_endpoint_config(self, EndpointConfigName: str) -> None:
        self.calls.append(("configuration", EndpointConfigName))
        del self.configurations[EndpointConfigName]

    def delete_model(self, ModelName: str) -> None:
        self.calls.append(("model", ModelName))
        self.models.remove(ModelName)

    def get_paginator(self, operation: str) -> Pages:
        names = {
            "list_endpoints": ("Endpoints", "EndpointName", self.endpoints),
            "list_endpoint_configs": ("EndpointConfigs", "EndpointConfigName", self.configurations),
        }
        key, name, store = names[operation]
        return Pages(lambda **asked: {key: [{name: each} for each in sorted(store)]})


class Runtime:
    """Answers each row with its first number as its score; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        rows = request["Body"].decode().split("\n")
        scores = [float(row.split(",")[0]) for row in rows]
        found = [{"score": score, "predicted_label": int(score > 0.5)} for score in scores]
        return {"Body": io.BytesIO(json.dumps({"predictions": found}).encode())}


def account(**clients: Any) -> Any:
    """An AWS with these clients; `sagemaker_runtime` is the service sagemaker-runtime."""
    by_name = {name.replace("_", "-"): client for name, client in clients.items()}
    return SimpleNamespace(
        target="local",
        is_local=True,
        name="workshop",
        region="us-east-1",
        account="123456789012",
        settings=load({}),
        client=lambda service: by_name[service],
    )
