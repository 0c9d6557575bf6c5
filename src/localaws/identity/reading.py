"""One reading of each request: what IAM decides on is what the service will do.

Try it:  python -m pytest tests/local/test_identity_readings.py
ministack's services and its IAM each read a request for themselves, and don't agree: `Action` in the address and
another one in the body, a form in a call that takes JSON, a header that names another operation. A caller could
say one thing to IAM and another to the service. Here IAM looks only where the service of that protocol looks, and
a request with two readings is refused. Which protocols a service speaks is from its model in botocore. Knows no
policies.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qs

Headers = Mapping[str, str]
Query = Mapping[str, Any]

# Parameters in a form, or in the address of a GET (botocore: protocols query and ec2).
FORMS = {"autoscaling", "cloudformation", "ec2", "elasticloadbalancing", "iam", "ses", "sns", "sts"}
# Forms too, and JSON or CBOR from newer clients.
FORMS_OR_DOCUMENTS = {"monitoring", "sqs"}
# Method and path say what to do (rest-json, rest-xml).
PATHS = {"apigateway", "lambda", "pipes", "resource-groups", "route53", "s3", "scheduler"}
# Services of which some operations need no signature and have no action, such as signing in with a password.
OPEN = {"cognito-identity", "cognito-idp"}
FORM = "application/x-www-form-urlencoded"
PRESIGNED = "X-Amz-"
SES_V2 = "/v2/"


def install() -> None:
    """Stand before ministack's dispatch, and have it take parameters from bodies only where a service does."""
    import ministack.app

    dispatch, routing = ministack.app._dispatch_service_request, ministack.app._routing_params

    def parameters(method: str, path: str, headers: Headers, body: bytes, query: Query) -> Query:
        merged: Query = routing(method, path, headers, body, query)
        if merged is query:
            return query
        service = ministack.app.detect_service(method, path, headers, merged)
        return merged if service in FORMS | FORMS_OR_DOCUMENTS else query

    ministack.app._routing_params = parameters
    ministack.app._dispatch_service_request = _one_reading(dispatch)


def _one_reading(dispatch: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def dispatch_if_clear(
        method: str, path: str, headers: Headers, body: bytes, query: Query, request_id: str
    ) -> Any:
        import ministack.app

        merged = ministack.app._routing_params(method, path, headers, body, query)
        service = ministack.app.detect_service(method, path, headers, merged)
        why = two_readings(service, method, path, headers, body, query)
        return (
            _refusal(why, request_id)
            if why
            else await dispatch(method, path, headers, body, query, request_id)
        )

    return dispatch_if_clear


def two_readings(service: str, method: str, path: str, headers: Headers, body: bytes, query: Query) -> str:
    """Why a request to a service that takes forms could be read in two ways; '' if it can't."""
    if service not in FORMS | FORMS_OR_DOCUMENTS or (service == "ses" and path.startswith(SES_V2)):
        return ""
    own = [name for name in query if not name.startswith(PRESIGNED)]
    if headers.get("x-amz-target") or "/operation/" in path:
        if service in FORMS or own or (headers.get("x-amz-target") and "/operation/" in path):
            return "it names its operation in more than one place, or in one that this service does not know"
        return ""
    if body and (method != "POST" or not headers.get("content-type", "").startswith(FORM)):
        return f"parameters in a body are sent by POST, as {FORM}"
    if body and own:
        return "parameters are in the address or in the body, not in both"
    given = parse_qs(body.decode("utf-8", errors="replace"), keep_blank_values=True) if body else query
    twice = sorted(name for name, values in given.items() if isinstance(values, list) and len(values) > 1)
    return f"the parameter {twice[0]} is there twice" if twice else ""


def headers_read(service: str, path: str, headers: Headers) -> dict[str, str]:
    """The headers without those that name an operation to IAM, but not to a service of this protocol."""
    ignored = set() if service in FORMS | FORMS_OR_DOCUMENTS else {"content-type"}
    if service in PATHS or (service == "ses" and path.startswith(SES_V2)):
        ignored.add("x-amz-target")
    return {name: value for name, value in headers.items() if name not in ignored}


def parameters_read(service: str, params: Query) -> dict[str, Any]:
    """The parameters that count: all of a form, those of an address, none beside a JSON document."""
    if service in FORMS | FORMS_OR_DOCUMENTS:
        return dict(params)
    if service in PATHS:
        return {name: value for name, value in params.items() if name != "Action"}
    return {}


def document_read(body: bytes) -> dict[str, Any]:
    """A JSON body as the services read it, whatever it is encoded in; empty if it is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _refusal(why: str, request_id: str) -> tuple[int, dict[str, str], bytes]:
    error = f"<Type>Sender</Type><Code>MalformedQueryString</Code><Message>{escape(why)}</Message>"
    body = f"<ErrorResponse><Error>{error}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    return 400, {"Content-Type": "text/xml"}, body.encode()
