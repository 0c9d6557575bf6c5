"""Several `airflow dags test` in one process, for tests: starting Airflow takes longer than what they look at.

Not a test; the environment `airflow` runs it. A line of JSON asks for a run, a line with its exit code answers. All
that Airflow writes goes to standard error.
"""

import json
import os
import sys
import traceback


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from airflow.cli import cli_parser

    parser = cli_parser.get_parser()
    for line in sys.stdin:
        arguments = parser.parse_args(["dags", "test", "--conf", line.strip(), "sentiment"])
        try:
            arguments.func(arguments)
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except Exception:
            traceback.print_exc()
            code = 70
        print(json.dumps(code), file=answers, flush=True)


if __name__ == "__main__":
    main()
