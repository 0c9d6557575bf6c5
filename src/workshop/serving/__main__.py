"""Serve the published model: `python -m workshop.serving`.

Try it:  MODEL_URI=<folder> WORKSHOP_SERVING_PORT=8080 .venvs/serving/bin/python -m workshop.serving
The fetcher starts before the server is imported: bringing the model and importing take half a second each.
"""

import logging
import os
import signal
import sys
from types import FrameType

from workshop.errors import WorkshopError
from workshop.serving import configuration
from workshop.serving.model_feed import ModelFeed


def main() -> int:
    """Serve until SIGTERM. Returns: 0, or 1 if it could not begin."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    try:
        found = configuration.read()
    except WorkshopError as error:
        print(error, file=sys.stderr)
        return 1
    # NumPy's algebra library would start a thread for each processor and keep memory for each; nothing here uses it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    feed = ModelFeed(found)
    signal.signal(signal.SIGTERM, _end)
    try:
        feed.start()
        from workshop.serving import server

        return server.serve(found, feed)
    finally:
        feed.close()


def _end(number: int, frame: FrameType | None) -> None:
    """Before the server takes the signal there is nothing to finish."""
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
