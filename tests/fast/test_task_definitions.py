"""The task definitions on disk: complete, accepted by ECS's own model, small enough to run side by side."""

import json
import re
from pathlib import Path

import pytest

from workshop.aws import stacks, task_definitions, templates
from workshop.errors import AwsError

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ("jobs-mxnet", "jobs-tensorflow", "jupyter", "secondary")
# What an instance of the smallest allowed type registers with ECS, its own system having its share.
SMALLEST_CPU_UNITS = 4096
SMALLEST_MEMORY_MIB = 15_000
# vCPUs and GiB of every type that the cluster template allows.
TYPES = {
    "t3.xlarge": (4, 16),
    "m6i.xlarge": (4, 16),
    "m6i.2xlarge": (8, 32),
    "c6i.2xlarge": (8, 16),
    "g4dn.xlarge": (4, 16),
    "g4dn.2xlarge": (8, 32),
    "g5.xlarge": (4, 16),
    "g5.2xlarge": (8, 32),
    "g6.xlarge": (4, 16),
    "g6.2xlarge": (8, 32),
}

every_family = pytest.mark.parametrize("family", FAMILIES)


def read(family):
    return task_definitions.read(family, ROOT)


def outputs():
    paths = [ROOT / "cloudformation" / f"{concern}.yaml" for concern in stacks.COURSE]
    return {name for path in paths for name in templates.read(path).document["Outputs"]}


def filled(family, size="cpu"):
    values = {name: f"value-of-{name}" for name in outputs()} | {"AWS_REGION": "us-east-1", "Target": "local"}
    return task_definitions.fill(task_definitions.with_size(read(family), size), values)


def environment(definition):
    return {each["name"]: each["value"] for each in definition["containerDefinitions"][0]["environment"]}


def test_there_is_one_file_a_family_and_no_other():
    assert task_definitions.names(ROOT) == sorted((*FAMILIES, "sentiment"))  # test_serving_image.py


@every_family
def test_every_placeholder_is_an_output_of_a_stack_or_where_we_are(family):
    found = set(re.findall(r"\$\{(\w+)\}", json.dumps(read(family))))
    assert found
    assert found - outputs() <= {"AWS_REGION", "Target"}


@every_family
@pytest.mark.parametrize("size", task_definitions.SIZES)
def test_ecs_own_model_accepts_it_in_both_sizes(family, size):
    definition = filled(family, size)
    assert "${" not in json.dumps(definition)
    assert task_definitions.validate(definition) == []


def test_the_model_refuses_what_it_should():
    broken = filled("jobs-mxnet")
    broken["networkMode"] = "bridged"
    broken["containerDefinitions"][0]["memry"] = 1
    problems = " ".join(task_definitions.validate(broken))
    assert "bridged" in problems and "memry" in problems


@every_family
def test_family_and_container_have_one_name(family):
    definition = read(family)
    assert definition["family"] == family
    assert [each["name"] for each in definition["containerDefinitions"]] == [family]


@every_family
def test_nothing_secret_and_no_fixed_port_is_in_it(family):
    definition = read(family)
    container = definition["containerDefinitions"][0]
    assert [each["hostPort"] for each in container.get("portMappings", []) if each["hostPort"]] == []
    secret = re.compile(r"token|password|secret|key", re.IGNORECASE)
    assert [name for name in environment(definition) if secret.search(name)] == []
    assert definition["networkMode"] == "bridge"
    assert container["linuxParameters"]["capabilities"]["drop"] == ["ALL"]
    assert 2 <= container["stopTimeout"] <= 120


@every_family
def test_its_log_goes_to_its_own_stream_of_the_stacks_group(family):
    options = read(family)["containerDefinitions"][0]["logConfiguration"]["options"]
    assert options["awslogs-stream-prefix"] == family
    assert re.fullmatch(r"\$\{\w+LogGroup\}", options["awslogs-group"])
    assert options["awslogs-region"] == "${AWS_REGION}"


