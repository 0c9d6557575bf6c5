"""The verbs of Airflow: dag runs a DAG to its end, airflow opens the web UI.

Try it:  workshop dag sentiment -p num_epochs=3
"""

import argparse
import sys

from workshop.commands.options import Verbs, add_json, add_verb, add_yes, print_json, print_table, settings_of
from workshop.errors import WorkshopError

FIRST_PORT = 8080


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    dag = add_verb(
        verbs, common, "dag", "run a DAG with Airflow", "workshop dag sentiment -p num_epochs=3", _dag
    )
    dag.add_argument("name", help="the DAG: sentiment")
    dag.add_argument(
        "-p", dest="pairs", action="append", default=[], metavar="NAME=VALUE", help="a parameter"
    )
    dag.add_argument("--list", action="store_true", help="list its parameters and run nothing")
    add_yes(dag)
    add_json(dag)
    web = add_verb(
        verbs, common, "airflow", "open Airflow's web UI on this machine", "workshop airflow", _airflow
    )
    web.add_argument(
        "--airflow-port",
        type=int,
        default=FIRST_PORT,
        metavar="PORT",
        help=f"the first port to try on loopback (default: {FIRST_PORT})",
    )
    web.add_argument("--no-browser", action="store_true", help="do not open a browser")


def _dag(arguments: argparse.Namespace) -> int:
    from workshop import dags, local, parameters, spending
    from workshop.airflow import dag_parameters, dag_progress

    if arguments.list:
        rows = [
            [name, repr(schema["default"]), schema["type"], schema["description"]]
            for name, schema in dag_parameters.of(arguments.name).items()
        ]
        print_table(rows)
        return 0
    settings = settings_of(arguments)
    given = dag_parameters.read(arguments.name, parameters.split(arguments.pairs))
    dag_parameters.checked(arguments.name, given)
    if settings.target == "aws":
        spending.confirm(f"run the DAG {arguments.name}", 5, settings, arguments.yes)
    else:
        local.up(settings)
    stream = sys.stderr if arguments.json else sys.stdout
    ended = dags.run(arguments.name, given, dag_progress.printer(stream), settings)
    if arguments.json:
        print_json(ended.as_dict())
    else:
        print(f"\n{ended}\nlog: {ended.log}", flush=True)
    if not ended.passed:
        red = ended.red
        where = f"task {red.name}: {red.reason}" if red else "Airflow itself"
        raise WorkshopError(
            f"DAG {arguments.name} is red at {where}", (red.remedy if red else "") or f"read {ended.log}"
        )
    return 0


def _airflow(arguments: argparse.Namespace) -> int:
    from workshop.airflow import web as airflow_web

    settings = settings_of(arguments)
    return airflow_web.serve(settings, arguments.airflow_port, open_browser=not arguments.no_browser)
