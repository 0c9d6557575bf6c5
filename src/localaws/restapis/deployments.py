"""A deployment is what a REST API was when it was made: methods that change later wait for the next one.

Try it:  python -m pytest tests/local/test_apigateway_stages.py -k deployment
ministack answers with the methods as they are now, so that a template whose deployment never changes would work
here and serve old methods on AWS. A copy of an API's resources, validators and models lies beside the API's own,
under API@DEPLOYMENT, and is what its stages answer with; snapshots keep it with everything else.
As in API Gateway's developer guide, "Deploy REST APIs in API Gateway".
"""

import contextvars
import copy
from typing import Any

COPIED = ("_resources", "_request_validators", "_models")
# Of the request that is being answered: the stage's deployment.
_deployment: contextvars.ContextVar[str] = contextvars.ContextVar("localaws_deployment", default="")


def hook(module: Any) -> None:
    """Change ministack's apigateway_v1."""
    _make_copies(module)
    _take_copies_away(module)
    _answer_with_copies(module)


def _make_copies(module: Any) -> None:
    create, create_stage = module._create_deployment, module._create_stage

    def create_with_copy(api_id: str, data: dict[str, Any]) -> Any:
        methods = [each.get("resourceMethods") for each in module._resources.get(api_id, {}).values()]
        if api_id in module._rest_apis and not any(methods):
            return module._v1_error("BadRequestException", "The REST API doesn't contain any methods", 400)
        before = set(module._deployments_v1.get(api_id, {}))
        answer = create(api_id, data)
        for deployment_id in set(module._deployments_v1.get(api_id, {})) - before:
            for name in COPIED:
                store = getattr(module, name)
                store[_place(api_id, deployment_id)] = copy.deepcopy(store.get(api_id, {}))
        return answer

    def create_stage_of_a_deployment(api_id: str, data: dict[str, Any]) -> Any:
        known = module._deployments_v1.get(api_id, {})
        if api_id in module._rest_apis and data.get("deploymentId") not in known:
            return module._v1_error("BadRequestException", "Invalid Deployment identifier specified", 400)
        if data.get("stageName") in module._stages_v1.get(api_id, {}):
            return module._v1_error("ConflictException", "Stage already exists", 409)
        return create_stage(api_id, data)

    module._create_deployment = create_with_copy
    module._create_stage = create_stage_of_a_deployment


def _take_copies_away(module: Any) -> None:
    delete, delete_api = module._delete_deployment, module._delete_rest_api

    def delete_with_copy(api_id: str, deployment_id: str) -> Any:
        if any(each["deploymentId"] == deployment_id for each in module._stages_v1.get(api_id, {}).values()):
            message = "Active stages pointing to this deployment must be moved or deleted"
            return module._v1_error("BadRequestException", message, 400)
        _forget(module, api_id, deployment_id)
        return delete(api_id, deployment_id)

    def delete_api_with_copies(api_id: str) -> Any:
        for deployment_id in list(module._deployments_v1.get(api_id, {})):
            _forget(module, api_id, deployment_id)
        return delete_api(api_id)

    module._delete_deployment = delete_with_copy
    module._delete_rest_api = delete_api_with_copies


def _answer_with_copies(module: Any) -> None:
    execute, match, fall_back = (
        module._execute_in_scope,
        module._match_resource_tree,
        module._match_greedy_fallback,
    )
    validate, authorization = module._check_request_validation, module.method_authorization_type

    async def execute_deployment(request: Any, api_id: str, stage_name: str, *more: Any) -> Any:
        stage = module._stages_v1.get(api_id, {}).get(stage_name) or {}
        token = _deployment.set(stage.get("deploymentId", ""))
        try:
            return await execute(request, api_id, stage_name, *more)
        finally:
            _deployment.reset(token)

    def place(api_id: str) -> str:
        """Where what is answered with lies; an older snapshot of the local AWS has no copies."""
        copied = _place(api_id, _deployment.get())
        return copied if copied in module._resources else api_id

    def authorization_type(api_id: str, stage_name: str, *more: Any) -> Any:
        token = _deployment.set(module.stages_for_api(api_id).get(stage_name, {}).get("deploymentId", ""))
        try:
            return authorization(api_id, stage_name, *more)
        finally:
            _deployment.reset(token)

    module._execute_in_scope = execute_deployment
    module._match_resource_tree = lambda api_id, segments: match(place(api_id), segments)
    module._match_greedy_fallback = lambda api_id, *more: fall_back(place(api_id), *more)
    module._check_request_validation = lambda method, api_id, *more: validate(method, place(api_id), *more)
    module.method_authorization_type = authorization_type


def _place(api_id: str, deployment_id: str) -> str:
    return f"{api_id}@{deployment_id}"


def _forget(module: Any, api_id: str, deployment_id: str) -> None:
    for name in COPIED:
        getattr(module, name).pop(_place(api_id, deployment_id), None)
