"""The Docker engine by itself, without a server."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from attendee import free_port
from docker_images import config_of, docker, network_is_left
from ecs_world import wait_until

from localaws import engine as engines
from localaws.engine import Isolation
from localaws.engine import docker as docker_engine
from localaws.engine.docker import DockerEngine
from localaws.engine.dockercontainer import DockerContainer
from localaws.engine.dockernetwork import GATEWAY
from localaws.engine.images import RegistryImages

SERVER = (
    "import http.server\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(b'{}')\n"
    "s = http.server.HTTPServer(('', 8000), H); print('up'); s.serve_forever()"
)


@pytest.fixture(scope="module")
def config(small_image: str) -> dict[str, Any]:
    return config_of(small_image)


@pytest.fixture
def engine(tmp_path: Path, small_image: str) -> Iterator[DockerEngine]:
    made = connect(tmp_path / "engine")
    yield made
    made.stop_all(0.2)


def connect(folder: Path, **passed_on: str) -> DockerEngine:
    return docker_engine.connect(folder, RegistryImages(), passed_on, f"http://127.0.0.1:{free_port()}")


@pytest.fixture
def start(engine: DockerEngine, small_image: str, config: dict[str, Any]) -> Any:
    def go(code: str, **more: Any) -> DockerContainer:
        return engine.start(
            engines.ContainerSpec("app", small_image, more.pop("config", config), command=[code], **more)
        )

    return go


def own_containers(engine: DockerEngine) -> list[str]:
    return docker("ps", "--all", "--quiet", "--filter", f"label=localaws.owner={engine.owner}").split()


def test_output_comes_line_by_line_and_ends_with_the_container(start: Any) -> None:
    container = start("import sys; print('one'); print('two', end=''); sys.exit(3)")
    assert list(container.log_lines()) == ["one", "two"]
    assert container.wait() == engines.Exit(3)


def test_both_outputs_are_in_the_log_and_characters_stay_whole(start: Any) -> None:
    code = (
        "import sys, time\nb = 'ä'.encode()\nsys.stdout.buffer.write(b[:1]); sys.stdout.flush(); time.sleep(.2)\n"
        "print('wrong', file=sys.stderr); time.sleep(.2)\nsys.stdout.buffer.write(b[1:] + b'\\n')"
    )
    assert sorted(start(code).log_lines()) == ["wrong", "ä"]


def test_entry_point_of_the_task_drops_the_images(start: Any) -> None:
    assert list(start("$A!", entry_point=["echo", "said"]).log_lines()) == ["said $A!"]


def test_missing_program_is_an_error_and_leaves_nothing(engine: DockerEngine, start: Any) -> None:
    with pytest.raises(engines.EngineError, match=r"no-such-program.*not found"):
        start("", entry_point=["no-such-program"])
    assert own_containers(engine) == []


def test_image_that_docker_does_not_have_cannot_be_pulled(
    engine: DockerEngine, config: dict[str, Any]
) -> None:
    with pytest.raises(engines.CannotPull):
        engine.start(engines.ContainerSpec("app", "localaws-test/absent:latest", config, command=["pass"]))


def test_stop_signal_of_the_image_is_the_one_that_is_sent(start: Any, config: dict[str, Any]) -> None:
    code = "import signal, sys, time\nsignal.signal(2, lambda *_: sys.exit(9))\nprint('up')\ntime.sleep(30)"
    container = start(code, config=config | {"StopSignal": "SIGINT"})
    assert next(container.log_lines()) == "up"
    assert container.stop(5).code == 9


def test_stop_kills_what_ignores_its_signal_after_the_time(start: Any) -> None:
    container = start(
        "import time; print('up'); time.sleep(30)"
    )  # the first process of a container ignores it
    assert next(container.log_lines()) == "up"
    began = time.monotonic()
    assert container.stop(1) == engines.Exit(137)
    assert 0.9 < time.monotonic() - began < 4


def test_init_process_hands_the_signal_on(start: Any) -> None:
    container = start("import time; print('up'); time.sleep(30)", isolation=Isolation(init=True))
    assert next(container.log_lines()) == "up"
    assert container.stop(5) == engines.Exit(143)


def test_memory_limit_holds(start: Any) -> None:
    container = start("b = bytearray(200 << 20); import time; time.sleep(30)", memory_mib=64)
    assert container.wait(15) == engines.Exit(137, engines.OUT_OF_MEMORY)
    assert start("b = bytearray(20 << 20)", memory_mib=64).wait(15) == engines.Exit(0)


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has a GPU to give")
def test_gpu_is_refused_by_name_where_docker_can_not_pass_one_on(engine: DockerEngine, start: Any) -> None:
    with pytest.raises(engines.CannotCreate, match="wants GPU GPU-1, and this Docker can't pass GPUs on"):
        start("pass", gpus=1, gpu_ids=("GPU-1",))
    assert own_containers(engine) == []


def test_user_capabilities_and_read_only_file_system_are_as_asked(start: Any) -> None:
    code = (
        "import os\nprint(os.getuid(), os.getcwd())\n"
        "print([l.split()[1] for l in open('/proc/self/status') if l.startswith('CapBnd')])\n"
        "try: open('file', 'w')\nexcept OSError as error: print(error.strerror)"
    )
    isolation = Isolation(dropped_capabilities=("ALL",), read_only=True)
    container = start(code, user="1000", working_directory="/tmp", isolation=isolation)
    assert list(container.log_lines()) == ["1000 /tmp", "['0000000000000000']", "Read-only file system"]


def test_two_containers_keep_the_same_port_and_are_reached_on_loopback(start: Any) -> None:
    logs = []  # kept: a generator that is thrown away ends
    for _ in range(2):
        container = start(SERVER, ports=(engines.PortMapping(8000),))
        logs.append(container.log_lines())
        assert next(logs[-1]) == "up"
        here, there = container.bindings
        assert (here.bind_ip, there.bind_ip) == ("127.0.0.1", GATEWAY)
        assert here.host_port == there.host_port
        with urllib.request.urlopen(f"http://127.0.0.1:{here.host_port}/", timeout=5) as answer:
            assert answer.status == 200


def test_container_reaches_another_ones_port_by_the_bridges_address(start: Any) -> None:
    server = start(SERVER, ports=(engines.PortMapping(8000),))
    log = server.log_lines()
    assert next(log) == "up"
    url = f"http://{GATEWAY}:{server.bindings[0].host_port}/"
    client = start(f"import urllib.request as u; print(u.urlopen('{url}', timeout=5).status)")
    assert list(client.log_lines()) == ["200"]


def test_nothing_listens_on_every_address_of_this_machine(start: Any) -> None:
    before = _open_to_all()
    container = start(SERVER, ports=(engines.PortMapping(8000),))
    log = container.log_lines()
    assert next(log) == "up"
    assert _open_to_all() <= before
    port = container.bindings[0].host_port
    listening = {
        each.laddr.ip for each in psutil.net_connections("tcp4") if _listens(each) and each.laddr.port == port
    }
    assert listening == {"127.0.0.1", GATEWAY}


def _listens(connection: Any) -> bool:
    return bool(connection.status == psutil.CONN_LISTEN)


def _open_to_all() -> set[tuple[str, int]]:
    every = [each for each in psutil.net_connections("tcp") if _listens(each)]
    return {(each.laddr.ip, each.laddr.port) for each in every if each.laddr.ip in ("0.0.0.0", "::")}


def test_way_to_the_server_is_open_to_containers_and_to_nobody_else(engine: DockerEngine, start: Any) -> None:
    port = int(engine.endpoint_inside("").rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(0.5)
        # This machine itself stands for whoever routes packets to the bridge's address.
        with socket.create_connection((GATEWAY, port), 5) as stranger:
            stranger.settimeout(5)
            assert stranger.recv(1) == b""
        with pytest.raises(TimeoutError):
            server.accept()
        server.settimeout(10)
        start(f"import socket; socket.create_connection(('{GATEWAY}', {port}), 5).recv(1)")
        server.accept()[0].close()


def test_taken_host_port_fails_the_start_and_leaves_nothing(engine: DockerEngine, start: Any) -> None:
    first = start("import time; time.sleep(30)", ports=(engines.PortMapping(80),))
    taken = engines.PortMapping(80, first.bindings[0].host_port)
    with pytest.raises(engines.EngineError, match="port is already allocated"):
        start("pass", ports=(taken,))
    assert len(own_containers(engine)) == 1


def test_execute_runs_inside_and_a_late_answer_counts_as_none(start: Any) -> None:
    container = start("import time; open('file', 'w').close(); print('up'); time.sleep(30)")
    log = container.log_lines()
    assert next(log) == "up"
    assert container.execute(["sh", "-c", "ls; echo $FROM_IMAGE"], 5) == (0, "file\n1\n")
    assert container.execute(["sleep", "9"], 0.3)[0] == 124
    assert container.execute(["no-such-program"], 5)[0] == 127
    if os.geteuid() == 0:
        wait_until(
            lambda: container.execute(["sh", "-c", "! grep -q ^sleep /proc/[0-9]*/cmdline"], 5)[0] == 0, 5
        )


def test_end_of_the_container_ends_what_is_executed_in_it(start: Any) -> None:
    container = start("import time; time.sleep(1)")
    began = time.monotonic()
    assert container.execute(["sleep", "30"], 30)[0] == 137
    assert time.monotonic() - began < 10
    assert container.wait(5) == engines.Exit(0)
    assert container.execute(["true"], 5)[0] == 137


def test_long_line_without_an_end_is_split(start: Any) -> None:
    lines = list(start("print('x' * 600_000, end='')").log_lines())
    assert [len(line) for line in lines] == [262118, 262118, 75764]


def test_data_directory_of_this_machine_is_read_only_inside(
    tmp_path: Path, small_image: str, config: dict[str, Any]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "note").write_text("here")
    engine = connect(tmp_path / "engine", WORKSHOP_DATA_DIR=str(tmp_path / "data"))
    code = (
        "import os\nfolder = os.environ['WORKSHOP_DATA_DIR']\nprint(open(folder + '/note').read())\n"
        "try: open(folder + '/mine', 'w')\nexcept OSError as error: print(error.strerror)"
    )
    try:
        container = engine.start(engines.ContainerSpec("app", small_image, config, command=[code]))
        assert list(container.log_lines()) == ["here", "Read-only file system"]
    finally:
        engine.stop_all(0.2)


def test_task_volume_outlives_its_container_and_ends_with_the_task(engine: DockerEngine, start: Any) -> None:
    folder = engine.folder / "volumes" / "tasks" / "id"
    volume = engines.Volume(folder / "scratch", "/scratch", scope="task")
    first = start("open('/scratch/note', 'w').write('kept')", volumes=(volume,))
    assert first.wait(10) == engines.Exit(0)
    first.remove()
    assert list(start("print(open('/scratch/note').read())", volumes=(volume,)).log_lines()) == ["kept"]
    for identifier in own_containers(engine):
        docker("rm", "--force", identifier)
    engine.remove_volumes(folder)
    assert docker("volume", "ls", "--quiet", "--filter", f"label=localaws.owner={engine.owner}") == ""


def test_containers_of_one_address_share_their_network(engine: DockerEngine, start: Any) -> None:
    address = engine.open_interface("one")
    server = start(SERVER, network="awsvpc", address=address, ports=(engines.PortMapping(8000),))
    log = server.log_lines()
    assert next(log) == "up"
    ask = "import urllib.request as u; print(u.urlopen('http://{}:8000/', timeout=5).status)"
    beside = start(ask.format("127.0.0.1"), network="awsvpc", address=address)
    assert (server.address, beside.address) == (address, address)
    assert list(beside.log_lines()) == ["200"]
    assert list(start(ask.format(address)).log_lines()) == ["200"]
    assert engine.open_interface("two") != address


def test_stop_all_ends_everything_and_starts_nothing_more(engine: DockerEngine, start: Any) -> None:
    container = start("import time; time.sleep(30)", isolation=Isolation(init=True))
    engine.stop_all(5)
    assert container.wait() == engines.Exit(143)
    assert own_containers(engine) == []
    with pytest.raises(engines.EngineError, match="stopping"):
        start("pass")


KILLED_SERVER = """
import os, signal, sys
from pathlib import Path
from localaws.engine import ContainerSpec, Volume, docker
from localaws.engine.images import RegistryImages
engine = docker.connect(Path(sys.argv[1]), RegistryImages(), {}, "http://127.0.0.1:" + sys.argv[2])
container = engine.start(ContainerSpec("app", sys.argv[3], {}, command=["import time; time.sleep(60)"],
    volumes=(Volume(Path(sys.argv[1]) / "volumes/tasks/id/v", "/v", scope="task"),)))
