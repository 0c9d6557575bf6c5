"""Each check of labs 1 to 4 passes on the real thing, and fails when what it checks is broken.

One local AWS for all, with the course's own stacks, images and tasks; only training is made up.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attendee import free_port

from workshop import checkpoints, course, datasets, local, policies
from workshop.aws import images, objects, session, stacks, tasks
from workshop.aws.session import Aws
from workshop.checkpoints import Failed
from workshop.checks import lab_01, lab_02, lab_03, lab_04
from workshop.ml import artefact
from workshop.ml.architecture import Architecture
from workshop.settings import load

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("functions", "task-definitions", "notebooks", "labs", "data", ".venvs", "src")
COPIED = ("cloudformation", "docker", "requirements", "pyproject.toml", "README.md")
PNG = b"\x89PNG\r\n\x1a\n rest"
TOKEN = "0123456789abcdef0123"
JUPYTER_START_SECONDS = 60
LINE = '{"epoch": 1, "weights_sha256": "9f", "loss": 2.1, "seconds": 1.0}\n'
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """Everything that a learner has at the start of lab 4, in a copy whose Dockerfiles may be broken."""
    folder = tmp_path_factory.mktemp("checks")
    root = folder / "root"
    root.mkdir()
    for name in LINKED:
        (root / name).symlink_to(ROOT / name)
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    # Who breaks what the checks look at is an administrator: a learner may not.
    policies.path(policies.LEARNER, root).write_text(json.dumps(ANYTHING))
    with pytest.MonkeyPatch.context() as patch:
        variables = {
            "ROOT": root,
            "STATE_DIR": folder / "state",
            "RUNS_DIR": folder / "runs",
            "ENGINE": "process",
        }
        for name, value in {**variables, "PORT": free_port(), "REGION": "eu-west-1"}.items():
            patch.setenv(f"WORKSHOP_{name}", str(value))
        for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "WORKSHOP_TARGET"):
            patch.delenv(name, raising=False)
        settings = load()
        try:
            course.prepare(4, settings, on_step=lambda step: None)
            yield session.current()
        finally:
            local.down(settings)


def fails(check: Callable[[], str], *words: str) -> None:
    """The check fails, says why and what mends it, and names what it is about."""
    with pytest.raises(Failed) as failed:
        check()
    assert failed.value.why and failed.value.fix
    for word in words:
        assert word in failed.value.what


def all_pass(lab: int) -> None:
    outcome = checkpoints.run(checkpoints.checks_of(lab), lab)
    assert outcome.passed, str(outcome)


def test_lab_1_passes(aws: Aws) -> None:
    all_pass(1)


def test_a_bucket_that_can_be_opened_fails(aws: Aws) -> None:
    s3, bucket = aws.client("s3"), stacks.output("OutputBucket")
    before = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    half = {**before, "BlockPublicPolicy": False}
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=half)
    fails(lab_01.buckets_are_closed, bucket, "BlockPublicPolicy")
    s3.delete_public_access_block(Bucket=bucket)
    fails(lab_01.buckets_are_closed, bucket)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=before)
    lab_01.buckets_are_closed()


def test_a_cluster_without_instances_fails(aws: Aws) -> None:
    ecs, cluster = aws.client("ecs"), stacks.output("ClusterName")
    [arn] = ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
    ecs.update_container_instances_state(cluster=cluster, containerInstances=[arn], status="DRAINING")
    fails(lab_01.instances_have_joined, cluster)
    ecs.update_container_instances_state(cluster=cluster, containerInstances=[arn], status="ACTIVE")
    lab_01.instances_have_joined()


def test_absent_stacks_and_outputs_fail(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_NAME", "elsewhere")
    for check in (lab_01.network_is_complete, lab_01.storage_is_complete, lab_01.cluster_is_complete):
        fails(check, "no stack elsewhere-")
    fails(lab_01.outputs_are_there, "network: VpcId", "cluster: ClusterName")


def test_log_retention_counts_only_through_the_stack(aws: Aws) -> None:
    fails(lab_01.logs_are_kept_longer, "14 days")
    group, logs = stacks.output("JobsLogGroup"), aws.client("logs")
    logs.put_retention_policy(logGroupName=group, retentionInDays=30)
    fails(lab_01.logs_are_kept_longer, "its stack says")
    stacks.deploy("storage", LogRetentionDays="30")
    assert "30 days" in lab_01.logs_are_kept_longer()


def test_lab_2_passes(aws: Aws) -> None:
    all_pass(2)


@pytest.mark.parametrize(
    ("instruction", "check"),
    [
        ("LABEL", lab_02.environments_are_labelled),
        ("ENTRYPOINT", lab_02.entry_point_is_workshop),
        ("USER", lab_02.nobody_is_root),
    ],
)
def test_an_image_without_an_instruction_fails(aws: Aws, instruction: str, check: Callable[[], str]) -> None:
    path = images.dockerfile_of("mxnet", aws.settings)
    whole = path.read_text()
    path.write_text(_without(whole, instruction))
    _push(aws)
    fails(check, "mxnet")
    path.write_text(whole)
    _push(aws)
    check()


def test_a_command_that_fails_inside_an_image_fails(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lab_02.FRAMEWORKS, "mxnet", "no-such-package")
    fails(lab_02.commands_run_inside, "mxnet")


def test_a_second_tag_must_name_the_same_image(aws: Aws) -> None:
    fails(lab_02.second_tag_is_the_same_image, "no tag 'mine'")
    ecr, repository = aws.client("ecr"), stacks.output("MxnetRepository")
    found = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "latest"}])["images"][0]
    put = {"repositoryName": repository, "imageManifest": found["imageManifest"], "imageTag": "mine"}
    ecr.put_image(**put)
    assert "are one image" in lab_02.second_tag_is_the_same_image()
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "latest"}])
    fails(lab_02.mxnet_is_in_ecr, "no image 'latest'")
    ecr.put_image(**{**put, "imageTag": "latest"})
    assert "sha256:" in lab_02.mxnet_is_in_ecr()


def test_lab_3_fails_before_anything_ran(aws: Aws) -> None:
    for check in lab_03.CHECKS[2:]:
        fails(check)
    fails(lab_03.own_revision_ran, "of your own")


def test_lab_3_passes_and_fails_again_with_what_it_stands_on(aws: Aws) -> None:
    failed = tasks.wait(tasks.run("jobs-mxnet", command=["run", "no-such-job"]))
    assert failed.exit_code == 1
    fails(lab_03.job_ran_to_its_end, "exit code 1")
    assert tasks.wait(tasks.run("jobs-mxnet", command=["jobs"])).exit_code == 0
    jupyter = tasks.wait(tasks.run("jupyter", environment={"JUPYTER_TOKEN": TOKEN}), "RUNNING")
    secondary = tasks.wait(tasks.run("secondary"), "RUNNING")
    tasks.wait_healthy(secondary)
    fails(lab_03.primary_reached_secondary, "nobody has asked")
    inside = tasks.address(secondary, lab_03.PORTS["secondary"], seen_from="task")
    assert tasks.wait(tasks.run("jobs-tensorflow", ["primary"], {"SECONDARY": inside})).exit_code == 0
    tasks.wait_healthy(jupyter)
    all_pass(3)

    tasks.wait(tasks.stop(jupyter, "lab 3 is done"))
    assert "until it was stopped" in lab_03.jupyter_answers_with_its_token()
    tasks.wait(tasks.run("jupyter"))  # without a token it refuses to start
    fails(lab_03.jupyter_answers_with_its_token, "does not run")
    tasks.stop(secondary, "the test is done")


def test_recipes_that_lack_something_fail(aws: Aws) -> None:
    ecs = aws.client("ecs")
    arn = _register(ecs, "secondary", lambda container: container.update(portMappings=[]))
    fails(lab_03.recipes_are_whole, "'secondary'", "port 8080")
    ecs.deregister_task_definition(taskDefinition=arn)
    arn = _register(ecs, "jobs-mxnet", lambda container: container.pop("logConfiguration"))
    fails(lab_03.recipes_are_whole, "a log group")
    ecs.deregister_task_definition(taskDefinition=arn)
    lab_03.recipes_are_whole()


def test_only_a_revision_of_ones_own_that_ran_well_counts(aws: Aws) -> None:
    ecs = aws.client("ecs")
    arn = _register(ecs, "jobs-mxnet", lambda container: container.update(memory=1024))
    fails(lab_03.own_revision_ran)
    started = ecs.run_task(cluster=stacks.output("ClusterName"), taskDefinition=arn)["tasks"][0]
    tasks.wait(tasks.find(started["taskArn"]))
    assert "1024 MiB instead of 3072" in lab_03.own_revision_ran()


def test_lab_4_passes_with_whole_results(results: str) -> None:
    all_pass(4)


def test_an_unlearned_network_fails(results: str) -> None:
    metrics = {"accuracy": 0.59, "profile": "quick", "dataset": "cifar10", "data_source": "cache"}
    with _changed(f"{results}/trained-mxnet/metrics.json", json.dumps(metrics).encode()):
        fails(lab_04.mxnet_has_learned, "0.590", "0.60")
    metrics |= {"accuracy": 0.79, "profile": "full"}
    with _changed(f"{results}/trained-tensorflow/metrics.json", json.dumps(metrics).encode()):
        fails(lab_04.tensorflow_has_learned, "0.790", "0.80")


def test_cut_weights_and_missing_pictures_fail(results: str) -> None:
    weights = f"{results}/trained-mxnet/artefact/{artefact.WEIGHTS}"
    with _changed(weights, objects.read_bytes(weights)[:1000]):
        fails(lab_04.artefacts_load, "mxnet")
    with _changed(f"{results}/trained-tensorflow/curves.png", b"<html>"):
        fails(lab_04.curves_are_drawn, "curves.png")


def test_workers_with_other_weights_or_without_a_file_fail(results: str) -> None:
    address = f"{results}/together/workers/1.jsonl"
    with _changed(address, LINE.replace("9f", "8e").encode()):
        fails(lab_04.workers_shared_one_network, "different weights")
    with _changed(address, b""):
        fails(lab_04.workers_shared_one_network, "different weights")
    with _changed(
        f"{results}/together/run.json",
        objects.read_bytes(f"{results}/together/run.json")[:-1] + b', "status": "failed"}',
    ):
        fails(lab_04.workers_shared_one_network, "two workers")


def test_a_cat_that_is_not_seen_fails(results: str) -> None:
    address = f"{results}/classified-mxnet/metrics.json"
    metrics = objects.read_json(address)
    for row in metrics["results"]:
        row["cat_probability"] = 0.79 if row["is_cat"] else row["cat_probability"]
    with _changed(address, json.dumps(metrics).encode()):
        fails(lab_04.cats_are_told_from_the_rest, "0.79")
        fails(lab_04.frameworks_agree, "differ")


def test_a_failed_upload_fails_with_its_reason(results: str) -> None:
    address = f"{results}/upload-1/run.json"
    record = {**objects.read_json(address), "status": "failed", "error": "mine.jpg is a text file"}
    with _changed(address, json.dumps(record).encode()):
        fails(lab_04.upload_was_answered, "mine.jpg is a text file")


def test_the_courses_own_photograph_is_not_the_learners(results: str) -> None:
    fails(lab_04.own_picture_was_answered)
    picture = f"s3://{stacks.output('InputBucket')}/pictures/lion.jpg"
    _put_run(f"{results}/upload-2", "classify-images", {"pictures": picture})
    _put(f"{results}/upload-2/results.json", json.dumps([_row("lion.jpg", True)]).encode())
    assert "lion.jpg" in lab_04.own_picture_was_answered()


@pytest.fixture(scope="module")
def results(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What lab 4 leaves in the output bucket, made up but for its shape; returns the address of the runs."""
    runs = f"s3://{stacks.output('OutputBucket')}/runs"
    folder = tmp_path_factory.mktemp("artefact")
    artefact.write(folder, Architecture(2, 4).first_weights(1), {"classes": ["cat", "dog"]})
    rows = [_row(photo.name, bool(photo.is_cat)) for photo in datasets.photos()]
    for framework in ("mxnet", "tensorflow"):
        trained = f"{runs}/trained-{framework}"
        objects.sync_up(folder, f"{trained}/artefact")
        metrics = {"accuracy": 0.7, "profile": "quick", "dataset": "cifar10", "data_source": "cache"}
        _put(f"{trained}/metrics.json", json.dumps(metrics).encode())
        for name in lab_04.PICTURES:
            _put(f"{trained}/{name}", PNG)
        _put_run(trained, f"train-images-{framework}", {})
        classified = f"{runs}/classified-{framework}"
        _put(
            f"{classified}/metrics.json", json.dumps({"network": "SqueezeNet 1.0", "results": rows}).encode()
        )
        _put_run(classified, "classify-images", {"framework": framework})
    for rank in (0, 1):
        _put(f"{runs}/together/workers/{rank}.jsonl", LINE.encode())
    _put_run(f"{runs}/together", "train-images-mxnet", {}, workers=2)
    cat = next(photo for photo in datasets.photos() if photo.is_cat)
    picture = objects.upload(cat.path, f"s3://{stacks.output('InputBucket')}/pictures/{cat.path.name}")
    _put(f"{runs}/upload-1/results.json", json.dumps([_row(cat.path.name, True)]).encode())
    _put_run(f"{runs}/upload-1", "classify-images", {"pictures": picture})
    return runs


