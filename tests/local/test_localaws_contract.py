"""Every name of ministack's that the local AWS leans on is still there, with the shape that it leans on.

None of these is a documented interface, so an upgrade of ministack starts here. What they do is held by
the tests beside this one; ECS's hooks have a file of their own.
"""

import importlib
import inspect
from importlib.metadata import version
from typing import Any

import pytest

pytestmark = pytest.mark.local
SERVICES = "ministack.services"

# Called or replaced with these parameters, in this order.
FUNCTIONS = {
    "ministack.app:app": "scope receive send",
    "ministack.app:_get_module": "name",
    "ministack.app:_build_persistence_save_dict": "",
    "ministack.app:save_all": "services",
    "ministack.core.persistence:load_state": "service",
    "ministack.core.persistence:_state_format_version": "service",
    "ministack.core.persistence:_json_default": "obj",
    "ministack.core.responses:get_region": "",
    "ministack.core.responses:get_account_id": "",
    f"{SERVICES}.autoscaling:_reconcile_instances": "asg",
    f"{SERVICES}.autoscaling:_p": "params key",
    f"{SERVICES}.autoscaling:_xml": "status root_tag inner",
    f"{SERVICES}.autoscaling:_error": "code message status",
    f"{SERVICES}.cloudwatch:_store_datum": "namespace name dims ts unit value values counts stat_values",
    f"{SERVICES}.cloudwatch:_dims_key": "dims",
    f"{SERVICES}.cloudwatch:_calc_stats": "points",
    f"{SERVICES}.cloudwatch:_stat_value": "stats stat_name points",
    f"{SERVICES}.cloudwatch:_history_entries": "",
    f"{SERVICES}.cloudwatch:_evaluate_parent_alarms": "child seen",
    f"{SERVICES}.cloudwatch:_dispatch_alarm_actions": "alarm old_state new_state reason",
    f"{SERVICES}.cloudwatch:_evaluate_alarm": "alarm",
    f"{SERVICES}.cloudwatch:_evict_old_metrics": "",
    f"{SERVICES}.cloudwatch:_put_metric_alarm": "params cbor_data is_cbor is_json",
    f"{SERVICES}.cloudwatch:_put_composite_alarm": "params cbor_data is_cbor is_json",
    f"{SERVICES}.cloudwatch:_composite_children": "alarm",
    f"{SERVICES}.cloudwatch:_cbor_ok": "data",
    f"{SERVICES}.cloudwatch:_json_ok": "data",
    f"{SERVICES}.cloudwatch:_xml": "status root_tag inner",
    f"{SERVICES}.cloudwatch:_error": "code message status use_json use_cbor",
    f"{SERVICES}.cloudwatch:cloudformation_set_metric_alarm_tags": "name tags",
    f"{SERVICES}.sns:_fanout": (
        "topic_arn msg_id message subject message_structure message_attributes message_group_id message_dedup_id"
    ),
    f"{SERVICES}.sns:_topic_by_arn_any_scope": "topic_arn",
    f"{SERVICES}.iam:_gen_id": "prefix",
    f"{SERVICES}.ec2:_launch_instances_internal": (
        "image_id instance_type subnet_id count key_name user_data sg_ids requested_private_ip iam_profile"
    ),
    f"{SERVICES}.ec2:_resolve_iam_instance_profile": "iam_arn iam_name allow_missing",
    f"{SERVICES}.ec2:_parse_member_list": "params prefix",
    f"{SERVICES}.ecs:_dispatch_action": "action data",
    f"{SERVICES}.ecs:_resolve_cluster_name": "ref",
    f"{SERVICES}.s3:_delete_bucket": "name",
    f"{SERVICES}.s3:_put_bucket_tagging": "name body",
    f"{SERVICES}.s3:_delete_bucket_tagging": "name",
    f"{SERVICES}.s3:_put_bucket_encryption": "name body",
    f"{SERVICES}.s3:_delete_bucket_encryption": "name",
    f"{SERVICES}.s3:_put_bucket_lifecycle": "name body",
    f"{SERVICES}.s3:_delete_bucket_lifecycle": "name",
    f"{SERVICES}.s3:_put_bucket_ownership_controls": "name body",
    f"{SERVICES}.s3:_delete_bucket_ownership_controls": "name",
    f"{SERVICES}.s3:_put_bucket_versioning": "name body",
    f"{SERVICES}.s3:_fire_s3_event": (
        "bucket_name key event_name size etag deletion_type restore_event_data version_id sequencer "
        "object_extra record_extra"
    ),
    f"{SERVICES}.eventbridge:_dispatch_event": "event view",
    f"{SERVICES}.dynamodb:_update_ttl": "data",
    f"{SERVICES}.cloudformation.engine:_parse_template": "template_body",
    f"{SERVICES}.cloudformation.helpers:_resolve_template": "params",
    f"{SERVICES}.cloudformation.helpers:_error": "code message status",
    f"{SERVICES}.cloudformation.handlers:_capabilities_enforced": "",
    f"{SERVICES}.cloudformation.stacks:_runs_on_worker_thread": "resource_type",
    f"{SERVICES}.cloudformation.provisioners:_physical_name": (
        "stack_name logical_id lowercase max_len seeded"
    ),
    f"{SERVICES}.cloudformation.provisioners:_asg_launch_template": "spec",
    "ministack.core.iam_evaluator:evaluate": "ctx policies limits",
    "ministack.core.iam_evaluator:evaluate_resource_policy": "doc ctx service named_only direct_only",
    "ministack.core.iam_evaluator:parse_policy_document": "doc",
    "ministack.core.iam_evaluator:caller_arn": "",
    f"{SERVICES}.iam:_policy_exists": "arn",
    f"{SERVICES}.iam:store_policy": "arn name path document description tags",
    f"{SERVICES}.cloudformation.changesets:_find_change_set": "cs_name stack_name",
    f"{SERVICES}.cloudformation.handlers:_resolve_stack": "stack_name",
    f"{SERVICES}.cloudformation.helpers:_extract_members": "params prefix",
    f"{SERVICES}.cloudformation.provisioners:_provision_resource": "resource_type logical_id props stack_name",
    f"{SERVICES}.cloudformation.provisioners:_update_resource": (
        "resource_type physical_id old_props new_props stack_name logical_id old_attrs"
    ),
    f"{SERVICES}.cloudformation.provisioners:_delete_resource": (
        "resource_type physical_id props stack_name logical_id"
    ),
    f"{SERVICES}.cloudformation.stacks:_provision_resource": "resource_type logical_id props stack_name",
    f"{SERVICES}.cloudformation.stacks:_update_resource": (
        "resource_type physical_id old_props new_props stack_name logical_id old_attrs"
    ),
    f"{SERVICES}.cloudformation.stacks:_delete_resource": (
        "resource_type physical_id props stack_name logical_id"
    ),
    f"{SERVICES}.cloudformation.stacks:_replacing_change": "resource_type old_props new_props",
}

