"""ELBv2's requests and answers: forms and XML by botocore's model, and the API's errors.

Try it:  aws elbv2 describe-target-groups --debug
What the model forbids (a missing member, a value outside of an enum or a range) is refused here, in AWS's words.
Knows no operation.
"""

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from localaws import forms, shapes

SERVICE = "elbv2"
NAMESPACE = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"
Document = dict[str, Any]


class Refused(Exception):
    """An error of the API: its code and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def not_emulated(what: str) -> Refused:
    """A refusal by name."""
    return Refused(
        "UnsupportedOperation",
        f"the local AWS does not emulate {what}; help('localaws') lists what it leaves out",
    )


def operations() -> list[str]:
    """Every operation that AWS has."""
    return list(shapes.model(SERVICE).operation_names)


def read(operation: str, form: Mapping[str, str]) -> Document:
    """The form's members as the operation's input.

    Errors: Refused with ValidationError.
    """
    document = forms.read(SERVICE, operation, form)
    check(operation, document)
    return document


def check(operation: str, document: Document) -> None:
    """Refuse what the operation's model forbids.

    Errors: Refused with ValidationError, all problems in one.
    """
    problem = shapes.problem(SERVICE, operation, document)
    if problem:
        raise Refused("ValidationError", problem)


def answer(operation: str, output: Document, request_id: str) -> bytes:
    """The answer's XML; members that begin with an underscore are ours and left out."""
    return (
        f'<{operation}Response xmlns="{NAMESPACE}">{forms.result(SERVICE, operation, output)}'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    ).encode()


def error(refused: Refused, request_id: str) -> bytes:
    """An error's XML."""
    return (
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{refused.code}</Code>'
        f"<Message>{escape(refused.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    ).encode()
