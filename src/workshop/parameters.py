"""Read a job's parameters from its notebook, and check what was given against them before anything runs.

Try it:  workshop jobs train-images-mxnet
A job has one cell tagged `parameters`, of plain literals with a comment each; the cell is read with `ast`,
never run. Knows nothing of kernels, runs or AWS.
"""

import ast
import difflib
import io
import math
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workshop.errors import JobError

Value = int | float | bool | str | None
TAG = "parameters"


@dataclass(frozen=True)
class Parameter:
    """One parameter; `type` is int, float, bool, str, or any when the default is None."""

    name: str
    default: Value
    type: str
    comment: str


def read(cells: list[dict[str, Any]], where: str) -> dict[str, Parameter]:
    """Read the parameters of a notebook's cells; `where` names the notebook in errors.

    Errors: JobError unless exactly one cell is tagged `parameters` and all its lines are `name = literal`.
    """
    tagged = [cell for cell in cells if TAG in cell.get("metadata", {}).get("tags", [])]
    if len(tagged) != 1:
        raise JobError(
            f"{where} has {len(tagged)} cells tagged '{TAG}', and a job needs exactly one",
            f"tag the one cell of {where} that holds the parameters",
        )
    source = "".join(tagged[0]["source"])
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise JobError(f"the parameters cell of {where} is not Python: {error}", f"mend {where}") from error
    comments = _comments(source)
    problems: list[str] = []
    found: dict[str, Parameter] = {}
    for statement in statements:
        name, problem = _assignment(statement, found)
        if problem:
            problems.append(f"line {statement.lineno}: {problem}")
        else:
            default = ast.literal_eval(statement.value)  # type: ignore[attr-defined]
            comment = comments.get(statement.end_lineno or statement.lineno, "")
            found[name] = Parameter(name, default, _type_name(default), comment)
    if problems:
        raise JobError(
            f"the parameters cell of {where} holds more than `name = literal`: " + "; ".join(problems),
            "move what is derived from parameters to the next cell",
        )
    return found


def validate(parameters: Mapping[str, Parameter], given: Mapping[str, Any], job: str) -> dict[str, Value]:
    """Return the given values in their parameters' types; report every problem at once.

    Text is converted to the parameter's type, as it comes from a command line; an int may stand for a float.
    Errors: JobError that names each unknown name, with the nearest known one, and each value of a wrong type.
    """
    problems: list[str] = []
    values: dict[str, Value] = {}
    for name, value in given.items():
        if name not in parameters:
            problems.append(f"unknown parameter '{name}'{_nearest(name, parameters)}")
            continue
        try:
            values[name] = convert(parameters[name], value)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise JobError(f"job '{job}' can't take what was given:{listed}", f"workshop jobs {job}")
    return values


def convert(parameter: Parameter, value: Any) -> Value:
    """Bring a value to a parameter's type; ValueError says what was expected and what was found."""
    if parameter.type == "any":
        return _guess(value)
    if isinstance(value, str) and parameter.type != "str":
        value = _parse(parameter.type, value)
    if parameter.type == "float" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if _type_name(value) != parameter.type:
        raise ValueError(f"{value!r} is not {_article(parameter.type)} (default {parameter.default!r})")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number (default {parameter.default!r})")
    return value  # type: ignore[no-any-return]


def split(pairs: list[str]) -> dict[str, str]:
    """Split `name=value` pairs of a command line; all malformed and repeated ones are reported at once."""
    given: dict[str, str] = {}
    problems: list[str] = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            problems.append(f"'{pair}' is not name=value")
        elif name in given:
            problems.append(f"'{name}' is given twice")
        given[name] = value
    if problems:
        raise JobError("; ".join(problems), "give each parameter once, as -p name=value")
    return given


def _assignment(statement: ast.stmt, found: Mapping[str, Parameter]) -> tuple[str, str]:
    """Return the name a statement assigns and an empty string, or say why it is no parameter."""
    if not (
        isinstance(statement, ast.Assign)
        and len(statement.targets) == 1
        and isinstance(statement.targets[0], ast.Name)
    ):
        return "", f"`{ast.unparse(statement)}` is not an assignment of one name"
    name = statement.targets[0].id
    try:
        value = ast.literal_eval(statement.value)
    except (ValueError, TypeError):
        return name, f"the default of '{name}' is `{ast.unparse(statement.value)}`, which is not a literal"
    if not isinstance(value, int | float | str | None):
        return (
            name,
            f"the default of '{name}' is a {type(value).__name__}: int, float, bool, str or None can be",
        )
    if name in found:
        return name, f"'{name}' is assigned twice"
    return name, ""


def _comments(source: str) -> dict[int, str]:
    """Map each line to the comment at its end."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").rstrip() for t in tokens if t.type == tokenize.COMMENT}


def _type_name(value: Any) -> str:
    return "any" if value is None else type(value).__name__


def _parse(type_name: str, text: str) -> Value:
    """Read a command line's text as a type; text that is none of it is returned as it is, and refused
    later.
    """
    try:
        if type_name == "bool":
            return {"true": True, "false": False}[text.strip().lower()]
        return int(text) if type_name == "int" else float(text)
    except (KeyError, ValueError):
        return text


def _guess(value: Any) -> Value:
    """Read a value for a parameter whose default is None: a literal where the text is one, else the text."""
    if not isinstance(value, str):
        if isinstance(value, int | float | None):
            return value
        raise ValueError(f"a {type(value).__name__} can't be a parameter: int, float, bool, str or None can")
    try:
        literal = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return literal if isinstance(literal, int | float | str | None) else value


def _nearest(name: str, parameters: Mapping[str, Parameter]) -> str:
    near = difflib.get_close_matches(name, parameters, n=1, cutoff=0.5)
    return f": did you mean '{near[0]}'?" if near else f" (known: {', '.join(sorted(parameters))})"


def _article(type_name: str) -> str:
    return f"an {type_name}" if type_name == "int" else f"a {type_name}"
