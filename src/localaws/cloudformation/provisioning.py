"""The frame for CloudFormation types: how a type is added to ministack's table, and how one there is amended.

Try it:  tests/local/test_localaws_resources.py
Knows no single type. A handler takes (logical id, properties, stack name) and gives (physical id,
attributes); an exception fails the resource with the exception's text as the reason, as on AWS.
"""

import json
from collections.abc import Callable, Collection
from typing import Any

Properties = dict[str, Any]
Made = tuple[str, dict[str, Any]]
Create = Callable[[str, Properties, str], Made]
Update = Callable[[str, Properties, Properties, str, str], Made]
Delete = Callable[[str, Properties], None]

# Types whose handlers wait for something, or answer to a request of their own: never on the event loop.
_off_the_loop: set[str] = set()


class ResourceFailed(Exception):
    """A resource could not be made, changed or deleted; the text is what the stack's event shows."""


def failed(message: str, code: str = "GeneralServiceException") -> ResourceFailed:
    """The reason in the words in which CloudFormation's resource handlers give it."""
    return ResourceFailed(f'Resource handler returned message: "{message}" (HandlerErrorCode: {code})')


def table() -> dict[str, dict[str, Any]]:
    """ministack's handlers by type; what it adds to it is used at once."""
    from ministack.services.cloudformation import provisioners

    return provisioners._RESOURCE_HANDLERS  # type: ignore[no-any-return]


def add(type_name: str, create: Create, delete: Delete, update: Update | None = None) -> None:
    """Give a type its handlers, in place of those that ministack may have."""
    entry: dict[str, Any] = {"create": create, "delete": delete}
    if update:
        entry |= {"update": update, "update_with_logical_id": True}
    table()[type_name] = entry


def amend(type_name: str, then: Callable[[str, Properties, Properties], dict[str, Any] | None]) -> None:
    """Call `then(physical id, properties, previous properties)` after ministack's create and update.

    What it returns is added to the attributes that Fn::GetAtt answers.
    """
    entry = table()[type_name]
    create, update = entry["create"], entry.get("update")

    def create_and(logical_id: str, properties: Properties, stack_name: str) -> Made:
        physical_id, attributes = create(logical_id, properties, stack_name)
        return physical_id, {**attributes, **(then(physical_id, properties, {}) or {})}

    def update_and(physical_id: str, before: Properties, after: Properties, *rest: str) -> Made:
        assert update
        physical_id, attributes = update(physical_id, before, after, *rest)
        return physical_id, {**attributes, **(then(physical_id, after, before) or {})}

    entry["create"] = create_and
    if update:
        entry["update"] = update_and


def off_the_loop(*type_names: str) -> None:
    """Provision these types on a thread of their own."""
    from ministack.services.cloudformation import stacks

    if not _off_the_loop:
        original = stacks._runs_on_worker_thread
        stacks._runs_on_worker_thread = lambda name: name in _off_the_loop or original(name)
    _off_the_loop.update(type_names)


def tagged(type_name: str) -> None:
    """Let the stack's own tags reach this type, as they reach the ones that ministack has."""
    from ministack.services.cloudformation import provisioners

    provisioners._STACK_TAG_PROPERTY[type_name] = ("Tags", "list")


def replaced(type_name: str, name: str, properties: Collection[str]) -> None:
    """A change of any of these properties is another resource; name: the property that names it.

    The new one is made before the old one is taken away, with the rights that making it needs. Under a name of its
    template's own it is refused, as there can't be two of that name.
    """
    from ministack.services.cloudformation import provisioners

    provisioners._REPLACING_PROPERTIES[type_name] = tuple(properties)
    provisioners._CUSTOM_NAME_REPLACEMENT[type_name] = {"name": name}


def physical_name(stack_name: str, logical_id: str, longest: int = 128) -> str:
    """The name that AWS would make up for a resource without one."""
    from ministack.services.cloudformation import provisioners

    return str(provisioners._physical_name(stack_name, logical_id, max_len=longest))


def ecs(action: str, request: dict[str, Any]) -> dict[str, Any]:
    """Make an ECS call in this process, through whatever answers that action now."""
    from ministack.services import ecs as service

    status, _, body = service._dispatch_action(action, request)
    answer: dict[str, Any] = json.loads(body)
    if status >= 400:
        raise failed(str(answer.get("message") or answer.get("Message") or answer))
    return answer


def ec2(action: str, request: dict[str, str]) -> str:
    """Make an EC2 call in this process from its flat form; gives the XML."""
    from ministack.services import ec2 as service

    status, _, body = service._ACTION_MAP[action]({name: [value] for name, value in request.items()})
    text = body.decode() if isinstance(body, bytes) else str(body)
    if status >= 400:
        raise failed(text.partition("<Message>")[2].partition("</Message>")[0] or text)
    return text


def request(operation: str, properties: Any, service: str = "ecs") -> dict[str, Any]:
    """CloudFormation properties as the input of an API operation.

    botocore's model says each member's spelling (`ContainerDefinitions` is `containerDefinitions`) and
    type (a template may say "1" for 1), and where keys are the user's own (labels, log options) and must
    be left alone.
    """
    import botocore.session

    model = botocore.session.get_session().get_service_model(service)
    shaped: dict[str, Any] = _shaped(properties, model.operation_model(operation).input_shape)
    return shaped


def _shaped(value: Any, shape: Any) -> Any:
    if shape.type_name == "structure" and isinstance(value, dict):
        members = {name.lower(): (name, member) for name, member in shape.members.items()}
        found = ((members.get(key.lower()), item) for key, item in value.items() if item is not None)
        return {known[0]: _shaped(item, known[1]) for known, item in found if known}
    if shape.type_name == "list" and isinstance(value, list):
        return [_shaped(item, shape.member) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: _shaped(item, shape.value) for key, item in value.items()}
    return _scalar(value, shape.type_name)


def _scalar(value: Any, type_name: str) -> Any:
    if type_name in ("integer", "long"):
        return int(value)
    if type_name in ("double", "float"):
        return float(value)
    if type_name == "boolean":
        return str(value).lower() == "true"
    if type_name == "string":
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value
