"""The verb that loads a server with requests: load.

Try it:  workshop load http://127.0.0.1:8080/predict --connections 16 --seconds 20
"""

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from workshop.commands.options import Verbs, add_json, add_verb, print_json
from workshop.errors import DataError

# Sentences of our own, with words that no training text has.
TEXTS = (
    "I love this place, and I will be back!",
    "My flight was late again, and nobody told us why",
    "The train leaves at half past nine from platform two",
    "so disapointed :( the zorbulator broke after one day",
    "Not bad at all, I did not expect that",
    "@sky_blue haha thaaaanks, made my day!!!",
    "The meeting was moved to Thursday",
    "I am never buying from them again. Never.",
)


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    example = "workshop load http://127.0.0.1:8080/predict --connections 16 --seconds 20"
    load = add_verb(verbs, common, "load", "send a server requests, and count how they end", example, _load)
    load.add_argument("url", metavar="URL", help="where to send them, as http://127.0.0.1:8080/predict")
    load.add_argument("--connections", type=int, default=16, help="how many at once (default: 16)")
    load.add_argument("--seconds", type=float, default=20.0, help="for how long (default: 20)")
    load.add_argument(
        "--texts", type=Path, help="a CSV file with a column text, sent in turn (default: a few sentences)"
    )
    add_json(load)


def _load(arguments: argparse.Namespace) -> int:
    from workshop import load

    bodies = [json.dumps({"text": text}).encode() for text in _texts(arguments.texts)]
    told = None if arguments.json else _tell_second
    outcome = load.run(arguments.url, bodies, arguments.connections, arguments.seconds, told)
    if arguments.json:
        print_json(asdict(outcome) | {"kinds": outcome.kinds(), "rate": round(outcome.rate, 1)})
    else:
        print(outcome)
    return 1 if outcome.failed or not outcome.requests else 0


def _tell_second(second: int, well: int, failed: int) -> None:
    print(f"second {second + 1:3d}: {well:6d} requests{f', {failed} FAILED' if failed else ''}", flush=True)


def _texts(path: Path | None) -> Sequence[str]:
    if path is None:
        return TEXTS
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found = [row["text"] for row in csv.DictReader(file) if row["text"].strip()]
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read as a CSV file with a column text: {error}") from error
    if not found:
        raise DataError(f"{path} holds no text", "name a CSV file with a column text")
    return found
