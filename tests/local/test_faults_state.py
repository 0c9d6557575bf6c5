"""What befalls the state folder is told, never passed over: removed, damaged, or no longer to be written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from attendee import free_port
from conftest import client_of
from ecs_world import wait_until

from localaws import daemon, errors

pytestmark = pytest.mark.local
Start = Callable[..., daemon.Running]


def snapshot_of(folder: Path, service: str) -> Path:
    return folder / "localaws" / "snapshot" / f"{service}.json"


def has_ended(pid: int) -> bool:
    """True of a zombie too: the server is this process's child, which collects it when it starts another."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def with_a_queue(start: Start, folder: Path) -> Path:
    """Start, make something, stop; the document that holds it."""
    client_of(start(), "sqs").create_queue(QueueName="kept")
    daemon.stop(folder)
    return snapshot_of(folder, "sqs")


def test_server_ends_when_its_folder_is_removed_and_gives_the_port_back(tmp_path: Path) -> None:
    state_dir, port = tmp_path / "state", free_port()
    running = daemon.start(state_dir, port)
    shutil.rmtree(state_dir)
    again = daemon.start(state_dir, port)  # as a learner would who begins anew
    try:
        assert again.pid != running.pid
        wait_until(lambda: has_ended(running.pid))
        assert client_of(again, "sqs").list_queues().get("QueueUrls", []) == []
    finally:
        daemon.stop(state_dir)


@pytest.mark.parametrize("content", ['{"half', ""], ids=["half", "empty"])
def test_damaged_state_is_refused_by_name_and_left_as_it_is(
    start: Start, tmp_path: Path, content: str
) -> None:
    document = with_a_queue(start, tmp_path)
    whole = document.read_text()
    document.write_text(content)
    with pytest.raises(errors.StateDamaged, match=r"sqs\.json is damaged") as caught:
        start()
    assert str(tmp_path / "localaws") in caught.value.remedy
    assert document.read_text() == content
    document.write_text(whole)
    assert len(client_of(start(), "sqs").list_queues()["QueueUrls"]) == 1


def test_snapshot_that_leads_nowhere_is_refused(start: Start, tmp_path: Path) -> None:
    link = with_a_queue(start, tmp_path).parent
    target = link.resolve()
    link.unlink()
    link.symlink_to("snapshot-99")
    with pytest.raises(errors.StateDamaged, match="leads to no folder"):
        start()
    assert target.is_dir()


def test_stop_tells_that_the_last_changes_could_not_be_written(start: Start, tmp_path: Path) -> None:
    running = start()
    wait_until(lambda: (tmp_path / "localaws" / "snapshot").exists())
    in_the_way = tmp_path / "localaws" / "snapshot.new"  # as a full disk: a snapshot can't be put in place
    in_the_way.mkdir()
    client_of(running, "sqs").create_queue(QueueName="lost")
    with pytest.raises(errors.NotKept, match="could not write its latest changes"):
        daemon.stop(tmp_path)
    assert has_ended(running.pid)
    assert daemon.stop(tmp_path) is False
    in_the_way.rmdir()


def test_port_that_another_program_has_names_it_and_how_to_end_it(tmp_path: Path) -> None:
    with psutil.Popen(
        ["python3", "-m", "http.server", "--bind", "127.0.0.1", "0"], stdout=-1, stderr=-1
    ) as other:
        try:
            [port] = wait_until(lambda: [c.laddr.port for c in other.net_connections() if c.laddr])
            with pytest.raises(errors.PortBusy, match=r"http\.server") as caught:
                daemon.start(tmp_path, port)
        finally:
            other.kill()
    assert caught.value.remedy.startswith(f"kill {other.pid}, or")


def test_server_that_fails_as_it_starts_says_the_reason_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "localaws").write_text("a file where the folder belongs")
    with pytest.raises(errors.NotReady, match=r"ended as it started: .*Error") as caught:
        daemon.start(tmp_path, free_port())
    assert "\n" not in caught.value.message
