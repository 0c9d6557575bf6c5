"""What IAM is asked about each request: the action, its resources, condition keys, and the further rights
that some calls need beside their own.

Try it:  aws ecs run-task with a role that may not be passed
ministack asks about each signed request, and calls the functions that are replaced here by name on every
one. Which ARN a request means is `resources`' to say, which roles it hands on is `roles`'.
"""

import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localaws import identity
from localaws.front import EMULATED
from localaws.identity import loadbalancing, monitoring, reading, sagemaker, scaling
from localaws.identity import resources as identity_resources
from localaws.identity import roles as identity_roles
from localaws.identity.resources import Request, Right

# Actions by the operation whose name IAM does not use, in services that answer REST paths.
LAMBDA_ACTIONS = {
    "Invoke": "InvokeFunction",
    "InvokeWithResponseStream": "InvokeFunction",
    "GetLayerVersionByArn": "GetLayerVersion",
}

UNKNOWN = "UnknownOperation"
# What a bucket's policy or access list may open to everybody: S3 itself looks at them then. ministack lets the
# unsigned have all other calls.
OPENED = {f"s3:{name}Object" for name in ("Get", "Put", "Delete")}
OPENED |= {"s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions"}


@dataclass
class Asked:
    """One request's questions, from ministack's first call about it to the refusal, if there is one."""

    action: str = ""
    further: list[Right] = field(default_factory=list)
    denied: identity.Denied | None = None


_asked: contextvars.ContextVar[Asked] = contextvars.ContextVar("localaws_asked")


def install() -> None:
    """Take the place of ministack's own answers, where they differ from AWS's."""
    import ministack.app
    from ministack.core import iam_actions, iam_evaluator

    for name, module in (
        ("monitoring", monitoring),
        (scaling.NAME, scaling),
        (loadbalancing.NAME, loadbalancing),
        (sagemaker.NAME, sagemaker),
    ):
        identity_resources.RESOURCES[name] = module.resources
        identity_resources.CONTEXTS[name] = module.context
    iam_actions._BOTOCORE_SERVICE_MAP.setdefault("lambda", ["lambda"])
    iam_actions.extract_iam_action = _action(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = _resource(iam_actions.extract_resource_arn)
    iam_actions.request_tag_context = _context(iam_actions.request_tag_context)
    iam_actions.access_denied_response = _in_words_of_aws(iam_actions.access_denied_response)
    iam_evaluator.enforce = _with_further_rights(iam_evaluator.enforce)
    # A learner's client talks HTTP to this machine's loopback address, which nobody can listen to. On AWS it
    # would be HTTPS, and bucket policies that insist on that are not to refuse it here.
    origin = ministack.app.pin_request_origin
    ministack.app.pin_request_origin = lambda address, secure: origin(address, True)


def _lambda_action(method: str, path: str, params: reading.Query) -> str | None:
    """By AWS's own list of paths; ministack's is short, and takes what it does not know for another call."""
    from ministack.core import iam_actions

    name = iam_actions._match_rest_action("lambda", method, path, params)
    return f"lambda:{LAMBDA_ACTIONS.get(name, name)}" if name else None


def _action(original: Callable[..., str | None]) -> Callable[..., str | None]:
    def extract(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, params: dict[str, Any]
    ) -> str | None:
        seen, given = reading.headers_read(service, path, headers), reading.parameters_read(service, params)
        if service == "lambda":
            action = _lambda_action(method, path, given)
        elif service == sagemaker.NAME:
            action = sagemaker.action(method, path, headers)
        else:
            action = original(service, method, path, seen, body, given)
        if action is None and service in EMULATED - reading.OPEN:
            action = f"{service}:{UNKNOWN}"  # ministack would let everybody pass
        _asked.set(Asked(action or ""))
        return action

    return extract


def _resource(original: Callable[..., str]) -> Callable[..., str]:
    def extract(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        params: dict[str, Any],
        region: str,
        account: str,
    ) -> str:
        asked = _asked.get(None) or Asked()
        params = reading.parameters_read(service, params)
        found = original(service, method, path, headers, body, params, region, account)
        if asked.action in sagemaker.BODIES_OF_OTHERS:
            body = b""
        given = Request(service, asked.action, body, params, region, account, path)
        request = given.strictly()
        # Both readings: a service may also look at what its operation does not have.
        resources = list(
            dict.fromkeys(
                [*identity_resources.resources(request, found), *identity_resources.resources(given, found)]
            )
        )
        asked.further = [Right(asked.action, each) for each in resources[1:]]
        asked.further += identity_resources.listing(request)
        asked.further += identity_resources.tagging(request, resources[0])
        asked.further += identity_roles.passed(request)
        asked.further += scaling.further(request)
        asked.further += loadbalancing.further(request)
        asked.further += sagemaker.further(request)
        return resources[0]

    return extract


def _context(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def context(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        from ministack.core.responses import get_account_id, get_region

        params = reading.parameters_read(service, params)
        if action in sagemaker.BODIES_OF_OTHERS:
            body = b""
        request = Request(service, action, body, params, get_region(), get_account_id()).strictly()
        return {**original(service, action, body, params), **identity_resources.context(request)}

    return context


def _with_further_rights(original: Callable[..., Any]) -> Callable[..., Any]:
    from ministack.core import iam_evaluator

    def enforce(
        key: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        asked = _asked.get(None) or Asked()
        further, asked.further = asked.further, []
        rights = [Right(action, resource_arn, service_context or {}), *further]
        if service == "s3" and iam_evaluator._anonymous.get() and action not in OPENED:
            return iam_evaluator.AuthError("AccessDenied", "Access Denied")
        for right in rights:
            keys = {**(service_context or {}), **right.context} if right.action == action else right.context
            answer = original(key, right.action, right.service or service, region, right.resource_arn, keys)
            asked.denied = identity.denial(answer, right.action, right.resource_arn)
            if answer:
                return answer
        return None

    return enforce


def _in_words_of_aws(original: Callable[..., Any]) -> Callable[..., Any]:
    """Have a refusal name the action and the resource that it is about."""

    def response(service: str, *given: Any, **options: Any) -> Any:
        asked = _asked.get(None)
        denied = asked.denied if asked else None
        if denied and not options.get("error_code"):
            options["message"] = denied.message
            if service == "ec2":
                options["message"] = f"You are not authorized to perform this operation. {denied.message}"
        return original(service, *given, **options)

    return response
