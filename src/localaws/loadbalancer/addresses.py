"""A loopback address for each load balancer, which is its DNS name.

Try it:  aws elbv2 describe-load-balancers --query 'LoadBalancers[].DNSName'
Of 127.16.0.0 to 127.47.255.255: the process engine's tasks have 127.64.0.0 and above. The address follows from
the ARN and stays; where the system has only 127.0.0.1 (macOS), load balancers share that and its ports.
"""

import errno
import hashlib
import itertools
import socket
from collections.abc import Collection

FIRST, COUNT = 16, 32  # second numbers of the addresses
ONLY = "127.0.0.1"


def address_for(arn: str, taken: Collection[str]) -> str:
    """The load balancer's address; taken: those that others have."""
    for attempt in itertools.count():
        digest = hashlib.sha256(f"{arn} {attempt}".encode()).digest()
        address = f"127.{FIRST + digest[0] % COUNT}.{digest[1]}.{1 + digest[2] % 254}"
        if not _can_be_bound(address):
            return ONLY
        if address not in taken:
            return address
    raise AssertionError("counting does not end")


def _can_be_bound(address: str) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
    return True
