"""Hold a service's raw answers against botocore's own model of it.

Not a test. botocore drops what its model does not know and leaves out what is missing, so a client that was
not written by us never complains: here the body itself is compared, before botocore reads it.
"""

import json
from collections.abc import Iterator
from typing import Any

from botocore.model import OperationModel, Shape

# Every ECS, ECR, Logs and Auto Scaling operation may answer these, though no model lists them (common errors).
COMMON_ERRORS = {"AccessDeniedException", "UnsupportedFeatureException", "ValidationException"}
# Members that are empty, on AWS too, when there is nothing to say.
MAY_BE_EMPTY = ("value", "message", "nextForwardToken", "nextBackwardToken")
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "blob": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float),  # the JSON protocols give seconds since 1970
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
}


class Watch:
    """Notes what is wrong with every answer that a client gets, and which operations it has asked for."""

    def __init__(self, client: Any) -> None:
        self.problems: list[str] = []
        self.answered: set[str] = set()
        self._service = client.meta.service_model
        client.meta.events.register("response-received", self._see)

    def _see(self, response_dict: dict[str, Any], **_: Any) -> None:
        name = response_dict["context"]["operation_name"]
        operation = self._service.operation_model(name)
        body = json.loads(response_dict["body"] or b"{}")
        if response_dict["status_code"] >= 300:
            found = list(wrong_error(operation, body))
        else:
            self.answered.add(name)
            found = list(wrong(operation.output_shape, body, name)) if operation.output_shape else []
        self.problems += found

    def checked(self) -> list[str]:
        """The problems so far, once; those of the next calls come anew."""
        found, self.problems = sorted(set(self.problems)), []
        return found


def wrong_error(operation: OperationModel, body: dict[str, Any]) -> Iterator[str]:
    """What the model does not foresee in an error."""
    code = str(body.get("__type", "")).rpartition("#")[2]
    known = {shape.metadata.get("error", {}).get("code", shape.name) for shape in operation.error_shapes}
    if code not in known | COMMON_ERRORS:
        yield f"{operation.name}: error {code!r} is none of {', '.join(sorted(known))}"
    if not (body.get("message") or body.get("Message")):
        yield f"{operation.name}: error {code!r} says nothing"


def wrong(shape: Shape, value: Any, place: str) -> Iterator[str]:
    """What the model does not foresee in a value: members, types, enums, and empty words."""
    if not isinstance(value, TYPES[shape.type_name]) or (
        isinstance(value, bool) and shape.type_name != "boolean"
    ):
        yield f"{place}: {value!r} is no {shape.type_name}"
    elif shape.type_name == "structure":
        yield from _wrong_members(shape, value, place)
    elif shape.type_name == "list":
        for each in value:
            yield from wrong(shape.member, each, f"{place}[]")
    elif shape.type_name == "map":
        for key, each in value.items():
            yield from wrong(shape.key, key, f"{place}{{}}")
            yield from wrong(shape.value, each, f"{place}{{{key}}}")
    elif shape.type_name == "string":
        yield from _wrong_word(shape, value, place)


def _wrong_members(shape: Shape, value: dict[str, Any], place: str) -> Iterator[str]:
    members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
    for name in shape.required_members:
        if shape.members[name].serialization.get("name", name) not in value:
            yield f"{place}.{name} is missing"
    for name, each in value.items():
        if name not in members:
            yield f"{place}.{name} is no member of {shape.name}"
        elif each is None:
            yield f"{place}.{name} is null, where AWS leaves it out"
        else:
            yield from wrong(members[name], each, f"{place}.{name}")


def _wrong_word(shape: Shape, value: str, place: str) -> Iterator[str]:
    if getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{place}: {value!r} is none of {', '.join(shape.enum)}"
    elif not value and place.rpartition(".")[2] not in MAY_BE_EMPTY:
        yield f"{place} is empty, where AWS leaves it out"
