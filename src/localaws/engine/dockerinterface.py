"""A network interface of its own for each awsvpc task: a container that does nothing but hold it.

Try it:  docker ps --filter label=localaws.interface     while an awsvpc task runs
The ECS agent does the same with its pause container: a task's containers join the holder's network, so that
they share one address and one localhost, and each may end without the others losing their network.
Knows Docker's API and the network's addresses, and nothing of images, containers or ECS.

The holder's program is made here, 32 bytes at most of machine code in a file of its own: no registry need be
reached for it, and no tool of the learner's images is asked for.
"""

import contextlib
import io
import itertools
import struct
import tarfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker.errors

from localaws.engine import CannotCreate, EngineError
from localaws.engine.dockercontainer import NO_ANSWER
from localaws.engine.dockernetwork import NETWORK, OWN_ADDRESSES, Network

IMAGE = "localaws/interface:latest"
INTERFACE_LABEL = "localaws.interface"
PROGRAM = "hold"
AT_ONCE = 8
# Docker's words for an address that somebody took a moment ago, another server perhaps.
TAKEN = "already in use"
# pause(2) for ever: mov eax, 34; syscall; jmp to the beginning.
X86_64 = bytes.fromhex("b8220000000f05ebf7")
# ppoll(2) without descriptors or end: x0 to x4 = 0; x8 = 73; svc 0; b to the beginning.
AARCH64 = struct.pack(
    "<8I", 0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD2800004, 0xD2800928, 0xD4000001, 0x17FFFFF9
)
MACHINES = {"x86_64": (62, X86_64), "aarch64": (183, AARCH64)}  # e_machine of ELF, and the code
LOAD_ADDRESS, ELF_HEADER_BYTES, PROGRAM_HEADER_BYTES = 0x400000, 64, 56


class Interfaces:
    """The interfaces of one engine's tasks, by their addresses."""

    def __init__(
        self, client: Any, network: Network, labels: dict[str, str], lost: Callable[[str], None]
    ) -> None:
        """lost: called with the address of an interface that ended and was not closed."""
        self._client = client
        self._network = network
        self._labels = labels
        self._lost = lost
        self._next_address = itertools.cycle(OWN_ADDRESSES)
        self._holders: dict[str, str] = {}
        self._lock = threading.Lock()
        self._making = threading.Lock()

    def open(self, task: str, names: tuple[str, ...], domain: str) -> str:
        """Start a holder for the task, found by these names and by ip-A-B-C-D.domain; returns its address."""
        self._network.ensure()
        for _ in OWN_ADDRESSES:
            address = self._free_address()
            try:
                self._holders[address] = self._start(
                    task, (*names, f"ip-{address.replace('.', '-')}.{domain}"), address
                )
            except docker.errors.APIError as error:
                if TAKEN not in str(error.explanation).lower():
                    self.close(address)
                    raise EngineError(f"Error response from daemon: {error.explanation}") from error
                continue
            threading.Thread(
                target=self._watch, args=(address,), name=f"interface-{address}", daemon=True
            ).start()
            return address
        raise CannotCreate(f"all addresses of the network {NETWORK} are in use", "stop some tasks")

    def _watch(self, address: str) -> None:
        holder = self._holders.get(address)
        with contextlib.suppress(*NO_ANSWER):
            self._client.api.wait(holder, timeout=None)
        if holder and self._holders.get(address) == holder:
            self._lost(address)

    def _free_address(self) -> str:
        """One that no task has here, nor a container of another server; kept until it is closed."""
        members = self._client.api.inspect_network(NETWORK).get("Containers") or {}
        taken = {each.get("IPv4Address", "").partition("/")[0] for each in members.values()}
        with self._lock:
            candidates = (str(next(self._next_address)) for _ in OWN_ADDRESSES)
            address = next((each for each in candidates if each not in taken | set(self._holders)), None)
            if address is None:
                raise CannotCreate(f"all addresses of the network {NETWORK} are in use", "stop some tasks")
            self._holders[address] = ""
        return address

    def _start(self, task: str, names: tuple[str, ...], address: str) -> str:
        endpoint = self._client.api.create_endpoint_config(ipv4_address=address, aliases=[*names])
        options = {
            "name": f"ecs-interface-{task}",
            "command": [f"/{PROGRAM}"],
            "hostname": task[:63],
            "labels": {**self._labels, INTERFACE_LABEL: address},
            "network": NETWORK,
            "networking_config": {NETWORK: endpoint},
            "cap_drop": ["ALL"],
            "read_only": True,
            "use_config_proxy": False,
        }
        try:
            made = self._client.containers.create(IMAGE, **options)
        except docker.errors.ImageNotFound:
            self._have_image()
            made = self._client.containers.create(IMAGE, **options)
        try:
            self._client.api.start(made.id)
        except docker.errors.APIError:
            self._remove(made.id)
            raise
        return str(made.id)

    def _have_image(self) -> None:
        """Make the image unless another task just did: a second one would leave the first without a name."""
        with self._making:
            with contextlib.suppress(docker.errors.ImageNotFound):
                self._client.api.inspect_image(IMAGE)
                return
            architecture = self._client.info()["Architecture"]
            repository, _, tag = IMAGE.partition(":")
            self._client.api.import_image_from_data(archive(program(architecture)), repository, tag)

    def holder(self, address: str) -> str:
        """The container whose network has this address; EngineError if there is none (any more)."""
        found = self._holders.get(address)
        if not found:
            raise EngineError(
                f"the network interface with the address {address} is gone", "run the task again"
            )
        return found

    def close(self, address: str) -> None:
        """Remove the holder; nothing if there is none."""
        with self._lock:
            found = self._holders.pop(address, "")
        if found:
            self._remove(found)

    def _remove(self, identifier: str) -> None:
        with contextlib.suppress(*NO_ANSWER):
            self._client.api.remove_container(identifier, v=True, force=True)

    def close_all(self) -> None:
        """Remove every holder, and the image unless another server uses it."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self.close, list(self._holders)))
        with contextlib.suppress(*NO_ANSWER):
            self._client.api.remove_image(IMAGE)


def program(architecture: str) -> bytes:
    """A statically linked program that waits until it is killed. Errors: CannotCreate for other machines."""
    if architecture not in MACHINES:
        raise CannotCreate(
            f"awsvpc tasks need a machine of one of {sorted(MACHINES)}, and this one is {architecture}",
            "use the network mode bridge, or: WORKSHOP_ENGINE=process workshop up",
        )
    machine, code = MACHINES[architecture]
    start = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES
    size, little_endian_64_bits, executable, loadable, readable = (
        start + len(code),
        b"\x7fELF\x02\x01\x01",
        2,
        1,
        5,
    )
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        little_endian_64_bits,
        executable,
        machine,
        1,
        LOAD_ADDRESS + start,
        ELF_HEADER_BYTES,
        0,
        0,
        ELF_HEADER_BYTES,
        PROGRAM_HEADER_BYTES,
        1,
        0,
        0,
        0,
    )
    segment = struct.pack("<IIQQQQQQ", loadable, readable, 0, LOAD_ADDRESS, LOAD_ADDRESS, size, size, 0x1000)
    return header + segment + code


def archive(content: bytes) -> bytes:
    """A file system with nothing but the program."""
    entry = tarfile.TarInfo(PROGRAM)
    entry.size, entry.mode = len(content), 0o755
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()