# Stores and tables that are read or added to.
STORES = {
    "ministack.app:SERVICE_HANDLERS",
    "ministack.app:SERVICE_REGISTRY",
    "ministack.app:_state_map",
    "ministack.core.router:SERVICE_PATTERNS",
    "ministack.core.iam_actions:SERVICE_TO_IAM_NAMESPACE",
    f"{SERVICES}.autoscaling:_ACTION_MAP",
    f"{SERVICES}.autoscaling:_asgs",
    f"{SERVICES}.cloudwatch:_alarms",
    f"{SERVICES}.cloudwatch:_composite_alarms",
    f"{SERVICES}.cloudwatch:_metrics",
    f"{SERVICES}.cloudwatch:_resource_tags",
    f"{SERVICES}.cloudwatch_logs:_log_groups",
    f"{SERVICES}.cloudformation:_stacks",
    f"{SERVICES}.cloudformation.provisioners:_RESOURCE_HANDLERS",
    f"{SERVICES}.cloudformation.provisioners:_STACK_TAG_PROPERTY",
    f"{SERVICES}.dynamodb:_tables",
    f"{SERVICES}.ec2:_ACTION_MAP",
    f"{SERVICES}.ec2:_instances",
    f"{SERVICES}.ec2:_launch_templates",
    f"{SERVICES}.ec2:_security_groups",
    f"{SERVICES}.ec2:_subnets",
    f"{SERVICES}.ec2:_tags",
    f"{SERVICES}.ec2:_volumes",
    f"{SERVICES}.ec2:_vpcs",
    f"{SERVICES}.ecs:_capacity_providers",
    f"{SERVICES}.ecs:_clusters",
    f"{SERVICES}.ecs:_services",
    f"{SERVICES}.ecs:_task_defs",
    f"{SERVICES}.ecs:_tasks",
    f"{SERVICES}.iam:_instance_profiles",
    f"{SERVICES}.iam:_policies",
    f"{SERVICES}.iam:_roles",
    f"{SERVICES}.ssm:_PUBLIC_AMI_PARAMETERS",
    f"{SERVICES}.tagging:_COLLECTORS",
}

