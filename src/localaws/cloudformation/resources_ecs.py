"""CloudFormation types of ECS: each is sent through the ECS call that an API client would make.

Try it:  tests/local/test_localaws_resources.py -k task_definition
ministack has three of these types but drops what it does not know (a container's GPU request reads back as
`[{}]`); the API keeps everything, so the properties are translated by botocore's model and handed to it.
"""

from typing import Any

from localaws.cloudformation import provisioning, stabilizing
from localaws.cloudformation.provisioning import Made, Properties, ecs, physical_name, request


def install() -> None:
    """Put the types into ministack's table."""
    provisioning.add(
        "AWS::ECS::TaskDefinition", _create_task_definition, _delete_task_definition, _update_task_definition
    )
    provisioning.add("AWS::ECS::Service", _create_service, _delete_service, _update_service)
    provisioning.add("AWS::ECS::CapacityProvider", _create_provider, _delete_provider, _update_provider)
    provisioning.add(
        "AWS::ECS::ClusterCapacityProviderAssociations",
        lambda logical_id, properties, stack_name: _associate(properties),
        _dissociate,
        lambda physical_id, before, after, stack_name, logical_id: _associate(after),
    )
    provisioning.table()["AWS::ECS::Cluster"]["delete"] = lambda name, properties: _delete_cluster(name)
    for name in ("TaskDefinition", "CapacityProvider"):
        provisioning.tagged(f"AWS::ECS::{name}")
    provisioning.off_the_loop(
        "AWS::ECS::TaskDefinition",
        "AWS::ECS::Service",
        "AWS::ECS::CapacityProvider",
        "AWS::ECS::ClusterCapacityProviderAssociations",
        "AWS::ECS::Cluster",
    )


def _create_task_definition(logical_id: str, properties: Properties, stack_name: str) -> Made:
    given = request("RegisterTaskDefinition", properties)
    # Without a family AWS makes one of stack and logical id; a hyphen joins them.
    given.setdefault("family", physical_name(stack_name, logical_id))
    arn = ecs("RegisterTaskDefinition", given)["taskDefinition"]["taskDefinitionArn"]
    return arn, {"TaskDefinitionArn": arn}


def _update_task_definition(
    arn: str, before: Properties, after: Properties, stack_name: str, logical_id: str
) -> Made:
    """Tags change in place; anything else is a new revision, and CloudFormation takes the old one away."""
    if _only_tags_differ(before, after):
        _retag(arn, before, after)
        return arn, {"TaskDefinitionArn": arn}
    return _create_task_definition(logical_id, after, stack_name)


def _delete_task_definition(arn: str, properties: Properties) -> None:
    ecs("DeregisterTaskDefinition", {"taskDefinition": arn})


def _create_service(logical_id: str, properties: Properties, stack_name: str) -> Made:
    given = request("CreateService", properties)
    given.setdefault("serviceName", physical_name(stack_name, logical_id, 255))
    given.setdefault("desiredCount", 1)
    service = ecs("CreateService", given)["service"]
    try:
        return _service_made(service)
    except provisioning.ResourceFailed:
        # A resource that could not be made has no physical id here, so a rollback would not find it.
        ecs(
            "DeleteService",
            {"cluster": service["clusterArn"], "service": given["serviceName"], "force": True},
        )
        stabilizing.wait_until_gone(service)
        raise


def _service_made(service: dict[str, Any]) -> Made:
    """Once the service is stable: what CloudFormation knows of it."""
    stabilizing.wait_for_service(service)
    return service["serviceArn"], {"ServiceArn": service["serviceArn"], "Name": service["serviceName"]}


def _update_service(
    arn: str, before: Properties, after: Properties, stack_name: str, logical_id: str
) -> Made:
    where = {"cluster": after.get("Cluster", "default"), "service": arn.rpartition("/")[2]}
    changed = {name: value for name, value in after.items() if value != before.get(name)}
    service = ecs("UpdateService", request("UpdateService", changed) | where)["service"]
    try:
        made = _service_made(service)
    except provisioning.ResourceFailed:
        # A rollback here leaves out the resource that failed, which AWS takes back too.
        former = {name: before[name] for name in changed if name in before}
        _service_made(ecs("UpdateService", request("UpdateService", former) | where)["service"])
        raise
    _retag(arn, before, after)
    return made


def _delete_service(arn: str, properties: Properties) -> None:
    cluster = properties.get("Cluster", "default")
    service = {"cluster": cluster, "service": arn.rpartition("/")[2]}
    stabilizing.wait_until_gone(ecs("DeleteService", {**service, "force": True})["service"])


def _create_provider(logical_id: str, properties: Properties, stack_name: str) -> Made:
    given = request("CreateCapacityProvider", properties)
    given.setdefault("name", physical_name(stack_name, logical_id, 255))
    group = given.get("autoScalingGroupProvider")
    if group:
        group["autoScalingGroupArn"] = _group_arn(group["autoScalingGroupArn"])
    return ecs("CreateCapacityProvider", given)["capacityProvider"]["name"], {}


def _update_provider(
    name: str, before: Properties, after: Properties, stack_name: str, logical_id: str
) -> Made:
    if not _only_tags_differ(before, after):
        given = request("UpdateCapacityProvider", after)
        given["name"] = name
        (given.get("autoScalingGroupProvider") or {}).pop("autoScalingGroupArn", None)
        ecs("UpdateCapacityProvider", given)
    return name, {}


def _delete_provider(name: str, properties: Properties) -> None:
    ecs("DeleteCapacityProvider", {"capacityProvider": name})


def _group_arn(name_or_arn: str) -> str:
    """CloudFormation takes the group's name too, which is what `Ref` of a group gives."""
    from ministack.services import autoscaling

    group = autoscaling._asgs.get(name_or_arn)
    if group:
        return str(group["AutoScalingGroupARN"])
    if name_or_arn in (other["AutoScalingGroupARN"] for other in autoscaling._asgs.values()):
        return name_or_arn
    raise provisioning.failed(
        f"The specified Auto Scaling group ARN is invalid: {name_or_arn}", "InvalidRequest"
    )


def _associate(properties: Properties) -> Made:
    given = request("PutClusterCapacityProviders", properties)
    given.setdefault("capacityProviders", [])
    given.setdefault("defaultCapacityProviderStrategy", [])
    return ecs("PutClusterCapacityProviders", given)["cluster"]["clusterName"], {}


def _dissociate(cluster: str, properties: Properties) -> None:
    from ministack.services import ecs as service

    if service._resolve_cluster_name(cluster) in service._clusters:
        _associate({"Cluster": cluster, "CapacityProviders": [], "DefaultCapacityProviderStrategy": []})


def _delete_cluster(name: str) -> None:
    """Through DeleteCluster, whose refusal (a cluster with services, tasks or instances) must reach the
    stack."""
    ecs("DeleteCluster", {"cluster": name})


def _only_tags_differ(before: Properties, after: Properties) -> bool:
    return {**before, "Tags": None} == {**after, "Tags": None}


def _retag(arn: str, before: Properties, after: Properties) -> None:
    wanted = {tag["Key"]: str(tag.get("Value", "")) for tag in after.get("Tags") or []}
    gone = [tag["Key"] for tag in before.get("Tags") or [] if tag["Key"] not in wanted]
    if gone:
        ecs("UntagResource", {"resourceArn": arn, "tagKeys": gone})
    if wanted:
        tags = [{"key": key, "value": value} for key, value in wanted.items()]
        ecs("TagResource", {"resourceArn": arn, "tags": tags})
