"""Endpoints over the end of the server: in service again, with what they ran, and nothing of the old one left."""

import signal
from pathlib import Path

import pytest
from ecs_world import wait_until
from hosting_world import hosting


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_endpoints_are_there_again_after_the_server_ended_and_nothing_of_the_old_one_is_left(
    tmp_path: Path, number: int
) -> None:
    with hosting(tmp_path) as aws:
        config = aws.config({"ModelName": aws.model("kept"), "InitialInstanceCount": 2})
        for name in ("kept", "changing"):
            aws.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        aws.settled("kept")
        aws.settled("changing")
        slow = aws.config({"ModelName": aws.model(BROKEN="ping")})
        aws.sagemaker.update_endpoint(EndpointName="changing", EndpointConfigName=slow)
        broken = aws.endpoint({"ModelName": aws.model(BROKEN="exit")}, wait=False)
        aws.settled(broken, "Failed")
        aws.sagemaker.delete_endpoint_config(EndpointConfigName=config)
        wait_until(lambda: len(aws.pids()) == 5)
        before = aws.pids()
        wait_until(lambda: aws.is_kept(broken, slow))
        aws.stop(number)
        wait_until(lambda: not aws.pids())
        aws.start()
        assert aws.described("kept")["EndpointStatus"] in ("SystemUpdating", "InService")
        found = aws.settled("kept")
        assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 2
        assert aws.invoke("kept", "model") == "kept"
        changing = aws.settled("changing")
        assert changing["EndpointConfigName"] == config
        assert changing["FailureReason"].startswith("InternalServerError")
        assert aws.invoke("changing", "model") == "kept"
        assert aws.described(broken)["EndpointStatus"] == "Failed"
        assert len(aws.pids()) == 4
        assert not before & aws.pids()
