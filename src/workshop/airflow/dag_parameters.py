"""The tasks of each DAG and the parameters that it takes: what Airflow checks, checked before Airflow starts.

Try it:  workshop dag sentiment --list
Each parameter is a JSON schema with a default, the form that Airflow's Param has. airflow/dags reads this table too.
"""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from workshop.errors import JobError

TASKS = {"sentiment": ("plan", "validate_data", "train", "evaluate", "gate", "publish", "roll_service")}
PARAMETERS: dict[str, dict[str, dict[str, Any]]] = {
    "sentiment": {
        "dataset": {
            "default": "tweets",
            "type": "string",
            "pattern": r"^([a-z][a-z0-9-]{0,40}|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/\S+)$",
            "description": "a name (s3://INPUT/sentiment/NAME.csv), or the s3:// address of a CSV with text,label_text",
        },
        "layout": {
            "default": "ours",
            "type": "string",
            "enum": ["ours", "published"],
            "description": "which network",
        },
        "num_epochs": {
            "default": 0,
            "type": "integer",
            "minimum": 0,
            "maximum": 100,
            "description": "passes over the texts; 0: the layout's number",
        },
        "members": {
            "default": 0,
            "type": "integer",
            "minimum": 0,
            "maximum": 8,
            "description": "networks that answer together; 0: the layout's number",
        },
        "seed": {
            "default": 10,
            "type": "integer",
            "minimum": 0,
            "maximum": 2**31 - 1,
            "description": "of the split and of the first weights",
        },
        "threshold": {
            "default": 0.6,
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "the least accuracy that goes into service",
        },
        "launch_type": {
            "default": "EC2",
            "type": "string",
            "enum": ["EC2", "FARGATE"],
            "description": "where ECS runs the two jobs",
        },
        "run": {
            "default": "",
            "type": "string",
            "pattern": r"^[A-Za-z0-9_.:+-]{0,100}$",
            "description": "what results and version are called; empty: a new one. What a run has done is not redone",
        },
    }
}


def of(dag: str) -> dict[str, dict[str, Any]]:
    """The parameters of a DAG. Errors: JobError if there is no such DAG."""
    if dag not in PARAMETERS:
        raise JobError(
            f"there is no DAG '{dag}' (there are: {', '.join(PARAMETERS)})", "workshop dag sentiment"
        )
    return PARAMETERS[dag]


def checked(dag: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter with its value, given or default. Errors: JobError with all that is wrong with them."""
    import jsonschema

    known = of(dag)
    problems = [_unknown(name, known) for name in given if name not in known]
    values = {name: given.get(name, schema["default"]) for name, schema in known.items()}
    for name, schema in known.items():
        for problem in jsonschema.Draft202012Validator(schema).iter_errors(values[name]):
            problems.append(f"{name}: {problem.message}")
    if problems:
        raise JobError("; ".join(problems), f"workshop dag {dag} --list   names them all")
    return values


def read(dag: str, pairs: Mapping[str, str]) -> dict[str, Any]:
    """Values as they were typed, as what they mean: a number where the parameter is one. `checked` judges them."""
    known = of(dag)
    return {name: _meant(text, known.get(name, {}).get("type", "string")) for name, text in pairs.items()}


def _meant(text: str, kind: str) -> Any:
    if kind == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # refused with its parameter's name, where all is


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"there is no parameter '{name}'" + (f"; did you mean '{near[0]}'?" if near else "")
