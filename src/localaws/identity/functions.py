"""Functions and IAM: what a function may do, who may call it, and whose rights write its log.

Try it:  aws lambda remove-permission, then upload a picture: the log says who may not call the function
A function runs with a session of its role, which Lambda must be trusted with; a service calls it only where
the function's own policy lets it (lambda:AddPermission); its log is written with its role's rights. Knows
where ministack calls functions from.
"""

import contextlib
import contextvars
import logging
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from localaws import identity
from localaws.afterimport import after_import
from localaws.identity import roles as identity_roles

logger = logging.getLogger("localaws")
Function = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A service that is about to call a function, and what for."""

    service: str
    arn: str


_source: contextvars.ContextVar[Source | None] = contextvars.ContextVar("localaws_source", default=None)


def install() -> None:
    """Hook into the modules that call functions; nothing without enforcement."""
    import ministack.app

    if not ministack.app.AUTH:
        return
    sessions = Sessions()
    after_import("ministack.core.lambda_runtime", lambda module: _give(module, sessions))
    after_import("ministack.services.lambda_svc", lambda module: _hook_functions(module, sessions))
    after_import("ministack.services.eventbridge", _hook_events)
    after_import("ministack.services.s3", _hook_buckets)
    after_import("ministack.services.sns", _hook_topics)
    after_import("ministack.services.apigateway", _hook_http_apis)
    after_import("ministack.services.apigateway_v1", _hook_rest_apis)


class Sessions:
    """A session of its role for each function: secret, where ministack's could be computed by anyone."""

    def __init__(self) -> None:
        self._variables: dict[tuple[str, str], dict[str, str]] = {}

    def credentials(self, config: Function) -> dict[str, str]:
        """The variables of a function's environment that make it its role."""
        from ministack.services import sts

        arn, role = config.get("FunctionArn", ""), config.get("Role", "")
        found = self._variables.get((arn, role))
        if not found or found["AWS_ACCESS_KEY_ID"] not in sts._sessions:
            found = self._variables[(arn, role)] = _session(arn, role)
        return found


def role_session(config: Function) -> str:
    """The principal that a function's calls come from."""
    return identity.session_arn(str(config.get("Role", "")), str(config.get("FunctionName", ""))[:64])


def may_call(function_arn: str, source: Source) -> bool:
    """Whether the function's own policy lets a service call it for what it does it for."""
    from ministack.core import iam_evaluator
    from ministack.services import lambda_svc

    found = lambda_svc.function_policy_for_arn(function_arn)
    if found is None:
        return True  # no function: that is another error
    policy, owner = found
    asked = iam_evaluator.EvalContext(
        principal_arn=source.service,
        principal_type="Service",
        principal_account="",
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=function_arn.split(":")[3],
        service_context={"aws:sourcearn": source.arn, "aws:sourceaccount": owner},
    )
    answer = iam_evaluator.evaluate_resource_policy(policy, asked, source.service)
    return bool(answer.decision == "Allow")


def _session(function_arn: str, role: str) -> dict[str, str]:
    from ministack.services import iam, sts

    key, secret, token = iam._gen_session_access_key(), secrets.token_urlsafe(30), iam._gen_session_token()
    name = function_arn.partition(":function:")[2].partition(":")[0]
    principal = role_session({"Role": role, "FunctionName": name})
    trusted = identity_roles.trusts(role, identity_roles.FUNCTIONS, {"aws:SourceArn": function_arn})
    if trusted:
        session = {
            "Arn": principal,
            "UserId": f"AROA:{name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        }
        sts.register_session(key, session)
    else:
        logger.warning("function %s runs without rights: Lambda can't assume its role %s", name, role)
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def _give(module: Any, sessions: Sessions) -> None:
    module.execution_credentials = sessions.credentials


def _hook_functions(module: Any, sessions: Sessions) -> None:
    _give(module, sessions)
    find, write, create = module._get_func_record_for_ref, module._emit_lambda_logs, module._create_function

    def find_for_service(reference: str) -> Any:
        function, config, name = find(reference)
        source = _source.get()
        if source and config and not may_call(config["FunctionArn"], source):
            logger.warning(
                "%s may not call the function %s for %s: its policy has no permission for it",
                source.service,
                name,
                source.arn,
            )
            return None, None, name
        return function, config, name

    def write_with_rights(function: Function, *given: Any, **more: Any) -> None:
        denied = _may_not_log(function.get("config") or function)
        if denied:
            logger.warning("the log of a function is lost: %s", denied.message)
        else:
            write(function, *given, **more)

    def create_with_trusted_role(data: Function) -> Any:
        role = str(data.get("Role") or "")
        if role.count(":") >= 5 and not identity_roles.trusts(role, identity_roles.FUNCTIONS):
            message = "The role defined for the function cannot be assumed by Lambda."
            return module.error_response_json("InvalidParameterValueException", message, 400)
        return create(data)

    module._get_func_record_for_ref = find_for_service
    module._emit_lambda_logs = write_with_rights
    module._create_function = create_with_trusted_role


def _may_not_log(config: Function) -> identity.Denied | None:
    from ministack.services import cloudwatch_logs

    arn, role = str(config.get("FunctionArn", "")), str(config.get("Role", ""))
    if role.count(":") < 5:
        return None
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config.get('FunctionName')}"
    resource = f"arn:aws:logs:{arn.split(':')[3]}:{arn.split(':')[4]}:log-group:{group}:log-stream:"
    wanted = ["CreateLogStream", "PutLogEvents"]
    if group not in cloudwatch_logs._log_groups:
        wanted.insert(0, "CreateLogGroup")
    for name in wanted:
        denied = identity.authorize(role_session(config), f"logs:{name}", resource)
        if denied:
            return denied
    return None


