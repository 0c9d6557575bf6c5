"""The query protocol by botocore's model: a form becomes the document that other protocols send, an output XML.

Try it:  aws elbv2 describe-target-groups --debug
What can't be read stays as the text that it is, so that validation (`shapes.problem`) names it. Knows no service.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from localaws import shapes


def read(service: str, operation: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The form's members as the operation's input."""
    tree: dict[str, Any] = {}
    for name, value in form.items():
        *path, last = name.split(".")
        node = tree
        for part in path:
            if not isinstance(node.get(part), dict):
                node[part] = {}
            node = node[part]
        node[last] = value
    document: dict[str, Any] = _value(tree, shapes.model(service).operation_model(operation).input_shape)
    return document


def _value(node: Any, shape: Any) -> Any:
    if not isinstance(node, dict):
        # botocore spells an empty list as a member without a value.
        return [] if shape.type_name == "list" and not node else _scalar(node, shape.type_name)
    if shape.type_name == "structure":
        return {name: _value(node[name], member) for name, member in shape.members.items() if name in node}
    if shape.type_name == "list":
        items = node.get("member", node)
        numbers = sorted(filter(str.isdecimal, items), key=int) if isinstance(items, dict) else []
        return [_value(items[each], shape.member) for each in numbers]
    return node


def _scalar(text: str, kind: str) -> Any:
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind in ("double", "float"):
            return float(text)
    except ValueError:
        return text
    return text.lower() == "true" if kind == "boolean" else text


def result(service: str, operation: str, output: Mapping[str, Any]) -> str:
    """The result's element with what the model has of the output; '' where the operation answers nothing."""
    shape = shapes.model(service).operation_model(operation).output_shape
    return "" if shape is None else f"<{operation}Result>{_xml(output, shape)}</{operation}Result>"


def _xml(value: Any, shape: Any) -> str:
    """The inside of an element."""
    if shape.type_name == "structure":
        return "".join(
            f"<{name}>{_xml(value[name], member)}</{name}>"
            for name, member in shape.members.items()
            if value.get(name) is not None
        )
    if shape.type_name == "list":
        return "".join(f"<member>{_xml(item, shape.member)}</member>" for item in value)
    if shape.type_name == "timestamp" and not isinstance(value, str):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return str(value).lower() if isinstance(value, bool) else escape(str(value))
