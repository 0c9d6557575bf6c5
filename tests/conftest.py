"""What every tier shares: which test needs what, and what happens where it is missing.

A folder gives its tests their mark. A test is skipped only for what this machine can't have, and the skip
says what that is; where CI is set, a missing browser is a failure, since it could have been installed.
"""

import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from attendee import Attendee, attendee

TESTS = Path(__file__).parent
# Folders in the order they run (what fails fast comes first), each with the marks of its tests.
TIERS = {
    "fast": (),
    "local": ("local",),
    "docker": ("docker",),
    "gpu": ("gpu",),
    "browser": ("local", "browser"),
    "labs": ("local",),
    "aws": ("aws",),
}
# The first run of the course comes before the second one, in the same place.
FIRST_IN_FOLDER = ("test_make_workshop.py",)
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--aws", action="store_true", help="also run what spends money in your AWS account")


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C reach what the tests start: a shell starts background jobs deaf to it, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in TIERS.get(tier(item), ()):
            item.add_marker(mark)
    items.sort(key=_place)  # a stable sort: within a file the order stays


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what can't run here; fail what could."""
    for mark, missing in NEEDS.items():
        if item.get_closest_marker(mark) is None:
            continue
        reason = missing(item.config)
        if reason and mark == "browser" and in_ci():
            pytest.fail(f"{reason}; CI may not skip it: install Chromium there", pytrace=False)
        if reason:
            pytest.skip(reason)


def tier(item: pytest.Item) -> str:
    """The folder below tests/ that an item stands in."""
    below = item.path.relative_to(TESTS).parts if item.path.is_relative_to(TESTS) else ()
    return below[0] if len(below) > 1 else ""


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def chromium() -> str:
    """Chromium's program, or nothing; WORKSHOP_TEST_CHROMIUM names one in another place."""
    named = os.environ.get("WORKSHOP_TEST_CHROMIUM")
    return named or next((path for path in map(shutil.which, CHROMIUM) if path), "")


@functools.cache
def _answers(*command: str) -> str:
    """Nothing if a command ends with 0; else, in a few words, how it ended."""
    if shutil.which(command[0]) is None:
        return f"there is no {command[0]} on this machine"
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return f"`{' '.join(command)}` did not answer within 20 s"
    last = (ended.stderr.strip() or ended.stdout.strip() or "no message").splitlines()[-1]
    return f"`{' '.join(command)}` ended with {ended.returncode}: {last}" if ended.returncode else ""


def _no_docker(config: pytest.Config) -> str:
    reason = _answers("docker", "version", "--format", "{{.Server.Version}}")
    return f"no Docker engine answers: {reason}" if reason else ""


def _no_gpu(config: pytest.Config) -> str:
    reason = _answers("nvidia-smi", "-L")
    return f"no NVIDIA GPU: {reason}" if reason else ""


def _no_browser(config: pytest.Config) -> str:
    return "" if chromium() else f"no Chromium: none of {', '.join(CHROMIUM)} is on the path"


def _no_consent(config: pytest.Config) -> str:
    return "" if config.getoption("--aws") else "spends money in an AWS account: runs only with --aws"


NEEDS = {"docker": _no_docker, "gpu": _no_gpu, "browser": _no_browser, "aws": _no_consent}


def _place(item: pytest.Item) -> tuple[int, bool]:
    folders = list(TIERS)
    folder = tier(item)
    number = folders.index(folder) if folder in folders else len(folders)
    return number, item.path.name not in FIRST_IN_FOLDER


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attendee]:
    """One attendee for all tests that run whole labs: only the first of them finds a fresh place."""
    with attendee(tmp_path_factory.mktemp("course")) as one:
        yield one


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Attendee]:
    """An attendee of a test's own: nothing is up, nothing has run."""
    with attendee(tmp_path) as one:
        yield one


@pytest.fixture(scope="session")
def chromium_program() -> str:
    """The path of Chromium, for tests marked `browser`."""
    return chromium()