def _row(name: str, is_cat: bool) -> dict[str, Any]:
    verdict = "cat" if is_cat else "not a cat"
    return {
        "picture": name,
        "is_cat": is_cat,
        "cat_probability": 0.9 if is_cat else 0.001,
        "verdict": verdict,
    }


def _put(address: str, content: bytes) -> None:
    objects.write_bytes(address, content)


def _put_run(address: str, job: str, parameters: dict[str, str], **more: int) -> None:
    record = {"kind": "job", "job": job, "parameters": parameters, "status": "passed", **more}
    _put(f"{address}/run.json", json.dumps(record).encode())


class _changed:
    """An object with other content, for a while."""

    def __init__(self, address: str, content: bytes) -> None:
        self.address, self.content = address, content

    def __enter__(self) -> None:
        self.before = objects.read_bytes(self.address)
        _put(self.address, self.content)

    def __exit__(self, *_: object) -> None:
        _put(self.address, self.before)


def _without(dockerfile: str, instruction: str) -> str:
    """A Dockerfile without an instruction and the lines that continue it."""
    kept, continues = [], False
    for line in dockerfile.splitlines(keepends=True):
        dropped = continues or line.startswith(f"{instruction} ")
        continues = dropped and line.rstrip().endswith("\\")
        kept += [] if dropped else [line]
    return "".join(kept)


def _push(aws: Aws) -> None:
    images.build("mxnet", aws=aws)
    images.push("mxnet", aws=aws)


def _register(ecs: Any, family: str, change: Callable[[dict[str, Any]], object]) -> str:
    definition = ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]
    change(definition["containerDefinitions"][0])
    kept = ("family", "containerDefinitions", "networkMode", "executionRoleArn", "requiresCompatibilities")
    answer = ecs.register_task_definition(**{name: definition[name] for name in kept})
    return str(answer["taskDefinition"]["taskDefinitionArn"])
