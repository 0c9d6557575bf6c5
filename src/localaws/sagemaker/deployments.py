"""What an endpoint is to run, written down: the variants of a configuration with their models as they are now.

Try it:  aws sagemaker describe-endpoint --endpoint-name NAME
A deployment is kept in the endpoint's record, so that a configuration or a model that is deleted afterwards, as AWS
allows, is there when containers are started anew. Knows no containers.
"""

from collections.abc import Mapping

from localaws.sagemaker import endpointconfigs, models
from localaws.sagemaker.context import Context
from localaws.sagemaker.hosting import STARTUP_SECONDS
from localaws.sagemaker.refusals import invalid, unsupported
from localaws.sagemaker.store import Record


def refuse_rollout(deployment_config: Record) -> None:
    """Refuse the ways to shift traffic that are not here; all at once is."""
    if deployment_config.get("RollingUpdatePolicy"):
        raise unsupported("rolling deployments of endpoints")
    if (deployment_config.get("AutoRollbackConfiguration") or {}).get("Alarms"):
        raise unsupported("automatic rollback by alarms")
    policy = deployment_config.get("BlueGreenUpdatePolicy") or {}
    kind = (policy.get("TrafficRoutingConfiguration") or {}).get("Type", "ALL_AT_ONCE")
    if kind != "ALL_AT_ONCE":
        raise unsupported(f"traffic shifting of the type {kind}")


def of(context: Context, config_name: str) -> Record:
    """The deployment that a configuration describes.

    Errors: Refused when it, or a model of it, is not there, or asks for what is not here.
    """
    config = context.find(endpointconfigs.KIND, config_name)
    refuse_isolation(config)
    return {
        "config": config["EndpointConfigName"],
        "variants": [_variant(context, each) for each in config["ProductionVariants"]],
    }


def _variant(context: Context, variant: Record) -> Record:
    model = context.find(models.KIND, variant["ModelName"])
    refuse_isolation(model)
    return {
        "name": variant["VariantName"],
        "weight": float(variant.get("InitialVariantWeight", 1.0)),
        "count": int(variant.get("InitialInstanceCount") or 1),
        "instance_type": variant.get("InstanceType", ""),
        "routing": (variant.get("RoutingConfig") or {}).get("RoutingStrategy", "RANDOM"),
        "startup_seconds": float(
            variant.get("ContainerStartupHealthCheckTimeoutInSeconds") or STARTUP_SECONDS
        ),
        "model": model["ModelName"],
        "container": dict(model["_container"]),
        "role_arn": model.get("ExecutionRoleArn") or "",
    }


def refuse_isolation(record: Record) -> None:
    """Refuse models and configurations whose containers are to have no network: none could be asked anything."""
    if record.get("EnableNetworkIsolation"):
        raise unsupported("network isolation of models that serve (EnableNetworkIsolation)")


def retained(target: Record, current: Record, request: Record) -> Record:
    """The target with what UpdateEndpoint's request lets variants of the same name keep."""
    if not request.get("RetainAllVariantProperties"):
        return target
    excluded = {each["VariantPropertyType"] for each in request.get("ExcludeRetainedVariantProperties") or []}
    before = {each["name"]: each for each in current["variants"]}
    kept = [
        name
        for name, kind in (("weight", "DesiredWeight"), ("count", "DesiredInstanceCount"))
        if kind not in excluded
    ]
    variants = [
        each | {name: before[each["name"]][name] for name in kept if each["name"] in before}
        for each in target["variants"]
    ]
    return target | {"variants": variants}


def resized(current: Record, wishes: list[Record]) -> Record:
    """The deployment with other weights and numbers of instances, by variants' names. Errors: Refused."""
    by_name = {each["VariantName"]: each for each in wishes}
    unknown = sorted(set(by_name) - {each["name"] for each in current["variants"]})
    if unknown:
        names = ", ".join(unknown)
        raise invalid(
            f'The variant name(s) "{names}" is/are not present within endpoint configuration "{current["config"]}".'
        )
    if any(each.get("ServerlessUpdateConfig") for each in wishes):
        raise unsupported("serverless endpoints")
    variants = [_resized(each, by_name.get(each["name"], {})) for each in current["variants"]]
    if not any(each["weight"] for each in variants):
        raise invalid("The sum of all variant weights must be greater than 0.")
    return current | {"variants": variants}


def _resized(variant: Record, wish: Mapping[str, object]) -> Record:
    changed = {"weight": wish.get("DesiredWeight"), "count": wish.get("DesiredInstanceCount")}
    if changed["count"] == 0:
        raise unsupported("variants without instances (scaling to zero)")
    return variant | {name: value for name, value in changed.items() if value is not None}


def summaries(
    deployment: Record, now: float, images: Mapping[str, str], running: Mapping[str, int]
) -> list[Record]:
    """ProductionVariants of DescribeEndpoint. images: resolved, by variant; running: instances, by variant."""
    return [
        {
            "VariantName": each["name"],
            "DeployedImages": [
                {
                    "SpecifiedImage": each["container"]["Image"],
                    "ResolvedImage": images.get(each["name"]) or each["container"]["Image"],
                    "ResolutionTime": now,
                }
            ],
            "CurrentWeight": each["weight"],
            "DesiredWeight": each["weight"],
            "CurrentInstanceCount": running.get(each["name"], 0),
            "DesiredInstanceCount": each["count"],
        }
        for each in deployment["variants"]
    ]


def pending(deployment: Record, now: float) -> Record:
    """PendingDeploymentSummary while an update starts its instances."""
    return {
        "EndpointConfigName": deployment["config"],
        "StartTime": now,
        "ProductionVariants": [
            {
                "VariantName": each["name"],
                "CurrentWeight": each["weight"],
                "DesiredWeight": each["weight"],
                "CurrentInstanceCount": 0,
                "DesiredInstanceCount": each["count"],
                "InstanceType": each["instance_type"],
                "VariantStatus": [
                    {
                        "Status": "Creating",
                        "StatusMessage": f"Launching {each['count']} instance(s).",
                        "StartTime": now,
                    }
                ],
            }
            for each in deployment["variants"]
        ],
    }
