"""Downloads are verified, resumed and retried, and never leave something wrong under the right name."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest
from loopback import body, serve

from workshop.data import addresses, files
from workshop.data.download import Downloader, Mismatch, Refused
from workshop.data.reach import Reach, Unreachable
from workshop.errors import BusyError, DataError

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def downloader(**fields):
    waits = []
    return Downloader(sleep=waits.append, **fields), waits


def bring(target, *urls, by=None):
    return (by or downloader()[0]).download(urls, target, SHA256, len(CONTENT))


def cut(handler, content, after):
    """Promise everything, send a part, hang up."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[:after])


def test_download_has_the_right_bytes_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "data" / "set.bin"
    seen = []
    with serve(body(CONTENT)) as site:
        bring(target, site.url + "/set.bin", by=Downloader(on_progress=lambda *row: seen.append(row)))
    assert target.read_bytes() == CONTENT
    assert sorted(path.name for path in target.parent.iterdir()) == [".lock", "set.bin"]
    assert seen[-1] == ("set.bin", len(CONTENT), len(CONTENT))


def test_half_a_download_is_resumed_from_where_it_stopped(tmp_path):
    (tmp_path / "set.bin.part").write_bytes(CONTENT[:1000])
    with serve(body(CONTENT)) as site:
        bring(tmp_path / "set.bin", site.url)
    assert site.requests[0][1]["Range"] == "bytes=1000-"
    assert (tmp_path / "set.bin").read_bytes() == CONTENT


def test_server_without_ranges_sends_all_anew(tmp_path):
    (tmp_path / "set.bin.part").write_bytes(b"x" * 1000)

    def answer(handler):
        del handler.headers["Range"]
        body(CONTENT)(handler)

    with serve(answer) as site:
        bring(tmp_path / "set.bin", site.url)
    assert (tmp_path / "set.bin").read_bytes() == CONTENT


def test_half_of_another_version_is_thrown_away_and_fetched_anew(tmp_path):
    (tmp_path / "set.bin.part").write_bytes(b"x" * 1000)
    with serve(body(CONTENT)) as site:
        bring(tmp_path / "set.bin", site.url)
    assert (tmp_path / "set.bin").read_bytes() == CONTENT
    assert len(site.requests) == 2


def test_broken_connection_is_taken_up_again_where_it_broke(tmp_path):
    def answer(handler):
        if len(site.requests) == 1:
            cut(handler, CONTENT, 70_000)
        else:
            body(CONTENT)(handler)

    by, waits = downloader()
    with serve(answer) as site:
        bring(tmp_path / "set.bin", site.url, by=by)
    assert (tmp_path / "set.bin").read_bytes() == CONTENT
    assert site.requests[1][1]["Range"] == "bytes=70000-"
    assert waits == [0.5]


def test_busy_server_is_asked_again_with_growing_waits_then_given_up(tmp_path):
    by, waits = downloader()
    with serve(body(b"busy", status=503)) as site, pytest.raises(Refused, match="503"):
        bring(tmp_path / "set.bin", site.url, by=by)
    assert waits == [0.5, 1.0, 2.0]
    assert len(site.requests) == 4


def test_missing_file_is_not_asked_for_again(tmp_path):
    by, waits = downloader()
    with serve(body(b"no", status=404)) as site, pytest.raises(Refused, match="404"):
        bring(tmp_path / "set.bin", site.url, by=by)
    assert not waits and len(site.requests) == 1


def test_wrong_bytes_are_moved_aside_and_named_with_both_checksums(tmp_path):
    wrong = b"y" * len(CONTENT)
    with serve(body(wrong)) as site, pytest.raises(Mismatch) as caught:
        bring(tmp_path / "set.bin", site.url)
    assert hashlib.sha256(wrong).hexdigest() in str(caught.value) and SHA256 in str(caught.value)
    assert not (tmp_path / "set.bin").exists()
    assert (tmp_path / "set.bin.bad").read_bytes() == wrong
    assert not (tmp_path / "set.bin.part").exists()


def test_mirror_is_used_when_the_first_address_has_wrong_bytes(tmp_path):
    with serve(body(b"y" * len(CONTENT))) as first, serve(body(CONTENT)) as second:
        bring(tmp_path / "set.bin", first.url, second.url)
    assert (tmp_path / "set.bin").read_bytes() == CONTENT


def test_another_size_is_refused_before_it_is_downloaded(tmp_path):
    with serve(body(CONTENT * 2)) as site, pytest.raises(Mismatch, match=f"{len(CONTENT) * 2} bytes"):
        bring(tmp_path / "set.bin", site.url)
    assert not (tmp_path / "set.bin.part").exists()


def test_sign_in_page_is_not_taken_for_the_data(tmp_path):
    with serve(body(b"<html>sign in", kind="text/html")) as site, pytest.raises(Refused, match="web page"):
        bring(tmp_path / "set.bin", site.url)


