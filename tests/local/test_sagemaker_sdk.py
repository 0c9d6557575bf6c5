"""The SageMaker SDK v3, unmodified, drives the local SageMaker: a training with the built-in Linear Learner and its
log, a failing one, a model, an endpoint and its end; and nothing that it does asks another machine."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clients_world import BUCKET, clients_world

PROGRAM = Path(__file__).with_name("sdk_notebook.py")


@dataclass
class Notebook:
    said: dict[str, Any]
    printed: str


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    folder = tmp_path_factory.mktemp("sdk")
    with clients_world(folder) as aws:
        for name in ("train", "validation"):
            aws.s3.put_object(Bucket=BUCKET, Key=f"{name}/rows.csv", Body=rows(500))
        given = {"predictor_type": "binary_classifier", "mini_batch_size": 50, "epochs": 3}
        plan = {
            "bucket": BUCKET,
            "role": aws.role,
            "hyperparameters": {**given, "feature_dim": 3},
            "failing": {**given, "feature_dim": 9},
            "body": "2,0.1,0.2\n-2,0.1,0.2\n",
        }
        (folder / "plan.json").write_text(json.dumps(plan))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws.port}",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
            "SAGEMAKER_VALIDATE_ROLE": "false",
        }
        ended = subprocess.run(
            [sys.executable, PROGRAM, folder / "plan.json", folder / "said.json"],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        yield Notebook(json.loads((folder / "said.json").read_text()), ended.stdout)


def rows(count: int) -> str:
    """Three features, of which the first says the label."""
    chance = random.Random(1)
    features = [[chance.uniform(-1, 1) for _ in range(3)] for _ in range(count)]
    return "".join(f"{int(row[0] > 0)},{','.join(map(str, row))}\n" for row in features)


def test_training_is_waited_for_and_its_log_shown(notebook: Notebook) -> None:
    assert notebook.said["status"] == "Completed"
    assert notebook.said["job"].startswith("sdk-")
    assert "#quality_metric: host=algo-1" in notebook.printed and "Final Resource Status" in notebook.printed


def test_failing_training_raises_its_reason(notebook: Notebook) -> None:
    assert "Final Resource State: Failed" in notebook.said["failure"]
    assert "Failure Reason: ClientError: " in notebook.said["failure"]


def test_endpoint_answers_with_what_was_learned(notebook: Notebook) -> None:
    first, second = notebook.said["answer"]["predictions"]
    assert (first["predicted_label"], second["predicted_label"]) == (1, 0)
    assert first["score"] > 0.5 > second["score"]
    assert notebook.said["listed"] == ["sdk"]


def test_missing_endpoint_is_a_client_error(notebook: Notebook) -> None:
    kind, text = notebook.said["missing"]
    assert kind == "ClientError" and 'Could not find endpoint "arn:aws:sagemaker:us-east-1:' in text


def test_nothing_asks_another_machine(notebook: Notebook) -> None:
    assert notebook.said["elsewhere"] == []
