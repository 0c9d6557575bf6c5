"""What our ECS hooks take for granted in ministack: at an upgrade, a failure names what broke."""

import inspect
from typing import Any

import pytest

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def ecs() -> Any:
    from ministack.services import ecs as service

    return service


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("_get_docker", []),
        ("_iso", []),
        ("_run_task_worker", ["task", "td", "container_overrides", "docker_client", "account_id", "region"]),
        ("_maybe_mark_stopped", ["task", "docker_client"]),
        ("_ensure_ecs_reaper_thread", []),
        ("_stop_task", ["data"]),
        ("_run_task", ["data"]),
        ("_recount_cluster", ["cluster_name"]),
        ("_resolve_td_key", ["ref"]),
        ("reset", []),
        ("_reconcile_service_tasks", ["cluster_name", "svc_key"]),
        ("_refresh_service_state", ["cluster_name", "group"]),
        ("_deployment_for_task", ["svc", "task"]),
        ("_start_restored_service_reconciler", []),
    ],
)
def test_function_that_is_replaced_has_the_expected_parameters(
    ecs: Any, name: str, parameters: list[str]
) -> None:
    assert list(inspect.signature(getattr(ecs, name)).parameters) == parameters


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("_bump_task_version", ["task"]),
        ("_mark_task_running", ["task_arn", "task"]),
        ("_resolve_service_ref", ["ref"]),
        ("_launch_choice", ["data", "cluster"]),
        ("_task_capacity", ["launch_type", "strategy"]),
        ("_resolve_cluster_name", ["ref"]),
        ("_resolve_td_key", ["ref"]),
        ("_resolve_task", ["ref", "cluster_name"]),
        ("_resolve_capacity_provider_name", ["ref"]),
        ("_image_repository", ["image"]),
        ("_sanitize", ["obj"]),
    ],
)
def test_function_that_is_called_has_the_expected_parameters(
    ecs: Any, name: str, parameters: list[str]
) -> None:
    assert list(inspect.signature(getattr(ecs, name)).parameters) == parameters


@pytest.mark.parametrize(
    "action",
    [
        "RunTask",
        "StopTask",
        "ExecuteCommand",
        "UpdateTaskProtection",
        "GetTaskProtection",
        "DescribeServiceDeployments",
        "ListServiceDeployments",
        "DescribeServiceRevisions",
        "RegisterTaskDefinition",
        "CreateService",
        "UpdateService",
        "DeleteService",
        "DeleteCluster",
        "ListContainerInstances",
        "DescribeContainerInstances",
    ],
)
def test_action_that_is_replaced_is_dispatched_through_the_map(ecs: Any, action: str) -> None:
    assert action in ecs._ACTION_MAP
    assert "_ACTION_MAP.get(action)" in inspect.getsource(ecs._dispatch_action)


@pytest.mark.parametrize(
    ("caller", "called"),
    [
        ("_run_task", "_get_docker()"),
        ("_run_task", "target=_run_task_worker"),
        ("_run_task", "_resolve_td_key(td_ref)"),
        ("_describe_task_definition", "_resolve_td_key(td_ref)"),
        ("_mark_task_running", "_refresh_service_state("),
        ("_mark_task_running", "_deployment_for_task("),
        ("load_persisted_state", "_start_restored_service_reconciler()"),
    ],
)
def test_replaced_function_is_still_called_by_its_name_in_the_module(
    ecs: Any, caller: str, called: str
) -> None:
    assert called in inspect.getsource(getattr(ecs, caller))


def test_numbers_pass_as_timestamps(ecs: Any) -> None:
    assert ecs._normalize_ecs_timestamps({"startedAt": 1.5}) == {"startedAt": 1.5}


def test_fields_with_an_underscore_stay_inside(ecs: Any) -> None:
    assert ecs._sanitize({"_needs": 1, "containers": [{"_x": 1, "name": "a"}]}) == {
        "containers": [{"name": "a"}]
    }


def test_metadata_endpoint_registers_and_forgets_containers() -> None:
    from ministack.services import ecs_metadata

    ecs_metadata.register_container("token-123", "arn", {"TaskARN": "arn"}, {"Name": "a"})
    ecs_metadata.set_task_status("arn", "RUNNING", None)
    assert ecs_metadata._TASKS["arn"]["KnownStatus"] == "RUNNING"
    ecs_metadata.unregister_token("token-123")
    assert "arn" not in ecs_metadata._TASKS


def test_credentials_path_reaches_the_handler_that_is_replaced() -> None:
    import ministack.app

    assert "imds" in ministack.app.SERVICE_HANDLERS
    assert inspect.iscoroutinefunction(ministack.app._get_module("imds").handle_request)


@pytest.mark.parametrize(
    "name",
    [
        "_initiate_layer_upload",
        "_upload_layer_part",
        "_complete_layer_upload",
        "_batch_check_layer_availability",
        "_get_download_url_for_layer",
        "_put_image",
        "_describe_images",
    ],
)
def test_registry_call_is_looked_up_when_it_is_made(name: str) -> None:
    from ministack.services import ecr

    assert list(inspect.signature(getattr(ecr, name)).parameters) == ["data"]
    assert f": {name}," in inspect.getsource(ecr.handle_request)


def test_registry_keeps_blobs_by_repository_and_digest() -> None:
    from ministack.services import ecr

    assert isinstance(ecr._layer_blobs, ecr.AccountRegionScopedDict)
    assert "_layer_blobs.setdefault(name, {})[" in inspect.getsource(ecr._v2_complete_blob_upload)


def test_network_interfaces_subnets_and_groups_are_records_by_their_ids() -> None:
    from ministack.services import ec2

    ec2._ensure_defaults_initialized()
    [subnet] = [each for each in ec2._subnets.values()][:1]
    assert {"VpcId", "AvailabilityZone"} <= set(subnet)
    assert "VpcId" in next(iter(ec2._security_groups.values()))
    assert "_network_interfaces.values()" in inspect.getsource(ec2._describe_network_interfaces)


def test_object_is_read_by_bucket_and_key() -> None:
    from ministack.services import s3

    assert list(inspect.signature(s3._get_object_data).parameters)[:2] == ["bucket_name", "key"]
    assert s3._get_object_data("no-such-bucket", "key") is None


def test_groups_capacity_is_set_by_name_and_number() -> None:
    from ministack.services import autoscaling

    assert autoscaling._p({"DesiredCapacity": ["3"]}, "DesiredCapacity") == "3"
    assert "_reconcile_instances(asg)" in inspect.getsource(autoscaling._set_desired_capacity)
