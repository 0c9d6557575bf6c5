"""The program that holds a task's network interface, without Docker."""

import platform
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from localaws.engine import CannotCreate
from localaws.engine.dockerinterface import MACHINES, program


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in MACHINES,
    reason="not a machine that Docker runs on here",
)
def test_program_waits_until_it_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "hold"
    file.write_bytes(program(platform.machine()))
    file.chmod(0o755)
    process = subprocess.Popen([file])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    process.kill()
    assert process.wait(5) == -9


@pytest.mark.parametrize(("architecture", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_program_is_of_the_machine_that_it_is_for(architecture: str, number: int) -> None:
    content = program(architecture)
    assert content[:4] == b"\x7fELF"
    assert struct.unpack_from("<H", content, 18) == (number,)
    assert len(content) < 200


def test_other_machines_are_refused_with_a_remedy() -> None:
    with pytest.raises(CannotCreate, match="riscv64") as raised:
        program("riscv64")
    assert "WORKSHOP_ENGINE=process" in raised.value.remedy
