"""Print how a DAG run goes on: each task as it begins and ends, and what it says in between.

Try it:  workshop dag sentiment
Knows nothing of how it is run: events go in, lines come out.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from workshop.airflow.dag_results import MARKS
from workshop.execution import Event, Listener
from workshop.progress import clock as spelled

LONGEST_LINE = 160  # characters; the whole line is in Airflow's log and in CloudWatch


def printer(stream: Any = None, clock: Callable[[], float] = time.monotonic) -> Listener:
    """What prints to a stream, standard output if none is given."""
    began = clock()

    def show(event: Event) -> None:
        line = f"{spelled(clock() - began):>6}  {told(event)}"
        print(line, file=stream or sys.stdout, flush=True)

    return show


def told(event: Event) -> str:
    """One event as a line."""
    if event.kind == "line":
        return f"  {event.text[:LONGEST_LINE]}"
    if event.text == "running":
        return event.heading
    line = f"{MARKS.get(event.text, ' ')} {event.heading} {event.text} ({event.data['seconds']:.0f} s)"
    return f"{line}: {event.data['reason']}" if event.data["reason"] else line
