"""Requests and answers by botocore's model of the call: what is wrong with one, in the words that AWS's front ends
use, and what of the other is AWS's.

Try it:  aws application-autoscaling describe-scalable-targets --service-namespace eks
botocore's own validator looks at types and at what is missing; values and lengths it leaves to the service.
Knows no service.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from localaws.patterns import satisfies

TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "double": (int, float),
    "float": (int, float),
}
LENGTHS = ("string", "list", "map")


@cache
def model(service: str) -> Any:
    """botocore's model of a service."""
    from botocore.session import Session

    return Session().get_service_model(service)


def problem(service: str, operation: str, document: Any, patterns: bool = False) -> str:
    """AWS's sentence for all that is wrong; '' if nothing is. patterns: hold texts against the model's too."""
    shape = model(service).operation_model(operation).input_shape
    found = list(_problems(document, shape, "", patterns)) if shape is not None else []
    if not found:
        return ""
    return f"{len(found)} validation error{'s'[: len(found) > 1]} detected: {'; '.join(found)}"


def _problems(value: Any, shape: Any, path: str, patterns: bool) -> Iterator[str]:
    allowed = TYPES.get(shape.type_name)
    if allowed and (not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed)):
        yield _said(value, path, f"Member must be of type {shape.type_name}")
        return
    if shape.type_name == "structure":
        yield from _members(value, shape, path, patterns)
        return
    yield from _bounds(value, shape, path)
    pattern = shape.metadata.get("pattern") if patterns and shape.type_name == "string" else None
    if pattern and not satisfies(value, pattern):
        yield _said(value, path, f"Member must satisfy regular expression pattern: {pattern}")
    if shape.type_name == "list":
        for number, item in enumerate(value, 1):
            yield from _problems(item, shape.member, f"{path}.{number}.member", patterns)
    elif shape.type_name == "map":
        for key, item in value.items():
            for _ in _problems(key, shape.key, path, patterns) if patterns else ():
                yield _said(key, path, "Map keys must satisfy constraint: " + _constraints(shape.key))
            yield from _problems(item, shape.value, f"{path}.{key}.member", patterns)


def _members(value: dict[str, Any], shape: Any, path: str, patterns: bool) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield _said(None, _below(path, name), "Member must not be null")
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _problems(value[name], member, _below(path, name), patterns)


def _bounds(value: Any, shape: Any, path: str) -> Iterator[str]:
    if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
        allowed = ", ".join(sorted(shape.metadata["enum"]))
        yield _said(value, path, f"Member must satisfy enum value set: [{allowed}]")
    has_length = shape.type_name in LENGTHS
    size = len(value) if has_length else value
    what = "have length" if has_length else "have value"
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield _said(value, path, f"Member must {what} greater than or equal to {least}")
    if most is not None and size > most:
        yield _said(value, path, f"Member must {what} less than or equal to {most}")


def _constraints(shape: Any) -> str:
    """What a map's keys must be like, as AWS lists it."""
    said = {
        "max": "have length less than or equal to",
        "min": "have length greater than or equal to",
        "pattern": "satisfy regular expression pattern:",
    }
    known = [
        f"Member must {text} {shape.metadata[name]}" for name, text in said.items() if name in shape.metadata
    ]
    return f"[{', '.join(known)}]"


def _below(path: str, name: str) -> str:
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name


def _said(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def known(value: Any, shape: Any, as_time: Callable[[Any], Any] = lambda value: value) -> Any:
    """Only what the shape has of a value, so that our own notes in a record stay here; None has no members."""
    if shape is None:
        return {}
    if shape.type_name == "structure":
        return {
            name: known(value[name], member, as_time)
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if shape.type_name == "list":
        return [known(item, shape.member, as_time) for item in value]
    if shape.type_name == "map":
        return {key: known(item, shape.value, as_time) for key, item in value.items()}
    return as_time(value) if shape.type_name == "timestamp" else value
