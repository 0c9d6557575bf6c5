"""What our identity hooks take for granted in ministack: at an upgrade, a failure names what broke."""

import importlib
import inspect

import pytest

pytestmark = pytest.mark.local


@pytest.mark.parametrize(
    ("module", "name", "first"),
    [
        ("ministack.core.iam_evaluator", "is_root_access_key", ["access_key_id"]),
        ("ministack.core.iam_evaluator", "evaluate", ["ctx", "policies", "limits"]),
        (
            "ministack.core.iam_evaluator",
            "enforce",
            ["access_key_id", "iam_action", "service", "region", "resource_arn", "service_context"],
        ),
        ("ministack.core.iam_evaluator", "_permissions_boundary", ["store", "name", "account_id"]),
        ("ministack.core.iam_evaluator", "parse_policy_document", ["doc"]),
        (
            "ministack.core.iam_evaluator",
            "evaluate_resource_policy",
            ["doc", "ctx", "service", "named_only", "direct_only"],
        ),
        ("ministack.core.iam_evaluator", "resolve_caller_identity", ["access_key_id"]),
        ("ministack.core.iam_evaluator", "caller_arn", []),
        ("ministack.core.iam_evaluator", "validate_policy_document", ["doc"]),
        ("ministack.core.iam_actions", "_match_rest_action", ["service", "method", "path", "query_params"]),
        (
            "ministack.core.iam_actions",
            "extract_iam_action",
            ["service", "method", "path", "headers", "body", "query_params"],
        ),
        (
            "ministack.core.iam_actions",
            "extract_resource_arn",
            ["service", "method", "path", "headers", "body", "query_params", "region"],
        ),
        ("ministack.core.iam_actions", "request_tag_context", ["service", "iam_action", "body", "params"]),
        (
            "ministack.core.iam_actions",
            "access_denied_response",
            ["service", "action", "principal_arn", "request_id", "error_code", "message", "headers"],
        ),
        ("ministack.core.lambda_runtime", "execution_credentials", ["config"]),
        ("ministack.services.lambda_svc", "_get_func_record_for_ref", ["function_ref"]),
        (
            "ministack.services.lambda_svc",
            "_emit_lambda_logs",
            ["func", "request_id", "log_text", "error", "duration_ms", "log_source"],
        ),
        ("ministack.services.lambda_svc", "_create_function", ["data"]),
        ("ministack.services.lambda_svc", "function_policy_for_arn", ["resource_arn"]),
        ("ministack.services.lambda_svc", "execution_credentials", ["config"]),
        ("ministack.services.eventbridge", "_invoke_target", ["target", "event", "rule", "view"]),
        ("ministack.services.s3", "_deliver_event_to_lambda", ["arn", "event_payload", "bucket_region"]),
        (
            "ministack.services.sns",
            "_deliver_to_lambda",
            ["endpoint", "envelope", "topic_arn", "sub_arn", "msg_id", "raw_message", "message_attributes"],
        ),
        (
            "ministack.services.apigateway",
            "_invoke_lambda_proxy",
            ["integration", "api_id", "stage", "path", "method", "headers", "body"],
        ),
        (
            "ministack.services.apigateway_v1",
            "_invoke_lambda_proxy_v1",
            ["integration", "api_id", "stage_name", "stage", "resource", "request_path", "method"],
        ),
        ("ministack.services.ecr", "_get_authorization_token", ["data"]),
        (
            "ministack.services.ecr",
            "handle_registry_request",
            ["method", "path", "headers", "body", "query_params"],
        ),
        ("ministack.services.ecr", "_parse_v2_path", ["path"]),
        ("ministack.services.ecr", "_select_registry_request_scope", ["name", "headers", "query_params"]),
        ("ministack.services.ecr", "_registry_error", ["status", "code", "message", "detail"]),
        ("ministack.services.sts", "is_root_access_key", ["access_key_id"]),
        ("ministack.services.sts", "register_session", ["access_key", "session"]),
        ("ministack.services.sts", "_evict_expired_sessions", []),
        ("ministack.app", "pin_request_origin", ["source_ip", "secure_transport"]),
        (
            "ministack.app",
            "_dispatch_service_request",
            ["method", "path", "headers", "body", "query_params", "request_id"],
        ),
        ("ministack.app", "_routing_params", ["method", "path", "headers", "body", "query_params"]),
        ("ministack.app", "detect_service", ["method", "path", "headers", "query_params"]),
        ("ministack.services.ecs", "_resolve_task", ["ref", "cluster_name"]),
        ("ministack.services.ecs", "_resolve_task_ref", ["ref"]),
        ("ministack.services.iam", "_create_role", ["p"]),
        ("ministack.services.iam", "_gen_session_access_key", []),
        ("ministack.services.iam", "_gen_session_token", []),
        ("ministack.services.iam", "_gen_secret", []),
    ],
)
def test_function_that_is_used_or_replaced_begins_with_the_expected_parameters(
    module: str, name: str, first: list[str]
) -> None:
    found = getattr(importlib.import_module(module), name)
    assert list(inspect.signature(found).parameters)[: len(first)] == first


@pytest.mark.parametrize(
    ("module", "text"),
    [
        # Looked up at each call, so that what is put in their place is what is called.
        ("ministack.app", "from ministack.core.iam_evaluator import AuthError, enforce"),
        ("ministack.services.eventbridge", "_dispatch_to_lambda(arn"),
        ("ministack.core.iam_evaluator", "result = evaluate(ctx, principal.policies, *principal.limits)"),
        ("ministack.core.iam_evaluator", "limits = _permissions_boundary(iam_svc._roles"),
        ("ministack.core.iam_evaluator", "_anonymous.set("),
        ("ministack.core.iam_actions", "if service not in _BOTOCORE_SERVICE_MAP:"),
        ("ministack.app", "await _dispatch_service_request("),
        ("ministack.app", "handler = SERVICE_HANDLERS.get(service)"),
    ],
)
def test_line_that_a_hook_counts_on_is_there(module: str, text: str) -> None:
    assert text in inspect.getsource(importlib.import_module(module))
