"""A model's container that answers as Linear Learner does, and fails when a survey says so.

Not a test. The label is the survey's first number: 0 or 1. Others are orders: 500 is that status, 700 an answer that
is no prediction, 800 ends the process in the middle.
"""

import io
import json
import tarfile
from pathlib import Path

from ecs_world import wait_until

from workshop.aws import images, stacks
from workshop.aws.session import Aws

SERVER = """
import http.server, json, os
assert __import__("sys").argv[1:] == ["serve"]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one packet, or Nagle's algorithm makes it wait
    def log_message(self, *said): pass
    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self): self.answer(200, b"")
    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        first = [int(float(line.split(",")[0])) for line in text.splitlines()]
        if first[0] == 500: return self.answer(500, b"a secret of the model")
        if first[0] == 700: return self.answer(200, b'{"predictions": "none"}')
        if first[0] == 800: os._exit(9)
        found = [{"score": 0.25 + label / 2, "predicted_label": label} for label in first]
        self.answer(200, json.dumps({"predictions": found}).encode())
place = (os.environ.get("WORKSHOP_BIND_ADDRESS") or "0.0.0.0", int(os.environ.get("SAGEMAKER_BIND_TO_PORT") or 8080))
http.server.ThreadingHTTPServer(place, Handler).serve_forever()
"""


def write_dockerfile(folder: Path) -> None:
    """Describe an image with it."""
    entry_point = json.dumps(["python", "-u", "-c", SERVER])
    lines = (
        "FROM python:3.11-slim-bookworm",
        "LABEL workshop.environment=workshop",
        f"ENTRYPOINT {entry_point}",
    )
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")


def deploy_endpoint(aws: Aws) -> str:
    """The endpoint of the stack `satisfaction`, with a model of the image for MXNet and the stack's role; its name."""
    write_dockerfile(aws.settings.root / "docker" / "mxnet")
    images.build("mxnet", aws=aws)
    images.push("mxnet", aws=aws)
    found, sagemaker = stacks.outputs(None, aws), aws.client("sagemaker")
    name, key = found["EndpointName"], "satisfaction/model.tar.gz"
    aws.client("s3").put_object(Bucket=found["ModelBucket"], Key=key, Body=_empty_tar())
    container = {
        "Image": found["MxnetRepositoryUri"] + ":latest",
        "ModelDataUrl": f"s3://{found['ModelBucket']}/{key}",
    }
    sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=found["SageMakerRoleArn"], PrimaryContainer=container
    )
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[{**variant, "InstanceType": "ml.t2.medium"}]
    )
    serve(aws, name)
    return name


def serve(aws: Aws, name: str) -> None:
    """Make the endpoint of the configuration of that name."""
    sagemaker = aws.client("sagemaker")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait_until(lambda: not sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"].endswith("ing"))
    described = sagemaker.describe_endpoint(EndpointName=name)
    assert described["EndpointStatus"] == "InService", described


def _empty_tar() -> bytes:
    buffer = io.BytesIO()
    tarfile.open(fileobj=buffer, mode="w:gz").close()
    return buffer.getvalue()
