"""CloudWatch's requests and answers as documents, whichever of its protocols a client speaks.

Try it:  aws cloudwatch describe-alarms
CBOR and JSON are documents already; forms become them, and results XML, by the model (`localaws.forms`). Knows no
operation.
"""

from collections.abc import Mapping
from typing import Any

from localaws import forms, shapes

SERVICE = "cloudwatch"
Answer = tuple[int, dict[str, str], bytes]


def read(operation: str, params: Mapping[str, Any], document: dict[str, Any], is_form: bool) -> Any:
    """The request as its document. params: of a form; document: of CBOR or JSON."""
    if not is_form:
        return {name: value for name, value in document.items() if value is not None}
    form = {name: values[0] if isinstance(values, list) else values for name, values in params.items()}
    return forms.read(SERVICE, operation, form)


def answer(operation: str, result: dict[str, Any], is_cbor: bool, is_json: bool) -> Answer:
    """The result in the protocol of the request; times in it are seconds since the epoch."""
    from ministack.services import cloudwatch

    shape = shapes.model(SERVICE).operation_model(operation).output_shape
    encoded: Answer
    if is_cbor:
        encoded = cloudwatch._cbor_ok(shapes.known(result, shape, cloudwatch._cbor_timestamp))
    elif is_json:
        encoded = cloudwatch._json_ok(shapes.known(result, shape))
    else:
        encoded = cloudwatch._xml(200, f"{operation}Response", forms.result(SERVICE, operation, result))
    return encoded


def refusal(code: str, message: str, is_cbor: bool, is_json: bool, status: int = 400) -> Answer:
    """An error in the protocol of the request."""
    from ministack.services import cloudwatch

    refused: Answer = cloudwatch._error(code, message, status, use_json=is_json, use_cbor=is_cbor)
    return refused
