"""Requests that come to the server's own port for a load balancer's name: passed to its listener.

Try it:  curl -H 'Host: NAME.alb.localhost' http://127.0.0.1:4566/
For clients that can reach one port alone. ministack finds the load balancer by the Host header; what happens then
is the listener's, as if it had been asked. Bodies are held in memory here. Knows no rules.
"""

import asyncio
import http.client
from collections.abc import Mapping
from typing import Any

from localaws.loadbalancer import records

TIMEOUT_SECONDS = 4000  # AWS's longest idle timeout; the listener's own ends a request before
LEFT_OUT = {"content-length", "transfer-encoding", "connection"}
Answer = tuple[int, dict[str, Any], bytes]


def install() -> None:
    """Take the place of ministack's own way to targets."""
    from ministack.services import alb

    alb.dispatch_request = _dispatch
    alb.find_lb_for_host = _find


def _find(host: str) -> Any:
    name = host.partition(":")[0].lower()
    for balancer in records.store("loadbalancer").values():
        if name in (balancer["DNSName"], f"{balancer['LoadBalancerName'].lower()}.alb.localhost"):
            return balancer
    return None


async def _dispatch(
    balancer: Mapping[str, Any],
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    query: Mapping[str, Any],
    port: int = 80,
    client_ip: str | None = None,
    raw_query_string: str | None = None,
    raw_path: str | None = None,
) -> Answer:
    """The listener with the port in the Host header, else the one with the lowest."""
    listeners = sorted(records.listeners_of(balancer["LoadBalancerArn"]), key=lambda each: int(each["Port"]))
    if not listeners:
        return 503, {"Content-Type": "text/plain"}, b"the load balancer has no listener\n"
    listener = next((each for each in listeners if each["Port"] == port), listeners[0])
    target = (raw_path or path) + (f"?{raw_query_string}" if raw_query_string else "")
    kept = {name: value for name, value in headers.items() if name.lower() not in LEFT_OUT}
    return await asyncio.to_thread(_ask, balancer["DNSName"], listener["Port"], method, target, kept, body)


def _ask(
    address: str, port: int, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> Answer:
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, target, body=body or None, headers=dict(headers))
        answer = connection.getresponse()
        given: dict[str, Any] = {}
        for name, value in answer.getheaders():
            if name.lower() not in LEFT_OUT:
                given.setdefault(name, []).append(value)
        flat = {name: values[0] if len(values) == 1 else values for name, values in given.items()}
        return answer.status, flat, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return 502, {"Content-Type": "text/plain"}, f"the load balancer can't be reached: {error}\n".encode()
    finally:
        connection.close()
