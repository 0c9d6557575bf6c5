"""Requests a second through a load balancer of the local AWS, beside the same server asked directly.

Try it:  python -m benchmarks load_balancer          (needs wrk: apt install wrk)
wrk asks a server that does nothing, then the load balancer in front of two of them, with kept connections and
in one run. All of it shares this machine's processors, so the ratio says what a laptop gets, not what the load
balancer could do by itself; its own processor time a request is the last row.
"""

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
import psutil

from localaws import daemon

SECONDS = 5
CONNECTIONS = (16, 64)
WANTED = 3000  # requests a second
PATIENCE_SECONDS = 30
SERVER = """
import asyncio, sys, httptools, uvloop
class Answering(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.parser = transport, httptools.HttpRequestParser(self)
    def data_received(self, data):
        self.parser.feed_data(data)
    def on_message_complete(self):
        self.transport.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
async def main():
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
uvloop.run(main())
"""


def measure() -> list[dict[str, Any]]:
    """Rows of name, value, unit, against and ratio: through the load balancer over directly, 1 would be no cost."""
    if not shutil.which("wrk"):
        raise SystemExit("this benchmark asks with wrk\n  fix: apt install wrk")
    ports = [_free_port(), _free_port()]
    servers = [subprocess.Popen([sys.executable, "-c", SERVER, str(port)]) for port in ports]
    try:
        with tempfile.TemporaryDirectory() as folder:
            running = daemon.start(Path(folder), _free_port(), engine="process")
            try:
                url = _balancer(running.endpoint, ports)
                return _rows(f"http://127.0.0.1:{ports[0]}/", url, running.pid)
            finally:
                daemon.stop(Path(folder))
    finally:
        for server in servers:
            server.terminate()
            server.wait()


def _rows(direct: str, through: str, server_pid: int) -> list[dict[str, Any]]:
    rows, requests = [], 0
    [proxy] = [
        each
        for each in psutil.Process(server_pid).children()
        if "localaws.loadbalancer.proxy" in each.cmdline()
    ]
    began = _processor_seconds(proxy)
    for connections in CONNECTIONS:
        straight, _ = _wrk(direct, connections)
        rate, count = _wrk(through, connections)
        requests += count
        against = f"directly {straight:.0f}, wanted {WANTED}"
        rows.append(_row(f"requests at {connections} connections", rate, "1/s", against, rate / straight))
    microseconds = (_processor_seconds(proxy) - began) / requests * 1e6
    against = f"{1e6 / microseconds:.0f} requests a second of one processor"
    rows.append(_row("processor time of a request in the load balancer", microseconds, "us", against, 0))
    return rows


def _row(name: str, value: float, unit: str, against: str, ratio: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 1),
        "unit": unit,
        "against": against,
        "ratio": round(ratio, 2),
    }


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _wrk(url: str, connections: int) -> tuple[float, int]:
    """Requests a second, and how many there were; an answer that is no 2xx or 3xx is an error."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"not all requests were answered:\n{said}")
    rate, count = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"(\d+) requests in", said)
    assert rate and count
    return float(rate.group(1)), int(count.group(1))


def _balancer(endpoint: str, ports: list[int]) -> str:
    """A load balancer before the servers, in service; its address."""
    session = boto3.Session("local", "local", region_name="us-east-1")
    elb, ec2 = (session.client(name, endpoint_url=endpoint) for name in ("elbv2", "ec2"))
    subnets = ec2.describe_subnets()["Subnets"][:2]
    [balancer] = elb.create_load_balancer(Name="bench", Subnets=[each["SubnetId"] for each in subnets])[
        "LoadBalancers"
    ]
    [group] = elb.create_target_group(
        Name="bench", Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"], TargetType="ip"
    )["TargetGroups"]
    arn, port = group["TargetGroupArn"], _free_port()
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "127.0.0.1", "Port": each} for each in ports])
    forward = {"Type": "forward", "TargetGroupArn": arn}
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=port, DefaultActions=[forward]
    )
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        if all(each["TargetHealth"]["State"] == "healthy" for each in found):
            return f"http://{balancer['DNSName']}:{port}/"
        time.sleep(0.1)
    raise RuntimeError(f"the targets are not in service: {found}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
