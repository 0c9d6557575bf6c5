"""Every name of ministack's API Gateway that the local AWS leans on is still there, with the shape that it leans on.

None of these is a documented interface; what they do is held by test_apigateway.py and test_apigateway_stages.py.
"""

import inspect
from typing import Any

import pytest
from ministack.services import apigateway_v1
from ministack.services.cloudformation import provisioners

pytestmark = pytest.mark.local
FUNCTIONS = {
    "_execute_in_scope": (
        "request api_id stage_name method path headers body query_params owner_account_id owner_region"
    ),
    "_invoke_lambda_proxy_v1": (
        "integration api_id stage_name stage resource request_path method headers body query_params path_params "
        "owner_account_id owner_region binary_media_types authorizer_context caller_identity"
    ),
    "_check_request_validation": "method_obj api_id request headers body query_params",
    "handle_execute": "api_id stage_name method path headers body query_params",
    "find_api_scope": "api_id",
    "stages_for_api": "api_id",
    "method_authorization_type": "api_id stage_name method path",
    "_match_resource_tree": "api_id segments",
    "_match_greedy_fallback": "api_id segments http_method",
    "_call_lambda_raw": "function_ref event account_id region",
    "_lambda_proxy_response": "result",
    "_create_deployment": "api_id data",
    "_delete_deployment": "api_id deployment_id",
    "_create_stage": "api_id data",
    "_delete_rest_api": "api_id",
    "_update_api_key": "key_id data",
    "_create_request_validator": "api_id data",
    "_update_request_validator": "api_id validator_id data",
    "_delete_request_validator": "api_id validator_id",
    "_gw_error": "response_type message",
    "_v1_error": "code message status",
    "_header_ci": "headers name",
}
STORES = (
    "_rest_apis",
    "_resources",
    "_request_validators",
    "_models",
    "_stages_v1",
    "_deployments_v1",
    "_usage_plans",
)
AMENDED = ("Method", "RequestValidator", "Stage", "UsagePlan")
SAGEMAKER = ("Endpoint", "EndpointConfig", "Model", "ModelPackageGroup")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_has_its_parameters(name: str) -> None:
    assert " ".join(inspect.signature(getattr(apigateway_v1, name)).parameters) == FUNCTIONS[name]


@pytest.mark.parametrize("name", STORES)
def test_store_is_scoped_and_kept(name: str) -> None:
    store: Any = getattr(apigateway_v1, name)
    assert all(hasattr(store, each) for each in ("get", "get_scoped", "pop", "__setitem__", "__contains__"))
    assert name.removeprefix("_") in apigateway_v1.get_state()


def test_a_body_is_the_seventh_of_what_a_request_is_answered_from() -> None:
    from localaws.restapis import answers

    assert FUNCTIONS["_execute_in_scope"].split()[answers.BODY] == "body"


@pytest.mark.parametrize("name", AMENDED)
def test_type_has_handlers_to_amend(name: str) -> None:
    handlers = provisioners._RESOURCE_HANDLERS[f"AWS::ApiGateway::{name}"]
    assert list(inspect.signature(handlers["create"]).parameters) == ["logical_id", "props", "stack_name"]


def test_request_validators_of_stacks_are_still_missing() -> None:
    """When ministack makes them, ours may go."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::RequestValidator"]["create"]
    assert "_create_request_validator" not in inspect.getsource(handler)


@pytest.mark.parametrize("name", SAGEMAKER)
def test_types_of_sagemaker_are_still_missing(name: str) -> None:
    assert f"AWS::SageMaker::{name}" not in provisioners._RESOURCE_HANDLERS


def test_types_say_what_replaces_them_in_two_tables() -> None:
    assert isinstance(provisioners._REPLACING_PROPERTIES["AWS::SNS::Topic"], tuple)
    assert "name" in provisioners._CUSTOM_NAME_REPLACEMENT["AWS::DynamoDB::Table"]
