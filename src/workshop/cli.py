"""The `workshop` command.

Try it:  workshop --help
Thin: each verb's module in commands/ parses, calls one function and prints. Here: how errors and signals end.
Exit status: 0 done, 1 an expected failure, 2 wrong usage, 3 ended because another member of its group left,
130 interrupted, 143 terminated.
"""

import argparse
import errno
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from workshop.commands import (
    airflow_verbs,
    aws_verbs,
    image_verbs,
    lab_verbs,
    load_verb,
    machine_verbs,
    server_verbs,
    service_verbs,
    shell_verb,
)
from workshop.commands.options import adopted, settings_flags
from workshop.errors import WorkshopError
from workshop.settings import load

INTERRUPTED = 130
TERMINATED = 143


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        with adopted(arguments):
            return int(arguments.call(arguments))
    except WorkshopError as error:
        return _fail(error)
    except KeyboardInterrupt:
        print(f"\ninterrupted: what was done so far is kept{_way_on(arguments)}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `workshop … | head` is no error
        return 0
    except SystemExit as error:
        if error.code == TERMINATED:
            print(f"terminated: what was done so far is kept{_way_on(arguments)}", file=sys.stderr)
        raise
    except Exception as error:
        known = _disk_error(error) if isinstance(error, OSError) else _aws_error(error)
        if known is None:
            raise
        return _fail(known)


def parser() -> argparse.ArgumentParser:
    """Build the whole command line."""
    common = settings_flags()
    top = argparse.ArgumentParser(
        prog="workshop",
        description="Deep learning on Amazon ECS, end to end, for real on this machine or on AWS.",
        epilog="example:\n  workshop doctor && workshop run 1-4",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
    )
    verbs = top.add_subparsers(metavar="VERB", required=True)
    modules = (machine_verbs, lab_verbs, airflow_verbs, aws_verbs, image_verbs, shell_verb, server_verbs)
    for module in (*modules, service_verbs, load_verb):
        module.add(verbs, common)
    return top


def _fail(error: WorkshopError) -> int:
    sys.stdout.flush()
    print(error, file=sys.stderr)
    return error.exit_code


def _disk_error(error: OSError) -> WorkshopError | None:
    """What a disk refuses, with its remedy; None for any other error of the system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = error.filename or ", ".join(_full_folders())
        told = f"the disk is full{f' at {where}' if where else ''}"
        return WorkshopError(told, "free some space, then run it again: it goes on")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM) and error.filename:
        return WorkshopError(
            f"'{error.filename}' may not be written or read: {error.strerror}",
            "make the folder yours, or choose others: WORKSHOP_STATE_DIR, WORKSHOP_RUNS_DIR, WORKSHOP_CACHE_DIR",
        )
    return None


def _full_folders() -> list[str]:
    """Which of the places that we write to are full: writing to an open file does not tell its name."""
    settings = load()
    places = (settings.state_dir, settings.runs_dir, settings.cache_dir, Path(tempfile.gettempdir()))
    return [str(place) for place in places if place.is_dir() and shutil.disk_usage(place).free < 2**20]


def _aws_error(error: Exception) -> WorkshopError | None:
    """What boto3 raised where nobody said what was being done; None for any other error."""
    if "botocore" not in sys.modules:
        return None
    from workshop.aws import failures

    return failures.expected(error, "finish")


def _way_on(arguments: argparse.Namespace) -> str:
    return "; the same command with --resume goes on" if hasattr(arguments, "resume") else ""


def _terminate(number: int, frame: FrameType | None) -> None:
    """Leave through every `finally`, so that kernels and servers we started end with us."""
    raise SystemExit(TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
