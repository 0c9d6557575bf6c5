"""What a container learns of its task, from a metadata address on loopback."""

import json
from http.server import BaseHTTPRequestHandler
from typing import Any

import loopback

from workshop import task_metadata

ARN = "arn:aws:ecs:eu-west-3:210987654321:task/cluster/0123abcd"


def answer(documents: dict[str, Any]) -> Any:
    def send(handler: BaseHTTPRequestHandler) -> None:
        content = json.dumps(documents.get(handler.path, {})).encode()
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content)

    return send


def test_task_knows_its_name_account_and_address():
    documents = {
        "/v4/x/task": {"TaskARN": ARN},
        "/v4/x": {"Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": ["10.42.0.7"]}]},
    }
    with loopback.serve(answer(documents)) as site:
        environ = {task_metadata.VARIABLE: f"{site.url}/v4/x"}
        assert task_metadata.account(environ) == "210987654321"
        assert task_metadata.label(environ) == "task 0123abcd"
        assert task_metadata.address(environ) == "10.42.0.7"


def test_address_is_waited_for_while_the_agent_does_not_know_it_yet():
    documents: dict[str, Any] = {}
    with loopback.serve(answer(documents)) as site:

        def pass_time(seconds: float) -> None:
            documents["/v4/x"] = {"Networks": [{"IPv4Addresses": ["10.42.0.8"]}]}

        environ = {task_metadata.VARIABLE: f"{site.url}/v4/x"}
        assert task_metadata.address(environ, sleep=pass_time) == "10.42.0.8"


def test_outside_a_task_nothing_is_asked():
    assert (task_metadata.account({}), task_metadata.address({})) == ("", "")
    assert task_metadata.label({}).startswith("process ")
