"""CloudFormation types of REST APIs, where ministack drops what changes an API's answers.

Try it:  python -m pytest tests/local/test_apigateway_stages.py -k stack
Knows which properties; what they do, API Gateway's own side does.
"""

import json
from typing import Any

from localaws.cloudformation import provisioning
from localaws.cloudformation.provisioning import Made, Properties, physical_name

METHOD, USAGE_PLAN = "AWS::ApiGateway::Method", "AWS::ApiGateway::UsagePlan"
STAGE, VALIDATOR = "AWS::ApiGateway::Stage", "AWS::ApiGateway::RequestValidator"
FLAGS = ("ValidateRequestBody", "ValidateRequestParameters")


def install() -> None:
    """Put the amendments into ministack's table."""
    provisioning.add(VALIDATOR, _create_validator, _delete_validator, _update_validator)
    provisioning.amend(METHOD, _validator)
    provisioning.amend(USAGE_PLAN, _limits_of_methods)
    provisioning.amend(STAGE, _expect_stage)


def _create_validator(logical_id: str, properties: Properties, stack_name: str) -> Made:
    from ministack.services import apigateway_v1

    given: dict[str, Any] = {name[0].lower() + name[1:]: _is_true(properties.get(name)) for name in FLAGS}
    given["name"] = properties.get("Name") or physical_name(stack_name, logical_id)
    status, _, body = apigateway_v1._create_request_validator(properties["RestApiId"], given)
    answer = json.loads(body)
    if status >= 400:
        raise provisioning.failed(str(answer["message"]), "InvalidRequest")
    return answer["id"], {"RequestValidatorId": answer["id"]}


def _update_validator(
    validator_id: str, before: Properties, after: Properties, stack_name: str, logical_id: str
) -> Made:
    """What it checks changes in place; another API or name is another validator."""
    from ministack.services import apigateway_v1

    if any(before.get(name) != after.get(name) for name in ("RestApiId", "Name")):
        return _create_validator(logical_id, after, stack_name)
    paths = {name: f"/{name[0].lower()}{name[1:]}" for name in FLAGS}
    changes = [
        {"op": "replace", "path": path, "value": str(_is_true(after.get(name))).lower()}
        for name, path in paths.items()
    ]
    apigateway_v1._update_request_validator(after["RestApiId"], validator_id, {"patchOperations": changes})
    return validator_id, {"RequestValidatorId": validator_id}


def _delete_validator(validator_id: str, properties: Properties) -> None:
    from ministack.services import apigateway_v1

    if properties["RestApiId"] in apigateway_v1._rest_apis:
        apigateway_v1._delete_request_validator(properties["RestApiId"], validator_id)


def _is_true(value: Any) -> bool:
    """Of a property, which a template may give as a text."""
    return str(value).lower() == "true"


def _validator(physical_id: str, properties: Properties, before: Properties) -> None:
    """A method without its validator would let every body through."""
    from ministack.services import apigateway_v1

    resource = apigateway_v1._resources[properties["RestApiId"]][properties["ResourceId"]]
    method = resource["resourceMethods"][properties["HttpMethod"]]
    method["requestValidatorId"] = properties.get("RequestValidatorId")


def _limits_of_methods(plan_id: str, properties: Properties, before: Properties) -> None:
    """Limits of single methods, in the spelling of the API."""
    from ministack.services import apigateway_v1

    plan = apigateway_v1._usage_plans[plan_id]
    for stage, given in zip(plan["apiStages"], properties.get("ApiStages") or [], strict=True):
        limits: dict[str, Any] = given.get("Throttle") or {}
        stage["throttle"] = {
            method: {
                "rateLimit": float(each.get("RateLimit", 0)),
                "burstLimit": int(each.get("BurstLimit", 0)),
            }
            for method, each in limits.items()
        }


def _expect_stage(stage: str, properties: Properties, before: Properties) -> None:
    """What is not there; and ministack's handler doesn't look whether API Gateway took the stage."""
    from ministack.services import apigateway_v1

    found = apigateway_v1._stages_v1.get(properties["RestApiId"], {}).get(stage)
    if found is None:
        raise provisioning.failed("Invalid Deployment identifier specified", "InvalidRequest")
    for name in ("AccessLogSetting", "CanarySetting", "CacheClusterEnabled"):
        if properties.get(name):
            raise provisioning.failed(
                f"The local AWS has no {name} of a stage of API Gateway", "InvalidRequest"
            )
