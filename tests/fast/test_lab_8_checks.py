"""Lab 8's checks: what a learner is told who has done the lab, and who has not."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from fake_sagemaker import SageMaker, account, job

from workshop.aws import session, stacks
from workshop.aws.failures import as_aws_error
from workshop.checkpoints import Failed
from workshop.checks import lab_08

ENDPOINT = "workshop-satisfaction"
MORE_THAN_A_PAGE = lab_08.MOST_JOBS + 5


class Often(SageMaker):
    """Somebody did the lab again and again: jobs 0, 1, 2 …, listed as SageMaker lists them."""

    def __init__(self, answers: str) -> None:
        super().__init__(endpoints={ENDPOINT: ["InService"]})
        self.answers = answers

    def list_training_jobs(self, MaxResults: int, SortOrder: str = "Ascending", **asked: Any) -> Any:
        numbers = list(range(MORE_THAN_A_PAGE))
        ordered = numbers[::-1] if SortOrder == "Descending" else numbers
        return {"TrainingJobSummaries": [{"TrainingJobName": str(each)} for each in ordered[:MaxResults]]}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:
        left = {"S3ModelArtifacts": f"s3://models/{TrainingJobName}/model.tar.gz"}
        return job("Completed", BillableTimeInSeconds=1) | {"ModelArtifacts": left}

    def describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:
        return {"ProductionVariants": [{"ModelName": "m"}]}

    def describe_model(self, ModelName: str) -> dict[str, Any]:
        return {"PrimaryContainer": {"ModelDataUrl": f"s3://models/{self.answers}/model.tar.gz"}}


def checked(monkeypatch: pytest.MonkeyPatch, answers: str) -> str:
    aws = account(sagemaker=Often(answers))
    monkeypatch.setattr(session, "current", lambda: aws)
    monkeypatch.setattr(stacks, "output", lambda name: ENDPOINT)
    return lab_08.model_was_trained()


def test_the_latest_training_job_is_found_however_many_came_before_it(monkeypatch) -> None:
    assert "its model is the one that answers" in checked(monkeypatch, str(MORE_THAN_A_PAGE - 1))


def test_a_model_that_no_job_has_left_is_told(monkeypatch) -> None:
    with pytest.raises(Failed, match="no completed training job has left s3://models/elsewhere"):
        checked(monkeypatch, "elsewhere")


@pytest.mark.parametrize(
    ("up", "told"),
    [([ENDPOINT], f"one endpoint is up: {ENDPOINT}"), ([], "no endpoint is up: nothing is paid for")],
)
def test_what_is_up_is_what_is_there(monkeypatch, up: list[str], told: str) -> None:
    aws = account(sagemaker=SageMaker(endpoints={name: ["InService"] for name in up}))
    monkeypatch.setattr(session, "current", lambda: aws)
    monkeypatch.setattr(stacks, "output", lambda name: ENDPOINT)
    assert lab_08.one_endpoint_is_up() == told


def test_an_endpoint_that_was_deleted_is_told_with_the_way_to_a_new_one() -> None:
    said = {"Code": "ValidationError", "Message": f"Endpoint {ENDPOINT} of account 123456789012 not found."}
    error = ClientError({"Error": said}, "InvokeEndpoint")  # type: ignore[arg-type]
    assert as_aws_error(error, "ask").remedy == "workshop run 8"