# Types whose handlers are amended or replaced, and ones that are ours because ministack has none.
AMENDED = [
    "AWS::AutoScaling::AutoScalingGroup",
    "AWS::DynamoDB::Table",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::ECS::Cluster",
    "AWS::ECS::Service",
    "AWS::ECS::TaskDefinition",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
]
ADDED = [
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::ECS::CapacityProvider",
    "AWS::ECS::ClusterCapacityProviderAssociations",
]


def named(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


def test_version_is_the_one_that_was_measured() -> None:
    assert version("ministack") == "1.5.33"


@pytest.mark.parametrize("reference", FUNCTIONS)
def test_function_has_its_parameters(reference: str) -> None:
    assert " ".join(inspect.signature(named(reference)).parameters) == FUNCTIONS[reference]


@pytest.mark.parametrize("reference", sorted(STORES))
def test_store_is_like_a_dictionary(reference: str) -> None:
    store = named(reference)
    assert all(hasattr(store, name) for name in ("get", "items", "__setitem__", "__contains__", "__iter__"))


@pytest.mark.parametrize("name", AMENDED)
def test_type_has_handlers_to_amend(name: str) -> None:
    handlers = named(f"{SERVICES}.cloudformation.provisioners:_RESOURCE_HANDLERS")[name]
    assert list(inspect.signature(handlers["create"]).parameters) == ["logical_id", "props", "stack_name"]
    assert list(inspect.signature(handlers["delete"]).parameters) == ["physical_id", "props"]
    if "update" in handlers:
        parameters = ["physical_id", "old_props", "new_props", "stack_name"]
        assert list(inspect.signature(handlers["update"]).parameters)[:4] == parameters


@pytest.mark.parametrize("name", ADDED)
def test_type_that_we_add_is_still_missing(name: str) -> None:
    """When ministack gains it, ours may go."""
    assert name not in named(f"{SERVICES}.cloudformation.provisioners:_RESOURCE_HANDLERS")


def test_actions_that_are_wrapped_take_the_request_alone() -> None:
    wrapped = {"autoscaling": ["DeleteAutoScalingGroup"], "ec2": ["TerminateInstances"]}
    wrapped["ec2"] += [
        f"{verb}SecurityGroup{way}" for verb in ("Authorize", "Revoke") for way in ("Ingress", "Egress")
    ]
    for service, actions in wrapped.items():
        table = named(f"{SERVICES}.{service}:_ACTION_MAP")
        assert all(len(inspect.signature(table[action]).parameters) == 1 for action in actions)


def test_service_handler_takes_a_request_in_parts() -> None:
    parameters = inspect.signature(named("ministack.app:SERVICE_HANDLERS")["cloudformation"]).parameters
    assert list(parameters) == ["method", "path", "headers", "body", "query_params"]


def test_settings_are_read_from_the_environment_that_the_server_sets() -> None:
    import ministack.app
    from ministack.core import persistence
    from ministack.services import lambda_svc, s3

    sources = {module: inspect.getsource(module) for module in (ministack.app, persistence, s3)}
    expected = {
        ministack.app: ["GATEWAY_PORT", "IOT_MTLS_ENABLED", "LOG_LEVEL", "MINISTACK_ACCOUNT_ID"],
        persistence: ["PERSIST_STATE", "STATE_DIR"],
        s3: ["S3_PERSIST", "S3_DATA_DIR"],
    }
    for module, names in expected.items():
        assert all(f'"{name}"' in sources[module] for name in names)
    # Beside the states, so that functions' code is kept with them.
    assert lambda_svc.CODE_BLOB_DIR.startswith(persistence.STATE_DIR)
