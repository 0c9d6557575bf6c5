"""The container's entry point: `python -m linearlearner train` or `serve`, as SageMaker calls it.

Try it:  SAGEMAKER_BASE_DIR=/tmp/ml .venvs/linear-learner/bin/python -m linearlearner train
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html. SIGTERM ends training in
order, with the model so far (SageMaker waits two minutes for it), and serving at once.
"""

import argparse
import os
import signal
import sys
import threading
import traceback
from types import FrameType

from linearlearner.errors import LONGEST_FAILURE, ArtefactError, CustomerError
from linearlearner.folders import Folders, here

# The products here are small: on threads they take longer, and sum in another order on another machine.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")

OUR_MISTAKE, CUSTOMERS_MISTAKE = 1, 2  # as the built-in algorithms end


def main(arguments: list[str] | None = None) -> int:
    """Train or serve. Returns: 0; with the reason in output/failure, 2 for the customer's mistake, 1 for ours."""
    parser = argparse.ArgumentParser(prog="linearlearner", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("train", "serve"))
    what = parser.parse_args(arguments).what
    for name in THREADS:
        os.environ.setdefault(name, "1")
    folders = here()
    try:
        return _train(folders) if what == "train" else _serve(folders)
    except CustomerError as error:
        print(f"Customer Error: {error.failure.removeprefix('ClientError: ')}", file=sys.stderr, flush=True)
        return _failed(folders, error.failure, CUSTOMERS_MISTAKE)
    except Exception as error:
        traceback.print_exc()
        return _failed(folders, f"AlgorithmError: {type(error).__name__}: {error}", OUR_MISTAKE)


def _train(folders: Folders) -> int:
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    print("Docker entrypoint called with argument(s): train", flush=True)
    from linearlearner import training
    from linearlearner.log_lines import Log

    training.train(folders, Log(folders.host()), stop.is_set)
    return 0


def _serve(folders: Folders) -> int:
    def on_signal(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, on_signal)
    print("Docker entrypoint called with argument(s): serve", flush=True)
    from linearlearner import serving

    try:
        serving.serve(folders.model)
    except ArtefactError as error:
        print(f"error: the model can't be loaded: {error}", file=sys.stderr, flush=True)
        return OUR_MISTAKE
    return 0


def _failed(folders: Folders, reason: str, code: int) -> int:
    folders.failure.parent.mkdir(parents=True, exist_ok=True)
    folders.failure.write_text(reason[:LONGEST_FAILURE])
    return code


if __name__ == "__main__":
    sys.exit(main())
