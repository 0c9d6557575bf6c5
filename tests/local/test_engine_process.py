"""The process engine by itself, without a server."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ecs_world import wait_until

from localaws import engine as engines
from localaws.engine import memory
from localaws.engine.container import ProcessContainer
from localaws.engine.images import RegistryImages
from localaws.engine.process import ProcessEngine
from localaws.errors import NoDocker

pytestmark = pytest.mark.local
CONFIG = {
    "Labels": {"workshop.environment": "here"},
    "Entrypoint": ["python", "-u", "-c"],
    "Env": ["A=image"],
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ProcessEngine]:
    made = ProcessEngine(tmp_path / "engine", {"here": Path(sys.prefix)}, RegistryImages(), {"PASSED": "on"})
    yield made
    made.stop_all(0.2)


def start(engine: ProcessEngine, code: str, **more: Any) -> ProcessContainer:
    return engine.start(engines.ContainerSpec("app", "image", CONFIG, command=[code], **more))


def test_output_comes_line_by_line_and_ends_with_the_container(engine: ProcessEngine) -> None:
    container = start(engine, "print('one'); print('two', end=''); raise SystemExit(3)")
    assert list(container.log_lines()) == ["one", "two"]
    assert container.wait() == engines.Exit(3)


def test_container_has_a_fresh_folder_and_the_environments_programs(engine: ProcessEngine) -> None:
    container = start(
        engine, "import os, sys; print(os.getcwd(), os.listdir(), sys.prefix, os.environ['PASSED'])"
    )
    [line] = container.log_lines()
    assert line == f"{container.folder / 'work'} [] {sys.prefix} on"
    container.remove()
    assert not container.folder.exists()


def test_entry_point_of_the_task_drops_the_images(engine: ProcessEngine) -> None:
    container = start(engine, "$A!", entry_point=["echo", "said"])
    assert list(container.log_lines()) == ["said $A!"]


def test_missing_program_is_an_error_and_leaves_nothing(engine: ProcessEngine) -> None:
    with pytest.raises(engines.EngineError, match="no-such-program: No such file"):
        start(engine, "", entry_point=["no-such-program"])
    assert list(engine.folder.iterdir()) == []


def test_stop_signal_of_the_image_is_the_one_that_is_sent(engine: ProcessEngine) -> None:
    code = "import signal, sys, time\nsignal.signal(2, lambda *_: sys.exit(9))\nprint('up')\ntime.sleep(30)"
    spec = engines.ContainerSpec("app", "image", CONFIG | {"StopSignal": "SIGINT"}, command=[code])
    container = engine.start(spec)
    assert next(container.log_lines()) == "up"
    assert container.stop(5).code == 9


@pytest.mark.parametrize("by_kernel", [True, False])
def test_memory_limit_holds_with_and_without_the_kernels_help(
    engine: ProcessEngine, monkeypatch: pytest.MonkeyPatch, by_kernel: bool
) -> None:
    if not by_kernel:
        monkeypatch.setattr("localaws.engine.process.limit", lambda name, memory_mib: None)
    elif not (group := memory.limit("try", 64)):
        pytest.skip("no writable memory cgroup here")
    else:
        group.remove()
    container = start(engine, "b = bytearray(200 << 20); import time; time.sleep(30)", memory_mib=64)
    assert container.wait(10) == engines.Exit(137, engines.OUT_OF_MEMORY)


def test_container_below_its_limit_is_left_alone(engine: ProcessEngine) -> None:
    assert start(engine, "b = bytearray(20 << 20)", memory_mib=128).wait(10) == engines.Exit(0)


def test_two_containers_keep_the_same_port_on_addresses_of_their_own(engine: ProcessEngine) -> None:
    if engine.open_interface("t") == "127.0.0.1":
        pytest.skip("this system has one loopback address")
    code = (
        "import http.server, os\n"
        "a = os.environ['WORKSHOP_BIND_ADDRESS']\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(a.encode())\n"
        "s = http.server.HTTPServer((a, 8000), H); print('up'); s.serve_forever()"
    )
    logs = []  # kept open: a server whose output nobody reads any more fails as it writes its next line
    for _ in range(2):
        container = start(engine, code, ports=(engines.PortMapping(8000),))
        logs.append(container.log_lines())
        assert next(logs[-1]) == "up"
        url = f"http://127.0.0.1:{container.bindings[0].host_port}/"
        with urllib.request.urlopen(url, timeout=5) as answer:
            assert answer.read().decode() == container.address


def test_address_is_given_to_one_task_at_a_time_also_by_another_engine(
    engine: ProcessEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ProcessEngine(tmp_path / "other", {}, RegistryImages(), {})
    numbers = iter([100, 1, 1, 100, 1, 1, 100, 1, 2, 100, 1, 1])
    monkeypatch.setattr("localaws.engine.process.random.randint", lambda low, high: next(numbers))
    if engine.open_interface("one") == "127.0.0.1":
        pytest.skip("this system has one loopback address")
    assert other.open_interface("two") == "127.100.1.2"
    engine.close_interface("127.100.1.1")
    assert other.open_interface("three") == "127.100.1.1"


def test_taken_host_port_fails_the_start_in_dockers_words(engine: ProcessEngine) -> None:
    first = start(engine, "import time; time.sleep(30)", ports=(engines.PortMapping(80),))
    taken = engines.PortMapping(80, first.bindings[0].host_port)
    with pytest.raises(engines.EngineError, match="failed to set up port mapping"):
        start(engine, "pass", ports=(taken,))


def test_execute_runs_inside_and_a_late_answer_counts_as_none(engine: ProcessEngine) -> None:
    container = start(engine, "import time; open('file', 'w').close(); print('up'); time.sleep(30)")
    assert next(container.log_lines()) == "up"
    assert container.execute(["sh", "-c", "ls; echo $A"], 5) == (0, "file\nimage\n")
    assert container.execute(["sleep", "9"], 0.2)[0] == 124
    assert container.execute(["no-such-program"], 1)[0] == 127


def test_end_of_the_container_ends_what_is_executed_in_it(engine: ProcessEngine) -> None:
    container = start(engine, "import time; time.sleep(0.5)", memory_mib=128)
    began = time.monotonic()
    assert container.execute(["sleep", "30"], 30)[0] == 137
    assert time.monotonic() - began < 5
    assert container.wait(5) == engines.Exit(0)
    assert container.execute(["true"], 5)[0] == 137
    container.remove()
    assert not (container.group and container.group.folder.exists())


def test_long_line_without_an_end_is_split(engine: ProcessEngine) -> None:
    lines = list(start(engine, "print('x' * 600_000, end='')").log_lines())
    assert [len(line) for line in lines] == [262118, 262118, 75764]


def test_stop_all_ends_everything_and_starts_nothing_more(engine: ProcessEngine) -> None:
    container = start(engine, "import time; time.sleep(30)")
    engine.stop_all(1)
    assert container.wait() == engines.Exit(143)
    with pytest.raises(engines.EngineError, match="stopping"):
        start(engine, "pass")


KILLED_SERVER = """
import os, signal, sys, time
from pathlib import Path
from localaws.engine import ContainerSpec
from localaws.engine.process import ProcessEngine
engine = ProcessEngine(Path(sys.argv[1]), {"here": Path(sys.prefix)}, None, {})
config = {"Labels": {"workshop.environment": "here"}}
leave = "setsid sleep 60 & setsid setsid sleep 60 & echo $$ $!; exec sleep 60"
container = engine.start(ContainerSpec("app", "i", config, entry_point=["sh", "-c", leave], memory_mib=64))
print(next(container.log_lines()), container.group.folder if container.group else "", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_of_the_server_ends_every_process_of_its_containers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED_SERVER, tmp_path], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    first, second, *group = done.stdout.split()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in (first, second)), 3)
    wait_until(lambda: not any(Path(folder).exists() for folder in group), 3)
    engine = ProcessEngine(tmp_path, {}, RegistryImages(), {})
    engine.clean_orphans()
    assert list(tmp_path.iterdir()) == []


def test_kill_of_the_supervisor_ends_the_command(engine: ProcessEngine) -> None:
    container = start(engine, "import time; time.sleep(30)")
    os.kill(container._started.supervisor.pid, signal.SIGKILL)
    assert container.wait(3) == engines.Exit(137)
    wait_until(lambda: not Path(f"/proc/{container.pid}").exists(), 3)


def test_start_takes_less_than_half_a_second(engine: ProcessEngine) -> None:
    times = []
    for _ in range(3):
        began = time.monotonic()
        next(start(engine, "", entry_point=["echo", "up"]).log_lines())
        times.append(time.monotonic() - began)
    assert min(times) < 0.5


def test_docker_engine_is_refused_with_the_reason_where_there_is_no_docker_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoDocker, match="there is no docker command") as raised:
        engines.create("docker", tmp_path, {})
    assert "WORKSHOP_ENGINE=process" in raised.value.remedy
    assert engines.create("auto", tmp_path, {}).name == "process"


def test_docker_engine_is_refused_with_the_reason_where_no_engine_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(NoDocker, match="no Docker engine answers"):
        engines.create("docker", tmp_path, {})
    assert engines.create("auto", tmp_path, {}).name == "process"
