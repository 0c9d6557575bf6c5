"""The one network of the Docker engine, and the way from its containers to the server.

Try it:  docker network inspect localaws
The server listens on this machine's loopback address alone, which a container can't reach. So the network's
bridge gets the address 169.254.170.2, at which the ECS agent answers on AWS and from which the AWS SDKs accept
credentials over plain HTTP, and a forwarder listens on that address only, for callers from the network only.
Nothing listens on 0.0.0.0. All servers of this machine share the network, each with its own port.
Docker may miscount who is in a network after many containers started at once (moby issue 42119, Docker 20.10 at
least); then it keeps this one, which harms nobody, until Docker itself is started anew.
Where a firewall closes unknown interfaces, open this one: ufw allow in on localaws0.
Knows nothing of containers.
"""

import contextlib
import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit

import docker.errors
import requests
from docker.types import IPAMConfig, IPAMPool

from localaws.engine.forward import Forwarder
from localaws.errors import NoDocker

NETWORK = "localaws"
INTERFACE = "localaws0"
SUBNET = ipaddress.IPv4Network("169.254.170.0/24")
GATEWAY = "169.254.170.2"
# Docker gives addresses from the first half; the second half is for tasks that are told theirs beforehand.
DOCKERS_HALF, OUR_HALF = SUBNET.subnets()
OWN_ADDRESSES = tuple(OUR_HALF.hosts())


class Network:
    """Makes the network when it is missing, forwards to the server, and removes the network when it is unused."""

    def __init__(self, client: Any, endpoint: str) -> None:
        self._client = client
        self._endpoint = urlsplit(endpoint)
        self._forwarder = Forwarder(GATEWAY, SUBNET)

    @property
    def endpoint(self) -> str:
        """The server's endpoint as containers reach it."""
        return f"http://{GATEWAY}:{self._endpoint.port}"

    def open(self) -> None:
        """Make the network and forward to the server. Errors: NoDocker if its bridge is not on this machine."""
        self.ensure()
        with socket.socket() as probe:
            try:
                probe.bind((GATEWAY, 0))
            except OSError:
                self._remove()
                raise NoDocker(
                    "Docker runs in a virtual machine, rootless or on another machine: its containers can't "
                    "reach a server on this machine's loopback address",
                    "WORKSHOP_ENGINE=process workshop up",
                ) from None
        if self._endpoint.port:
            self._forwarder.open(self._endpoint.port, str(self._endpoint.hostname), self._endpoint.port)

    def ensure(self) -> None:
        """Make the network unless it is there: another server that stopped may have removed it."""
        with contextlib.suppress(docker.errors.NotFound):
            self._client.networks.get(NETWORK)
            return
        try:
            self._client.networks.create(
                NETWORK,
                driver="bridge",
                ipam=IPAMConfig(
                    pool_configs=[IPAMPool(subnet=str(SUBNET), iprange=str(DOCKERS_HALF), gateway=GATEWAY)]
                ),
                options={
                    "com.docker.network.bridge.name": INTERFACE,
                    # Also for what is published without an address: never on all of them.
                    "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
                },
                labels={"localaws": "network"},
            )
        except docker.errors.APIError as error:
            # Two servers may start at once; the other one's network is as good.
            if not self._client.networks.list(names=[f"^{NETWORK}$"]):
                raise NoDocker(
                    f"Docker can't make the network {NETWORK} with the addresses {SUBNET}: {error.explanation}",
                    "docker network ls, and remove the one that has these addresses",
                ) from error

    def lead(self, port: int, address: str, target_port: int) -> None:
        """Have other containers reach GATEWAY:port at a container's own address and port."""
        self._forwarder.open(port, address, target_port)

    def leave(self, port: int) -> None:
        """End what `lead` began."""
        self._forwarder.close(port)

    def close(self) -> None:
        """Stop forwarding and remove the network, unless another server's containers are in it."""
        if self._endpoint.port:
            self._forwarder.close(self._endpoint.port)
        self._remove()

    def _remove(self) -> None:
        with contextlib.suppress(docker.errors.APIError, requests.RequestException):
            self._client.networks.get(NETWORK).remove()
