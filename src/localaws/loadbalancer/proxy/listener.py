"""A listener: its port, its rules, and the connections that came to it.

Try it:  python -m pytest tests/local/test_loadbalancer_proxy.py
Knows what it was told last; connections that are open see a change with their next request.
"""

import asyncio
import socket
import time
from typing import Any

from localaws.loadbalancer.proxy.client import Client
from localaws.loadbalancer.proxy.counts import Count, Counts
from localaws.loadbalancer.proxy.groups import Group
from localaws.loadbalancer.proxy.heads import Policy
from localaws.loadbalancer.proxy.routing import Rules


class Listener:
    """One address and port. The socket is the control plane's, which listens on while this process is renewed."""

    def __init__(self, listening: socket.socket, groups: dict[str, Group], counts: Counts) -> None:
        self.groups = groups
        self.clients: set[Client] = set()
        self._socket = listening
        self._counts = counts
        self._server: asyncio.Server | None = None

    def update(self, given: dict[str, Any]) -> None:
        """Take over what the control plane says now."""
        self.balancer = str(given["balancer"])
        self.rules = Rules(given["rules"])
        self.policy = Policy(**given["policy"])
        self.idle_seconds = float(given["idle_seconds"])
        self.keep_alive_seconds = float(given["keep_alive_seconds"])
        only = self._only_target_group(given["rules"])
        self.only_group = self.groups.get(only) if only else None

    @staticmethod
    def _only_target_group(rules: list[dict[str, Any]]) -> str:
        """The one group that all requests go to, if that is all that the rules say."""
        if len(rules) > 1 or rules[0]["Actions"][-1]["Type"] != "forward":
            return ""
        groups = rules[0]["Actions"][-1]["ForwardConfig"]["TargetGroups"]
        return groups[0]["TargetGroupArn"] if len(groups) == 1 else ""

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Client(self), sock=self._socket, backlog=1024)

    def close(self) -> None:
        """Accept nothing more, and end what is open."""
        if self._server:
            self._server.close()
        for client in list(self.clients):
            client.abort()

    def look(self) -> None:
        """End what has been idle for too long."""
        now = time.monotonic()
        for client in list(self.clients):
            client.time_out(now)

    def count(self) -> Count:
        return self._counts.balancer(self.balancer)

    def group_count(self, group: Group) -> Count:
        return self._counts.group(self.balancer, group.arn)
