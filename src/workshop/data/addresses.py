"""Host names to addresses, within a time limit, and where an address leads.

Try it:  python -c "from workshop.data import addresses; print(addresses.lookup('example.org', 443, 3))"
Knows nothing of HTTP. The system's look-up has no time limit of its own, so it runs in a thread that may be
left behind.
"""

from __future__ import annotations

import ipaddress
import socket
import threading

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# The instance metadata service of EC2 over IPv6; 169.254.0.0/16 holds the IPv4 one and that of ECS tasks.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
_AWS_METADATA_IPV6 = ipaddress.ip_network("fd00:ec2::/32")
# IPv4 written inside IPv6 (RFC 6052): judged by the address inside.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class LookupFailed(Exception):
    """The name has no address, or the answer took too long."""


def lookup(host: str, port: int, timeout_seconds: float) -> list[Address]:
    """The addresses of a host, in the system's order; LookupFailed says why there are none."""
    answer: list[Address] = []
    problem: list[str] = []

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            problem.append(error.strerror or str(error))
            return
        except UnicodeError:
            problem.append("not a host name")
            return
        answer.extend(ipaddress.ip_address(str(row[4][0]).split("%")[0]) for row in rows)

    thread = threading.Thread(target=ask, name=f"lookup {host}", daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    if thread.is_alive():
        raise LookupFailed(f"no answer from the name server within {timeout_seconds:g} s")
    if problem or not answer:
        raise LookupFailed(problem[0] if problem else "it has no address")
    return list(dict.fromkeys(answer))


def refusal(address: Address, allow_private: bool) -> str:
    """Why a picture must not be fetched from this address; '' if it may.

    A task on AWS reaches addresses that a learner can't, above all the ones that hand out the task's
    credentials: whoever chooses the URL must not read those through us.
    """
    inner = _inside(address)
    if inner.is_link_local or inner in _AWS_METADATA_IPV6:
        return "a link-local address: there AWS hands out credentials and metadata"
    if inner.is_multicast or inner.is_unspecified:
        return "not the address of one machine"
    if not inner.is_global:
        return "" if allow_private else "a loopback or private address, which only the local target may read"
    return ""


def _inside(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
