"""Become Airflow in a container: make its database, which takes seconds, and hand over.

Try it:  docker run IMAGE version
The container's own role is what the DAG acts with. The process is replaced, so signals and exit code are Airflow's.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from workshop.airflow import home as airflow_home
from workshop.settings import load


def main(
    arguments: Sequence[str] | None = None,
    become: Callable[[str, list[str], Mapping[str, str]], NoReturn] = os.execve,
) -> NoReturn:
    """Replace this process by `airflow` with these arguments; it returns only by an error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    settings = load()
    home = airflow_home.prepare(settings)
    program = str(airflow_home.program(settings))
    variables = {**os.environ, **airflow_home.configuration(settings, home)}
    sys.stdout.flush()
    become(program, [program, *given], variables)
    raise AssertionError("the process was not replaced")


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        from workshop.errors import WorkshopError

        if not isinstance(error, WorkshopError):
            raise
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