def test_a_server_has_the_health_check_and_the_port_that_it_names():
    for family, where in {"jupyter": "8888/api", "secondary": "8080/health"}.items():
        definition = read(family)
        container = definition["containerDefinitions"][0]
        assert environment(definition)["WORKSHOP_HEALTH"] == where
        assert [each["containerPort"] for each in container["portMappings"]] == [int(where.partition("/")[0])]
        assert container["healthCheck"]["command"] == ["CMD", "python", "-m", "workshop.health"]


def test_a_server_that_needs_no_rights_has_none():
    assert "taskRoleArn" not in read("secondary")
    assert read("jupyter")["taskRoleArn"] == "${JupyterTaskRoleArn}"


def test_the_gpu_variant_asks_for_one_gpu_and_changes_nothing_else():
    small, large = filled("jobs-mxnet"), filled("jobs-mxnet", "gpu")
    asked = large["containerDefinitions"][0].pop("resourceRequirements")
    assert asked == [{"type": "GPU", "value": "1"}]
    assert large.pop("family") != small.pop("family")
    assert large == small


def test_all_families_fit_at_once_on_the_smallest_instance_that_may_be_chosen():
    parameters = templates.read(ROOT / "cloudformation" / "cluster.yaml").document["Parameters"]
    allowed = [
        kind for name in ("GpuInstanceType", "CpuInstanceType") for kind in parameters[name]["AllowedValues"]
    ]
    assert sorted(allowed) == sorted(TYPES)
    assert min(TYPES[kind][0] for kind in allowed) * 1024 == SMALLEST_CPU_UNITS
    assert min(TYPES[kind][1] for kind in allowed) * 1024 > SMALLEST_MEMORY_MIB
    containers = [read(family)["containerDefinitions"][0] for family in FAMILIES]
    # An upload starts one more task of the TensorFlow family, while the others run.
    containers.append(read("jobs-tensorflow")["containerDefinitions"][0])
    assert sum(each["cpu"] for each in containers) <= SMALLEST_CPU_UNITS
    assert sum(each["memory"] for each in containers) <= SMALLEST_MEMORY_MIB


def test_the_function_starts_a_family_that_exists_by_its_container():
    parameters = templates.read(ROOT / "cloudformation" / "upload.yaml").document["Parameters"]
    assert parameters["TaskFamily"]["Default"] in FAMILIES


@pytest.mark.parametrize("family", ["jobs-mxnet", "jobs-tensorflow"])
def test_a_jobs_variant_for_fargate_is_a_size_that_fargate_has(family):
    moved = task_definitions.for_fargate(filled(family))
    assert (moved["family"], moved["networkMode"]) == (f"{family}-fargate", "awsvpc")
    assert moved["requiresCompatibilities"] == ["FARGATE"]
    assert (moved["cpu"], moved["memory"]) == ("1024", "3072")
    assert task_definitions.file_of(moved["family"]) == family
    assert task_definitions.validate(moved) == []


@pytest.mark.parametrize(
    ("cpu", "memory", "size"),
    [
        (64, 256, ("256", "512")),
        (256, 600, ("256", "1024")),
        (512, 8000, ("1024", "8192")),
        (2048, 1, ("2048", "4096")),
    ],
)
def test_what_a_container_asks_for_is_rounded_up_to_what_fargate_has(cpu, memory, size):
    definition = {"family": "x", "containerDefinitions": [{"name": "x", "cpu": cpu, "memory": memory}]}
    moved = task_definitions.for_fargate(definition)
    assert (moved["cpu"], moved["memory"]) == size


def test_what_fargate_can_not_hold_is_refused():
    with pytest.raises(AwsError, match="Fargate has no task"):
        task_definitions.for_fargate(
            {"family": "x", "containerDefinitions": [{"name": "x", "memory": 64 * 1024}]}
        )