print(container.id, flush=True)
if sys.argv[4] == "all":
    engine._watchdog._process.kill()
    engine._watchdog._process.wait()
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_server(folder: Path, image: str, what: str) -> str:
    """The container of a server that was killed; `all`: so was the process that watches over it."""
    words = [sys.executable, "-c", KILLED_SERVER, str(folder), str(free_port()), image, what]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.strip()


def test_kill_of_the_server_leaves_neither_container_nor_volume(tmp_path: Path, small_image: str) -> None:
    container = killed_server(tmp_path, small_image, "server")
    label = f"label=localaws.owner={tmp_path}"
    wait_until(lambda: container not in docker("ps", "--all", "--quiet", "--no-trunc"))
    wait_until(lambda: docker("volume", "ls", "--quiet", "--filter", label) == "")


def test_container_that_a_killed_server_left_is_removed_by_the_next_one(
    tmp_path: Path, small_image: str
) -> None:
    container = killed_server(tmp_path, small_image, "all")
    other = connect(tmp_path / "another-server")
    assert other.clean_orphans() == 0
    other.stop_all(0)
    [state] = json.loads(docker("inspect", container))
    assert state["State"]["Running"]
    engine = connect(tmp_path)
    assert engine.clean_orphans() == 1
    assert own_containers(engine) == []
    engine.stop_all(0)
    assert not network_is_left()


def test_start_takes_less_than_three_seconds(start: Any) -> None:
    times = []
    for _ in range(3):
        began = time.monotonic()
        next(start("", entry_point=["echo", "up"]).log_lines())
        times.append(time.monotonic() - began)
    assert min(times) < 3
