"""What API Gateway refuses before a function sees it, and what it makes of a function's answer.

Try it:  python -m pytest tests/local/test_apigateway.py
Beside ministack's own checks (key, throttle, quota, schema): bodies over 10 MB, numbers that JSON has not, models
by content type, functions that fail, answer nonsense or take too long. Statuses and words are those of the
developer guide, "Gateway response types" and "Quotas for REST APIs"; that a body which Lambda refuses as too large
(6 MB) becomes a 413 as well is what users report, and documented nowhere.
"""

import asyncio
import json
from typing import Any

LARGEST_BODY_BYTES = 10 * 1024 * 1024
LARGEST_EVENT_BYTES = 6 * 1024 * 1024
LONGEST_MILLISECONDS = 29_000
TOO_LARGE = ("REQUEST_TOO_LARGE", "Request Too Long")
TOO_SLOW = ("INTEGRATION_TIMEOUT", "Endpoint request timed out")
FAILED = "Internal server error"
PARTS = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}
ANY_TYPE = "$default"
BODY = 6  # where ministack passes it to _execute_in_scope, counted from the request


def hook(module: Any) -> None:
    """Change ministack's apigateway_v1."""
    module._GATEWAY_RESPONSE_ERROR_TYPES.setdefault("REQUEST_TOO_LARGE", "RequestTooLargeException")
    module._GATEWAY_RESPONSE_ERROR_TYPES.setdefault("INTEGRATION_TIMEOUT", "InternalServerErrorException")
    module._GATEWAY_RESPONSE_ERROR_TYPES.setdefault("INVALID_API_KEY", "ForbiddenException")
    module._GATEWAY_RESPONSE_ERROR_TYPES.setdefault("QUOTA_EXCEEDED", "LimitExceededException")
    module._lambda_proxy_response = _understood
    _limit_bodies(module)
    _limit_time(module)
    _validate_as_aws(module)
    _switch_keys_off(module)


def _limit_bodies(module: Any) -> None:
    execute = module._execute_in_scope

    async def execute_small(*given: Any) -> Any:
        if len(given[BODY] or b"") > LARGEST_BODY_BYTES and _is_served(module, *given[1:3]):
            given[0]["stage"] = module._stages_v1[given[1]][given[2]]
            return module._gw_error(*TOO_LARGE)
        return await execute(*given)

    module._execute_in_scope = execute_small


def _is_served(module: Any, api_id: str, stage_name: str) -> bool:
    return stage_name in module._stages_v1.get(api_id, {})


def _limit_time(module: Any) -> None:
    proxy, call = module._invoke_lambda_proxy_v1, module._call_lambda_raw

    async def proxy_in_time(integration: Any, *given: Any, **named: Any) -> Any:
        seconds = (
            min(int(integration.get("timeoutInMillis") or LONGEST_MILLISECONDS), LONGEST_MILLISECONDS) / 1000
        )
        answering = asyncio.ensure_future(proxy(integration, *given, **named))
        done, _ = await asyncio.wait({answering}, timeout=seconds)
        if not done:  # the function itself runs on, as on AWS
            answering.add_done_callback(lambda late: late.cancelled() or late.exception())
            return module._gw_error(*TOO_SLOW)
        try:
            answered = answering.result()
        except _TooLarge:
            return module._gw_error(*TOO_LARGE)
        # Where ministack gives a function's failure away, AWS says no more than that there was one.
        return _unexplained(answered) if isinstance(answered, tuple) and answered[0] == 502 else answered

    async def call_with_small(reference: str, event: Any, **named: Any) -> Any:
        if len(event.get("body") or "") > LARGEST_EVENT_BYTES:
            raise _TooLarge
        return await call(reference, event, **named)

    module._invoke_lambda_proxy_v1 = proxy_in_time
    module._call_lambda_raw = call_with_small


class _TooLarge(Exception):
    """Lambda takes no event of this size."""


def _unexplained(answered: Any) -> Any:
    """A 502 of the gateway's own gets AWS's error type; a function may answer 502 itself."""
    status, headers, body = answered
    if body == json.dumps({"message": FAILED}).encode():
        headers = {**headers, "x-amzn-ErrorType": "InternalServerErrorException"}
    return status, headers, body


def _understood(result: Any) -> tuple[dict[str, Any] | None, str | None]:
    """What a function answered, for ministack; an error for a failure, and for what is not of the form that
    "Output format of a Lambda function for proxy integration" describes."""
    if result.get("error"):
        return None, FAILED
    if result.get("throttle"):
        return {"statusCode": 429, "body": json.dumps({"message": "Too Many Requests"})}, None
    answer = result.get("body")
    if isinstance(answer, str | bytes):
        try:
            answer = json.loads(answer)
        except ValueError:
            return None, FAILED
    return (answer, None) if _is_well_formed(answer) else (None, FAILED)


def _is_well_formed(answer: Any) -> bool:
    if not isinstance(answer, dict) or set(answer) - PARTS or "statusCode" not in answer:
        return False
    status, body = answer["statusCode"], answer.get("body")
    is_status = str(status).isdigit() and 100 <= int(status) <= 599
    return is_status and (body is None or isinstance(body, str))


def _validate_as_aws(module: Any) -> None:
    validate = module._check_request_validation

    def validate_by_type(method: Any, api: str, request: Any, headers: Any, body: bytes, query: Any) -> Any:
        """The model of exactly this content type, or of all others; without one the body is not looked at."""
        models = method.get("requestModels") or {}
        given = (module._header_ci(headers, "content-type") or "application/json").split(";", 1)[0].strip()
        model = models.get(given) or models.get(ANY_TYPE)
        known = {"application/json": model, given: model} if model else {}
        refused = validate({**method, "requestModels": known}, api, request, headers, body, query)
        validator = module._request_validators.get(api, {}).get(method.get("requestValidatorId")) or {}
        if refused is None and model and validator.get("validateRequestBody") and not _is_json(body):
            return module._gw_error("BAD_REQUEST_BODY", "Invalid request body")
        return refused

    module._check_request_validation = validate_by_type


def _switch_keys_off(module: Any) -> None:
    update = module._update_api_key

    def update_with_truth(key_id: str, data: Any) -> Any:
        """An API client sends "false", and a text is true to ministack."""
        given = data.get("patchOperations") or []
        for each in given:
            if each.get("path") == "/enabled":
                each["value"] = str(each.get("value")).lower() == "true"
        return update(key_id, data)

    module._update_api_key = update_with_truth


def _is_json(body: bytes) -> bool:
    """Whether it is JSON as others read it: Python takes NaN and Infinity too."""
    try:
        json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> None:
    raise ValueError(name)