def test_full_disk_is_seen_before_anything_is_asked(tmp_path):
    by, _ = downloader(free_bytes=lambda _: 10 * 2**20)
    with serve(body(CONTENT)) as site, pytest.raises(DataError, match="10 MiB free"):
        bring(tmp_path / "set.bin", site.url, by=by)
    assert not site.requests


def test_disk_that_fills_up_on_the_way_keeps_the_half(tmp_path):
    def fill(_name, done, _total):
        if done > 60_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    by = Downloader(on_progress=fill)
    with serve(body(CONTENT)) as site, pytest.raises(DataError, match="disk is full"):
        bring(tmp_path / "set.bin", site.url, by=by)
    assert (tmp_path / "set.bin.part").stat().st_size > 0


def test_dripping_server_is_given_up(tmp_path):
    now = [0.0]

    def clock():
        now[0] += 40  # each look at the clock is 40 seconds later
        return now[0]

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(b"x")

    by, _ = downloader(clock=clock)
    with serve(answer) as site, pytest.raises(Refused, match="fewer than"):
        bring(tmp_path / "set.bin", site.url, by=by)


def test_unknown_host_is_asked_once_and_remembered_by_other_runs(tmp_path):
    asked = []

    def lookup(host, _port, _timeout):
        asked.append(host)
        raise addresses.LookupFailed("its name is not known")

    now = [1000.0]
    url = "https://data.example/set.bin"
    for reach in (Reach(tmp_path, lookup, lambda: now[0]), Reach(tmp_path, lookup, lambda: now[0])):
        for _ in range(2):
            with pytest.raises(Unreachable, match="no network"):
                reach.check(url)
    assert asked == ["data.example"]
    now[0] += 601
    with pytest.raises(Unreachable):
        Reach(tmp_path, lookup, lambda: now[0]).check(url)
    assert len(asked) == 2


def test_refused_connection_is_no_network_and_not_tried_again(tmp_path):
    with serve(body(CONTENT)) as site:
        gone = site.url
    by, waits = downloader()
    with pytest.raises(Unreachable, match="refused"):
        bring(tmp_path / "set.bin", gone, by=by)
    assert not waits


def test_damaged_memory_of_unreachable_hosts_is_only_forgotten(tmp_path):
    (tmp_path / "unreachable.json").write_text("[not json")
    Reach(tmp_path, lambda *_: []).check("https://data.example/")


def test_lookup_that_hangs_is_left_after_its_time(monkeypatch):
    release = threading.Event()

    def hang(*_, **__):
        release.wait(30)
        return []

    monkeypatch.setattr("socket.getaddrinfo", hang)
    with pytest.raises(addresses.LookupFailed, match="no answer"):
        addresses.lookup("slow.example", 443, 0.05)
    release.set()


def test_second_run_waits_for_the_first_and_then_has_the_file(tmp_path):
    target = tmp_path / "set.bin"
    lines = []
    with serve(body(CONTENT)) as site:
        holding = files.locked(tmp_path / ".lock")
        holding.__enter__()

        def first_run_ends(_seconds):
            target.write_bytes(CONTENT)
            holding.__exit__(None, None, None)

        Downloader(sleep=first_run_ends, on_wait=lines.append).download(
            [site.url], target, SHA256, len(CONTENT)
        )
    assert not site.requests
    assert str(os.getpid()) in lines[0]


def test_run_that_holds_for_ever_is_named(tmp_path):
    now = [0.0]

    def clock():
        now[0] += 500
        return now[0]

    with files.locked(tmp_path / ".lock"), pytest.raises(BusyError, match=str(os.getpid())):
        Downloader(sleep=lambda _: None, clock=clock).download(["http://x"], tmp_path / "a", SHA256, 1)


def test_killed_download_leaves_no_lock_and_is_resumed(tmp_path):
    def slowly(handler):
        if len(site.requests) == 1:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(CONTENT)))
            handler.end_headers()
            handler.wfile.write(CONTENT[:100_000])
            handler.wfile.flush()
            killed.wait(20)
        else:
            body(CONTENT)(handler)

    killed = threading.Event()
    with serve(slowly) as site:
        script = textwrap.dedent(f"""
            from pathlib import Path
            from workshop.data.download import Downloader
            Downloader(on_progress=lambda *row: print(row[1], flush=True)).download(
                ["{site.url}"], Path(r"{tmp_path / "set.bin"}"), "{SHA256}", {len(CONTENT)})
        """)
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        while int(child.stdout.readline()) < 100_000:
            pass
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        killed.set()
        assert not (tmp_path / "set.bin").exists()
        bring(tmp_path / "set.bin", site.url)
    assert (tmp_path / "set.bin").read_bytes() == CONTENT
    assert site.requests[1][1]["Range"].startswith("bytes=")
