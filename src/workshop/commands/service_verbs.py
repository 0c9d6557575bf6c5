"""The verbs of the service: deploy brings what is in the registry into service, ask asks it.

Try it:  workshop build serving && workshop push serving && workshop deploy && workshop ask "what a lovely morning"
"""

import argparse
from typing import Any

from workshop.commands.options import Verbs, add_json, add_verb, add_yes, print_json, settings_of


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    deploy = add_verb(
        verbs, common, "deploy", "bring the pushed image into service, and wait", "workshop deploy", _deploy
    )
    add_yes(deploy)
    ask = add_verb(verbs, common, "ask", "ask the service what a text says", 'workshop ask "fine"', _ask)
    ask.add_argument("text")
    add_json(ask)


def _deploy(arguments: argparse.Namespace) -> int:
    from workshop import spending
    from workshop.aws import services

    settings = settings_of(arguments)
    spending.confirm_stacks("workshop deploy", ["sentiment-service"], settings, arguments.yes)
    print(services.release(on_line=lambda line: print(line, flush=True), aws=_connected(arguments)))
    return 0


def _ask(arguments: argparse.Namespace) -> int:
    from workshop import ask
    from workshop.aws import services

    answer = ask.predict(services.url(aws=_connected(arguments)), arguments.text)
    if arguments.json:
        print_json(answer)
        return 0
    for prediction in answer["predictions"]:
        print(f"{prediction['label']}   (model {answer['version']})")
    return 0


def _connected(arguments: argparse.Namespace) -> Any:
    from workshop.aws import session

    return session.connect(settings_of(arguments))
