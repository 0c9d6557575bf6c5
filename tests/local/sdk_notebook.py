"""What a learner types into a notebook with the SageMaker SDK v3, from training to prediction, as one program.

Not a test: test_sagemaker_sdk.py runs it with an environment of its own, as `sdk_notebook.py PLAN.json SAID.json`.
Nothing of the SDK is patched; an audit hook refuses every connection that leaves this machine, and notes where it
would have led.
"""

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()
ELSEWHERE: list[str] = []
NO_TELEMETRY = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
}


def stay_here(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = str(arguments[1][0])
    elif event == "socket.getaddrinfo":
        host = str(arguments[0])
    else:
        return
    if not (host.startswith("127.") or host in ("localhost", "::1")):
        ELSEWHERE.append(host)
        raise OSError(f"the test lets nothing leave this machine: {host}")


def main(plan: dict[str, Any]) -> dict[str, Any]:
    import boto3
    from sagemaker.core import image_uris
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.resources import Endpoint, EndpointConfig, Model
    from sagemaker.core.shapes import ContainerDefinition, ProductionVariant
    from sagemaker.core.utils.exceptions import FailedStatusError
    from sagemaker.train import ModelTrainer
    from sagemaker.train.configs import Compute, InputData, OutputDataConfig, StoppingCondition

    said: dict[str, Any] = {"import_seconds": round(time.perf_counter() - STARTED, 1)}
    boto_session = boto3.Session()
    image = image_uris.retrieve("linear-learner", boto_session.region_name)
    session = Session(boto_session=boto_session, default_bucket=plan["bucket"], sagemaker_config=NO_TELEMETRY)

    def trainer(hyperparameters: dict[str, Any]) -> Any:
        return ModelTrainer(
            sagemaker_session=session,
            role=plan["role"],
            training_image=image,
            base_job_name="sdk",
            hyperparameters=hyperparameters,
            compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
            stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
            output_data_config=OutputDataConfig(s3_output_path=f"s3://{plan['bucket']}/sdk"),
        )

    def channels() -> list[Any]:
        place = f"s3://{plan['bucket']}/{{}}/"
        return [
            InputData(channel_name=name, data_source=place.format(name), content_type="text/csv")
            for name in ("train", "validation")
        ]

    good = trainer(plan["hyperparameters"])
    good.train(input_data_config=channels(), wait=True, logs=True)
    job = good._latest_training_job
    said |= {"job": job.training_job_name, "status": job.training_job_status}
    artefact = job.model_artifacts.s3_model_artifacts

    bad = trainer(plan["failing"])
    bad.train(input_data_config=channels(), wait=False, logs=False)
    try:
        bad._latest_training_job.wait(poll=1)
    except FailedStatusError as error:
        said["failure"] = str(error)

    Model.create(
        model_name="sdk",
        primary_container=ContainerDefinition(image=image, model_data_url=artefact),
        execution_role_arn=plan["role"],
        session=boto_session,
    )
    variant = ProductionVariant(
        variant_name="AllTraffic", model_name="sdk", initial_instance_count=1, instance_type="ml.m5.large"
    )
    EndpointConfig.create(endpoint_config_name="sdk", production_variants=[variant], session=boto_session)
    endpoint = Endpoint.create(endpoint_name="sdk", endpoint_config_name="sdk", session=boto_session)
    endpoint.wait_for_status("InService", poll=1)
    answer = endpoint.invoke(body=plan["body"], content_type="text/csv", accept="application/json")
    said["answer"] = json.loads(answer.body.read())
    said["listed"] = [each.endpoint_name for each in Endpoint.get_all(session=boto_session)]
    try:
        Endpoint.get(endpoint_name="none", session=boto_session)
    except Exception as error:  # what kind of error it is, is the claim
        said["missing"] = [type(error).__name__, str(error)]
    endpoint.delete()
    endpoint.wait_for_delete(poll=1)
    EndpointConfig.get(endpoint_config_name="sdk", session=boto_session).delete()
    Model.get(model_name="sdk", session=boto_session).delete()
    return said


if __name__ == "__main__":
    sys.addaudithook(stay_here)
    logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
    found = main(json.loads(Path(sys.argv[1]).read_text()))
    seconds = round(time.perf_counter() - STARTED, 1)
    Path(sys.argv[2]).write_text(json.dumps(found | {"elsewhere": ELSEWHERE, "seconds": seconds}))
