"""The process that carries requests, seen from here: started when there is a listener, told of every change,
started anew if it dies, ended with us.

Try it:  aws elbv2 create-listener …; ps -f | grep loadbalancer
Listening sockets are opened and held here and handed over: a port that can't be opened is known at once, and
while the process is renewed clients wait instead of being refused. The process ends when its end of the control
socket closes, so also when this process is killed. Knows no fields of records: `configuration` describes.
"""

import json
import logging
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from localaws.loadbalancer import configuration, records

logger = logging.getLogger("localaws.loadbalancer")
MODULE = "localaws.loadbalancer.proxy"
BACKLOG = 1024
MOST_SOCKETS = 32  # handed over at once
CLOSED_PORT_SECONDS = 3.0  # a port that was just closed is free only when the other process has closed it too
RETRY_SECONDS = 0.05
END_SECONDS = 3.0
AGAIN_SECONDS = 0.5  # between two starts
Document = dict[str, Any]


class DataPath:
    """Hold the ports, run the process.

    on_health(group ARN, address, port, state, reason, description); on_counts(minute, counts). Both are called
    on a thread. next_event: after how many seconds something is due without a change, or None.
    """

    def __init__(
        self,
        on_health: Callable[..., None],
        on_counts: Callable[[float, Document], None],
        next_event: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._on_health, self._on_counts, self._next_event = on_health, on_counts, next_event
        self._ports: dict[str, socket.socket] = {}
        self._recently_closed: dict[tuple[str, int], float] = {}
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._handed_over: set[str] = set()
        self._sent: Document | None = None
        self._thread = threading.Thread(target=self._run, name="loadbalancer", daemon=True)

    @property
    def pid(self) -> int | None:
        """The process's number while it runs."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self) -> None:
        """Once records are restored: open what was open, and carry requests."""
        for key, described in configuration.described()["listeners"].items():
            address, port = described["policy"]["address"], described["policy"]["port"]
            try:
                self.open(key.partition("|")[0], address, port)
            except OSError as error:
                logger.error("a listener can't listen on %s:%s any more: %s", address, port, error.strerror)
        self._thread.start()

    def open(self, listener_arn: str, address: str, port: int) -> None:
        """Listen for a listener; clients wait until the process has taken over.

        Errors: OSError.
        """
        if self._adopt(configuration.key_of(listener_arn, port), address, port):
            return
        until = time.monotonic() + CLOSED_PORT_SECONDS
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            while True:
                try:
                    listening.bind((address, port))
                    listening.listen(BACKLOG)
                    break
                except PermissionError:
                    raise
                except OSError:
                    if time.monotonic() > until or not self._closing(address, port):
                        raise
                    time.sleep(RETRY_SECONDS)
        except OSError:
            listening.close()
            raise
        with self._lock:
            self._ports[configuration.key_of(listener_arn, port)] = listening
            self._recently_closed.pop((address, port), None)

    def _adopt(self, key: str, address: str, port: int) -> bool:
        """Take over the port of a listener that is gone, if nobody has closed it yet."""
        with records.changing, self._lock:
            used = configuration.described()["listeners"]
            for held, listening in self._ports.items():
                if held not in used and listening.getsockname() == (address, port):
                    self._ports[key] = self._ports.pop(held)
                    return True
        return False

    def _closing(self, address: str, port: int) -> bool:
        """Whether it is we who had this port until a moment ago."""
        self._wake.set()
        return time.monotonic() - self._recently_closed.get((address, port), -1e9) < CLOSED_PORT_SECONDS

    def changed(self) -> None:
        """Something may be told anew; from any thread."""
        self._wake.set()

    def take(self, minute: float) -> None:
        """Ask for what was counted; it comes by on_counts."""
        with self._lock:
            self._send({"take": minute})

    def close(self) -> None:
        """End the process, close the ports."""
        self._closed.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(2 * END_SECONDS)
        self._end_process()
        with self._lock:
            for listening in self._ports.values():
                listening.close()
            self._ports.clear()

    # ---- the thread that keeps the process up to date ----------------------------------------------------------

    def _run(self) -> None:
        while not self._closed.is_set():
            self._wake.clear()
            due = self._next_event()
            try:
                self._tell()
            except Exception:
                logger.exception("telling the load balancers' process")
                self._closed.wait(AGAIN_SECONDS)
            self._wake.wait(due)

    def _tell(self) -> None:
        # Whoever opens a port writes its listener's record before this looks again.
        with records.changing, self._lock:
            told = configuration.described()
            self._close_ports(told)
            told["listeners"] = {key: each for key, each in told["listeners"].items() if key in self._ports}
            if self._process is not None and self._process.poll() is not None:
                logger.warning("the load balancers' process ended with %s", self._process.returncode)
                self._end_process()
                self._closed.wait(AGAIN_SECONDS)
            if not told["listeners"]:
                self._end_process()
                return
            if self._process is None:
                self._start_process()
            told["new"] = [key for key in told["listeners"] if key not in self._handed_over]
            if told != self._sent:
                self._send({"configuration": told}, [self._ports[key].fileno() for key in told["new"]])
                self._handed_over = set(told["listeners"])
                self._sent = told | {"new": []}

    def _close_ports(self, told: Document) -> None:
        for key in [each for each in self._ports if each not in told["listeners"]]:
            listening = self._ports.pop(key)
            self._recently_closed[listening.getsockname()] = time.monotonic()
            listening.close()

    def _start_process(self) -> None:
        ours, its = socket.socketpair()
        command = [sys.executable, "-P", "-m", MODULE, str(its.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL)
        its.close()
        self._control, self._handed_over, self._sent = ours, set(), None
        threading.Thread(target=self._listen, args=(ours,), name="loadbalancer-reports", daemon=True).start()

    def _end_process(self) -> None:
        with self._lock:
            process, self._process = self._process, None
            control, self._control = self._control, None
            self._handed_over, self._sent = set(), None
        if control:
            control.close()
        if process:
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # ---- messages ----------------------------------------------------------------------------------------------

    def _send(self, message: Document, sockets: list[int] | None = None) -> None:
        if self._control is None:
            return
        document = json.dumps(message).encode()
        data, left = struct.pack("!I", len(document)) + document, list(sockets or [])
        try:
            while left:
                socket.send_fds(self._control, [data[:1]], left[:MOST_SOCKETS])
                data, left = data[1:], left[MOST_SOCKETS:]
            self._control.sendall(data)
        except OSError:
            self._wake.set()  # it has died: the next look starts another one

    def _listen(self, control: socket.socket) -> None:
        """Pass on what the process reports, until it ends."""
        try:
            with control.makefile("rb") as reports:
                while header := reports.read(4):
                    (length,) = struct.unpack("!I", header)
                    self._report(json.loads(reports.read(length)))
        except (OSError, ValueError, struct.error):
            logger.debug("the load balancers' process has gone")
        finally:
            self._wake.set()

    def _report(self, message: Document) -> None:
        try:
            if "health" in message:
                self._on_health(*message["health"])
            elif "counts" in message:
                self._on_counts(message["minute"], message["counts"])
        except Exception:
            logger.exception("a report of the load balancers' process")
