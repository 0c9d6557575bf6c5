"""A local AWS with models to host: an image whose container does what the body of an invocation says.

Not a test. What a body may be, one command a line: `echo`, `status CODE TEXT`, `sleep SECONDS`, `die`, `close`, `env
NAME`, `who`, `model` (the text of /opt/ml/model/weights.txt), `headers`, `bytes` (how many came), `once TEXT` (fails
the first time). The container's environment says more: BROKEN=exit ends it at once, BROKEN=ping makes its pings fail,
MODE=lines makes it answer each line's length and how many there were, PARAMETERS is its /execution-parameters.
"""

import contextlib
import io
import json
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from ecs_world import World, furnished, wait_until

SERVER = """
import http.server, json, os, signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *given: os._exit(0))  # the first process of a container ignores it otherwise
MODEL = os.path.join(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"), "model", "weights.txt")
SEEN = set()
WHO = str(os.getpid()) + os.urandom(4).hex()
if os.environ.get("BROKEN") == "exit":
    sys.exit("no model here")
assert sys.argv[1:] == ["serve"], sys.argv
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one packet, or Nagle's algorithm makes it wait
    def log_message(self, *said): pass
    def do_GET(self):
        if self.path == "/execution-parameters" and "PARAMETERS" in os.environ:
            return self.answer(200, os.environ["PARAMETERS"].encode())
        good = self.path == "/ping" and os.environ.get("BROKEN") != "ping"
        self.answer(200 if good else 404, b"")
    def answer(self, code, body, kind="text/plain"):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        custom = self.headers.get("X-Amzn-SageMaker-Custom-Attributes")
        if custom: self.send_header("X-Amzn-SageMaker-Custom-Attributes", "seen " + custom)
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        print("invoked", len(body), flush=True)
        word, _, rest = body[:200].decode("latin-1").partition(" ")
        if word == "once" and rest not in SEEN:
            SEEN.add(rest)
            return self.answer(500, b"not yet")
        if os.environ.get("MODE") == "lines" and word != "status":
            lines = body.decode("latin-1").split("\\n")
            time.sleep(float(os.environ.get("SECONDS", 0)))
            return self.answer(200, "\\n".join(f"{len(each)}:{len(lines)}" for each in lines).encode())
        if word == "status":
            code, _, text = rest.partition(" ")
            return self.answer(int(code), text.encode("latin-1"))
        if word == "die": os._exit(9)
        if word == "close":
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        if word == "sleep": time.sleep(float(rest))
        if word == "env": return self.answer(200, os.environ.get(rest, "").encode())
        if word == "who": return self.answer(200, WHO.encode())
        if word == "model": return self.answer(200, open(MODEL, "rb").read())
        if word == "bytes": return self.answer(200, str(len(body)).encode())
        if word == "headers":
            found = {name.lower(): value for name, value in self.headers.items()}
            return self.answer(200, json.dumps(found).encode(), self.headers.get("Accept") or "application/json")
        self.answer(200, body, self.headers.get("Content-Type") or "text/plain")
host = os.environ.get("WORKSHOP_BIND_ADDRESS") or "0.0.0.0"
http.server.ThreadingHTTPServer.request_queue_size = 128
server = http.server.ThreadingHTTPServer((host, int(os.environ.get("SAGEMAKER_BIND_TO_PORT") or 8080)), Handler)
print("listening on", host, flush=True)
server.serve_forever()
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
RIGHTS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
BUCKET = "models"


class HostingWorld(World):
    """A world with a role, a bucket, an image that serves."""

    def furnish(self) -> None:
        self.sagemaker, self.runtime = self.client("sagemaker"), self.client("sagemaker-runtime")
        self.s3 = self.client("s3")
        self.image = self.push("server", Entrypoint=["python", "-u", "-c", SERVER])
        self.s3.create_bucket(Bucket=BUCKET)
        iam = self.client("iam")
        made = iam.create_role(RoleName="hosting", AssumeRolePolicyDocument=json.dumps(TRUST))
        self.serving_role = made["Role"]["Arn"]
        iam.put_role_policy(RoleName="hosting", PolicyName="all", PolicyDocument=json.dumps(RIGHTS))

    def artefact(self, weights: str, name: str = "") -> str:
        """Put a model.tar.gz with these weights; its address."""
        key = f"{name or uuid.uuid4().hex}/model.tar.gz"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=packed({"weights.txt": weights}))
        return f"s3://{BUCKET}/{key}"

    def model(self, weights: str = "one", **environment: str) -> str:
        """A new model; its name."""
        name = f"model-{uuid.uuid4().hex[:8]}"
        container = {"Image": self.image, "ModelDataUrl": self.artefact(weights), "Environment": environment}
        self.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=self.serving_role, PrimaryContainer=container
        )
        return name

    def config(self, *variants: dict[str, Any]) -> str:
        """A new configuration of these variants, each of what differs from one instance of a model of its own."""
        name = f"config-{uuid.uuid4().hex[:8]}"
        production = [
            {
                "VariantName": "AllTraffic",
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
                **({} if "ModelName" in each else {"ModelName": self.model()}),
                **each,
            }
            for each in variants or ({},)
        ]
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=production)
        return name

    def endpoint(self, *variants: dict[str, Any], wait: bool = True, **more: Any) -> str:
        """A new endpoint of these variants, in service."""
        name = f"endpoint-{uuid.uuid4().hex[:8]}"
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=self.config(*variants), **more)
        if wait:
            self.settled(name)
        return name

    def described(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
        return found

    def settled(self, name: str, status: str = "InService") -> dict[str, Any]:
        """The endpoint once no change of it is under way, which must have led to this."""

        def ended() -> dict[str, Any] | None:
            found = self.described(name)
            return None if found["EndpointStatus"].endswith("ing") else found

        found = dict(wait_until(ended))
        assert found["EndpointStatus"] == status, found
        return found

    def invoke(self, name: str, body: str | bytes = "who", **more: Any) -> str:
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=body, **more)
        text: str = answer["Body"].read().decode()
        return text

    def is_kept(self, *texts: str) -> bool:
        """Whether the last snapshot of SageMaker's records has these."""
        with contextlib.suppress(FileNotFoundError):  # one snapshot takes another one's place
            found = (self.folder / "localaws" / "snapshot" / "sagemaker.json").read_text()
            return all(each in found for each in texts)
        return False

    def pids(self) -> set[int]:
        """Processes of containers of this world that serve."""
        found = set()
        for process in psutil.process_iter():
            try:
                line = process.cmdline()
                mine = str(self.folder) in str(process.environ().get("TMPDIR"))
            except psutil.Error:
                continue
            if mine and line[-1:] == ["serve"] and "supervise.py" not in " ".join(line[:5]):
                found.add(process.pid)
        return found

    def lines(self, endpoint: str, name: str = "") -> list[str]:  # type: ignore[override]
        """All lines of an endpoint's log group."""
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        found = self.logs.filter_log_events(logGroupName=group)
        return [each["message"] for each in found["events"]]


def packed(files: dict[str, str]) -> bytes:
    """A tar.gz of files by name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


@contextlib.contextmanager
def hosting(world: Path | HostingWorld, **given: Any) -> Iterator[HostingWorld]:
    """A furnished world that is gone afterwards, in this folder; given: see `World`."""
    made = world if isinstance(world, HostingWorld) else HostingWorld(world, **given)
    with furnished(made) as ready:
        yield ready
