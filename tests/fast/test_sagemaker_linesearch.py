"""Expressions that take for ever are given up, while everything else goes on."""

import threading
import time

import psutil
import pytest

from localaws.sagemaker import linesearch
from localaws.sagemaker.linesearch import Search, TooSlow


def test_first_group_of_each_expression_is_found_in_the_order_of_the_lines() -> None:
    search = Search(["loss=(\\S+)", "acc: (.+)", "no group", "(q)|b"])
    found = search.find(["loss=0.5 acc: 1", "nothing", "loss=é", "no group", "b"])
    search.close()
    assert found == [(0, "0.5"), (1, "1"), (0, "é")]


def test_expression_that_takes_for_ever_ends_and_nobody_waits_for_it() -> None:
    search = Search(["(a+)+$"])
    assert search.find(["a"]) == [(0, "a")]
    process = psutil.Process(search._process.pid)  # type: ignore[union-attr]
    slowest, over = 0.0, threading.Event()

    def look() -> None:
        with pytest.raises(TooSlow):
            search.find(["a" * 100 + "!"])
        over.set()

    began = time.monotonic()
    threading.Thread(target=look).start()
    while not over.is_set():
        before = time.monotonic()
        over.wait(0.01)
        slowest = max(slowest, time.monotonic() - before)
    assert slowest < 1 and time.monotonic() - began < linesearch.SECONDS + 5
    assert not process.is_running()


def test_process_that_was_ended_is_no_error_but_a_search_given_up() -> None:
    search = Search(["a"])
    search.find(["a"])
    search._process.kill()  # type: ignore[union-attr]
    with pytest.raises(TooSlow):
        search.find(["a"])