# ---- services that call functions ----------------------------------------------------------------------------


@contextlib.contextmanager
def _calling(service: str, arn: str) -> Iterator[None]:
    token = _source.set(Source(service, arn))
    try:
        yield
    finally:
        _source.reset(token)


def _hook_events(module: Any) -> None:
    invoke = module._invoke_target

    def invoke_for_rule(target: Any, event: Any, rule: Any, *more: Any, **named: Any) -> Any:
        with _calling("events.amazonaws.com", rule.get("Arn", "")):
            return invoke(target, event, rule, *more, **named)

    module._invoke_target = invoke_for_rule


def _hook_buckets(module: Any) -> None:
    deliver = module._deliver_event_to_lambda

    def deliver_for_bucket(arn: str, payload: Any, *more: Any) -> Any:
        records = payload.get("Records") or [{}]
        bucket = ((records[0].get("s3") or {}).get("bucket") or {}).get("name", "")
        with _calling("s3.amazonaws.com", f"arn:aws:s3:::{bucket}"):
            return deliver(arn, payload, *more)

    module._deliver_event_to_lambda = deliver_for_bucket


def _hook_topics(module: Any) -> None:
    deliver = module._deliver_to_lambda

    def deliver_for_topic(endpoint: str, envelope: str, topic_arn: str, *more: Any) -> Any:
        with _calling("sns.amazonaws.com", topic_arn):
            return deliver(endpoint, envelope, topic_arn, *more)

    module._deliver_to_lambda = deliver_for_topic


def _hook_http_apis(module: Any) -> None:
    proxy = module._invoke_lambda_proxy

    async def proxy_for_route(
        integration: Any, api: str, stage: str, path: str, method: str, *more: Any, **named: Any
    ) -> Any:
        route = (list(more[3:4]) or [named.get("route_key", "$default")])[0]
        verb, _, pattern = route.partition(" ")
        with _calling("apigateway.amazonaws.com", _api_arn(api, stage, verb, pattern)):
            return await proxy(integration, api, stage, path, method, *more, **named)

    module._invoke_lambda_proxy = proxy_for_route


def _hook_rest_apis(module: Any) -> None:
    proxy = module._invoke_lambda_proxy_v1

    async def proxy_for_method(
        integration: Any,
        api: str,
        stage: str,
        settings: Any,
        resource: Any,
        path: str,
        method: str,
        *more: Any,
        **named: Any,
    ) -> Any:
        with _calling("apigateway.amazonaws.com", _api_arn(api, stage, method, resource.get("path", path))):
            return await proxy(integration, api, stage, settings, resource, path, method, *more, **named)

    module._invoke_lambda_proxy_v1 = proxy_for_method


def _api_arn(api: str, stage: str, method: str, path: str) -> str:
    from ministack.core.responses import get_account_id, get_region

    plain = re.sub(r"\{[^}]*\}", "*", path.lstrip("/"))
    return f"arn:aws:execute-api:{get_region()}:{get_account_id()}:{api}/{stage}/{method}/{plain}"
