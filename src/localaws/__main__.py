"""The local AWS in the foreground.

Try it:  python -m localaws serve --state-dir .workshop --port 4566 --environment workshop=.venvs/workshop
"""

import argparse
import os
import sys
from pathlib import Path

from localaws import daemon
from localaws.errors import LocalAwsError
from localaws.server import SHORTEST_MINUTE_SECONDS, Options


def _named_path(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, Path(folder).absolute()


def _metric_seconds(text: str) -> float:
    seconds = float(text)
    if not SHORTEST_MINUTE_SECONDS <= seconds <= Options.metric_seconds:
        allowed = f"{SHORTEST_MINUTE_SECONDS:g} to {Options.metric_seconds:g}"
        raise argparse.ArgumentTypeError(f"{text} is not in {allowed}")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localaws", description="AWS on this machine.")
    serve = parser.add_subparsers(dest="command", required=True).add_parser(
        "serve", help="serve in the foreground until SIGTERM"
    )
    serve.add_argument("--state-dir", type=Path, required=True, help="folder that keeps state over restarts")
    serve.add_argument("--port", type=int, required=True, help="port on the loopback address")
    serve.add_argument("--region", default="us-east-1", help="region of clients that name none")
    serve.add_argument("--engine", choices=("auto", "process", "docker"), default="auto")
    serve.add_argument(
        "--environment",
        type=_named_path,
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="virtual environment that images with the label workshop.environment=NAME run in",
    )
    serve.add_argument(
        "--enforce",
        action=argparse.BooleanOptionalAction,
        default=Options.enforce,
        help="check each call's signature and its caller's IAM rights (default: %(default)s)",
    )
    serve.add_argument(
        "--learner-policy",
        type=Path,
        metavar="FILE",
        help="policy of the role that the key `local` stands for; without it an administrator's",
    )
    serve.add_argument(
        "--managed-policy",
        type=_named_path,
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="managed policy that the account has from its administrator, such as a permissions boundary",
    )
    serve.add_argument(
        "--learner-managed-policy",
        action="append",
        default=[],
        metavar="NAME",
        help="managed policy that the role of the key `local` has beside --learner-policy",
    )
    serve.add_argument(
        "--algorithm",
        type=_named_path,
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="what runs in the place of SageMaker's built-in algorithm NAME: a JSON file with an image's config",
    )
    serve.add_argument(
        "--record-decisions",
        action="store_true",
        help="keep every IAM decision in STATE_DIR/localaws/decisions.jsonl",
    )
    serve.add_argument("--layer-cache", type=Path, metavar="FOLDER", help="large layers that servers share")
    serve.add_argument(
        "--metric-seconds",
        type=_metric_seconds,
        default=Options.metric_seconds,
        metavar="SECONDS",
        help="how long CloudWatch's minute is here: metrics and alarms (default: %(default)s)",
    )
    serve.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Serve; exit status 1 with two lines for an expected failure."""
    given = _parser().parse_args(argv)
    options = Options(
        state_dir=given.state_dir.absolute(),
        port=given.port,
        region=given.region,
        engine=given.engine,
        environments=dict(given.environment),
        enforce=given.enforce,
        learner_policy=given.learner_policy,
        managed_policies=dict(given.managed_policy),
        learner_attached=tuple(given.learner_managed_policy),
        record_decisions=given.record_decisions,
        layer_cache=given.layer_cache,
        metric_seconds=given.metric_seconds,
        algorithms=dict(given.algorithm),
    )
    try:
        daemon.serve_here(options, given.ready_fd)
    except LocalAwsError as error:
        print(error, file=sys.stderr)
        if given.ready_fd is not None:
            os.write(given.ready_fd, f"{type(error).__name__}\n{error.message}\n{error.remedy}".encode())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
