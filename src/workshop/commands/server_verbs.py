"""The verbs that serve: lab here; jupyter, secondary and primary in an ECS task.

Try it:  workshop lab
"""

import argparse

from workshop.commands.options import Verbs, add_verb, settings_of


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    lab = add_verb(verbs, common, "lab", "open JupyterLab on the labs", "workshop lab", _lab)
    lab.add_argument("--jupyter-port", type=int, default=8888, help="the first port to try (default: 8888)")
    lab.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    for name, summary, call in (
        ("jupyter", "serve Jupyter inside a task; the token comes from JUPYTER_TOKEN", _jupyter),
        ("secondary", "answer a primary task, inside a task of its own", _secondary),
    ):
        verb = add_verb(verbs, common, name, summary, f"workshop {name} --listen 9000", call)
        verb.add_argument(
            "--listen", type=int, metavar="PORT", help="TCP port (default: the one that ECS maps)"
        )
    example = "workshop primary --secondary http://127.0.0.1:9000"
    primary = add_verb(verbs, common, "primary", "ask the secondary task who it is", example, _primary)
    primary.add_argument("--secondary", default="", help="its address (default: $SECONDARY)")


def _lab(arguments: argparse.Namespace) -> int:
    from workshop import jupyter_lab

    open_browser = not arguments.no_browser
    return jupyter_lab.serve(settings_of(arguments), arguments.jupyter_port, open_browser)


def _jupyter(arguments: argparse.Namespace) -> int:
    from workshop import jupyter_server

    return jupyter_server.main(_listen(arguments))


def _secondary(arguments: argparse.Namespace) -> int:
    from workshop import secondary

    return secondary.main(_listen(arguments))


def _primary(arguments: argparse.Namespace) -> int:
    from workshop import primary

    return primary.main(["--secondary", arguments.secondary] if arguments.secondary else [])


def _listen(arguments: argparse.Namespace) -> list[str]:
    return [] if arguments.listen is None else ["--port", str(arguments.listen)]
