"""Images, tasks, logs, objects and runs on the local AWS, with real processes."""

import json
from collections.abc import Iterator
from pathlib import Path

import course_world
import pytest

from workshop.aws import cleaning, images, logs, objects, runs, stacks, task_shell, tasks
from workshop.aws.session import Aws
from workshop.errors import AwsError

pytestmark = pytest.mark.local

SERVE = """
import http.server, os
where = (os.environ["WORKSHOP_BIND_ADDRESS"], 8080)
http.server.HTTPServer(where, http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory) -> Iterator[Aws]:
    with course_world.course(tmp_path_factory.mktemp("tasks")) as found:
        for concern in ("network", "storage", "cluster"):
            stacks.deploy(concern, aws=found)
        images.build("mxnet", aws=found)
        images.push("mxnet", aws=found)
        yield found


def run(code: str, aws: Aws, **options) -> tasks.Task:
    return tasks.run("probe", [code], aws=aws, **options)


def follow(task: tasks.Task, aws: Aws) -> tuple[tasks.Task, list[str]]:
    lines: list[str] = []
    return tasks.follow(task, lines.append, timeout_seconds=30, aws=aws), lines


def test_pushed_image_has_the_digest_that_the_registry_computes(aws):
    built = images.build("mxnet", aws=aws)
    repository = stacks.output("MxnetRepository", aws)
    details = aws.client("ecr").describe_images(repositoryName=repository)["imageDetails"]
    assert [(each["imageDigest"], each["imageTags"]) for each in details] == [(built.digest, ["latest"])]
    assert images.push("mxnet", aws=aws) == built


def test_inspect_and_shell_show_what_the_dockerfile_says(aws):
    seen = images.inspect("mxnet", aws)
    assert seen.environment["FROM_THE_IMAGE"] == "yes"
    assert seen.entry_point == ["python", "-u", "-c"]
    assert [layer.created_by.split()[0] for layer in seen.layers[:2]] == ["LABEL", "ENV"]
    said = images.shell("mxnet", ["python", "-c", "import os; print(os.environ['FROM_THE_IMAGE'])"], aws=aws)
    assert said == "yes\n"


def test_image_that_was_not_built_or_does_not_exist_is_refused(aws):
    with pytest.raises(AwsError, match="not built yet"):
        images.push("tensorflow", aws=aws)
    with pytest.raises(AwsError, match="mxnet, tensorflow"):
        images.build("pytorch", aws=aws)


def test_lines_come_in_order_and_the_task_ends_with_its_exit_code(aws):
    states: list[str] = []
    code = "import os\nfor i in range(200): print(i)\nprint(os.environ['A'], os.environ['FROM_THE_IMAGE'])"
    task, lines = run(code, aws, environment={"A": "b c"}), []
    ended = tasks.follow(task, lines.append, states.append, timeout_seconds=30, aws=aws)
    assert lines == [*(str(i) for i in range(200)), "b c yes"]
    assert (ended.last_status, ended.exit_code) == ("STOPPED", 0)
    assert states[-1] == "STOPPED"
    assert tasks.succeed(ended, aws) == ended
    assert tasks.logs(ended, aws) == lines
    assert [line.message for line in logs.tail(ended.log_group, ended.log_stream, aws=aws)] == lines


def test_task_that_exits_with_3_is_an_error_with_its_last_line(aws):
    ended, _ = follow(run("print('first'); print('the disk is full'); raise SystemExit(3)", aws), aws)
    assert ended.exit_code == 3
    with pytest.raises(AwsError, match="task probe exited with 3: the disk is full"):
        tasks.succeed(ended, aws)


def test_task_with_an_image_that_is_not_there_says_so(aws):
    repository = stacks.output("MxnetRepository", aws)
    cleaning.delete_images(repository, aws)
    try:
        task = run("print(1)", aws)
        with pytest.raises(AwsError, match=r"CannotPullContainerError.*the image is not in the repository"):
            tasks.succeed(tasks.wait(task, timeout_seconds=30, aws=aws), aws)
    finally:
        images.push("mxnet", aws=aws)


def test_gpu_task_is_refused_with_what_there_is(aws):
    with pytest.raises(AwsError) as caught:
        run("print(1)", aws, size="gpu")
    assert "RESOURCE:GPU" in caught.value.message
    assert "it asks for 1 GPU;" in caught.value.message
    assert "0 GPU (instances: 1)" in caught.value.message
    assert "size='cpu'" in caught.value.remedy


def test_task_is_reached_by_its_mapped_port_and_stopped(aws):
    task = tasks.wait(run(SERVE, aws), "RUNNING", timeout_seconds=30, aws=aws)
    assert set(task.ports) == {8080}
    assert task.ports[8080] not in (0, 8080)
    address = tasks.address(task, 8080, aws=aws)
    assert address.endswith(str(task.ports[8080]))
    assert tasks.find(task.id, aws).log_stream == task.log_stream
    tasks.stop(task, "seen enough", aws)
    ended = tasks.wait(task, timeout_seconds=30, aws=aws)
    assert "seen enough" in ended.stopped_reason or ended.exit_code in (143, 137)
    assert [state for state, _ in tasks.timeline(ended, aws)][-1] == "STOPPED"


def test_waiting_for_running_says_how_it_stopped_instead(aws):
    with pytest.raises(AwsError, match="exited with 9"):
        tasks.wait(
            tasks.follow(run("raise SystemExit(9)", aws), lambda line: None, aws=aws), "RUNNING", aws=aws
        )


def test_same_definition_is_registered_once_and_a_changed_one_anew(aws):
    first = tasks.register("probe", aws=aws)
    assert tasks.register("probe", aws=aws) == first
    path = aws.settings.root / "task-definitions" / "probe.json"
    before = path.read_text()
    definition = json.loads(before)
    definition["containerDefinitions"][0]["memory"] = 300
    path.write_text(json.dumps(definition))
    try:
        assert tasks.register("probe", aws=aws) != first
    finally:
        path.write_text(before)


def test_task_knows_its_target_and_its_course(aws):
    _, lines = follow(
        run("import os; print(os.environ['WORKSHOP_TARGET'], os.environ['WORKSHOP_NAME'])", aws), aws
    )
    assert lines == ["local course-1"]


@pytest.fixture
def output(aws, request) -> str:
    return f"s3://{stacks.output('OutputBucket', aws)}/runs/{request.node.name}"


def test_run_publishes_only_what_changed_and_never_what_is_unfinished(aws, output):
    run_ = runs.open(output, aws)
    (run_.folder / "artefact").mkdir()
    (run_.folder / "artefact" / "weights").write_bytes(b"1" * 1000)
    (run_.folder / "metrics.json").write_text("{}")
    (run_.folder / "epoch-2.part").write_bytes(b"half")
    assert run_.publish() == [f"{output}/artefact/weights", f"{output}/metrics.json"]
    assert run_.publish() == []
    (run_.folder / "metrics.json").write_text("[]")  # the same length
    assert run_.publish() == [f"{output}/metrics.json"]
    assert objects.read_json(f"{output}/metrics.json", aws) == []


def test_opening_an_output_that_has_files_brings_them_down(aws, output):
    first = runs.open(output, aws)
    (first.folder / "checkpoints").mkdir()
    (first.folder / "checkpoints" / "last").write_bytes(b"epoch 3")
    first.publish()
    again = runs.open(output, aws)
    assert again.folder != first.folder
    assert (again.folder / "checkpoints" / "last").read_bytes() == b"epoch 3"
    assert again.restored == [again.folder / "checkpoints" / "last"]
    assert again.publish() == []


def test_key_that_leads_out_of_the_folder_is_refused(aws, output, tmp_path):
    objects.write_bytes(f"{output}/../escaped", b"x", aws)
    objects.write_bytes(f"{output}/fine", b"x", aws)
    bucket, _ = objects.split(output)
    with pytest.raises(AwsError, match="outside"):
        objects.sync_down(f"s3://{bucket}/runs/{output.rsplit('/', 1)[1]}", tmp_path / "here", aws)
    assert not (tmp_path / "escaped").exists()


def test_large_file_goes_up_in_parts_and_is_not_sent_twice(aws, output, tmp_path):
    (tmp_path / "large").write_bytes(bytes(9_000_000))  # boto3 sends more than 8 MiB in parts
    assert len(objects.sync_up(tmp_path, output, aws)) == 1
    assert "-" in objects.list(output, aws)[0].etag
    assert objects.sync_up(tmp_path, output, aws) == []


def test_failed_download_leaves_no_file(aws, output, tmp_path):
    with pytest.raises(AwsError, match="could not download"):
        objects.download(f"{output}/absent", tmp_path / "absent", aws)
    assert list(tmp_path.iterdir()) == []


def test_file_and_object_that_are_not_there_are_named(aws, output, tmp_path):
    with pytest.raises(AwsError, match="no file"):
        objects.upload(tmp_path / "absent", output, aws)
    with pytest.raises(AwsError, match="NoSuchKey"):
        objects.read_bytes(f"{output}/absent", aws)
    with pytest.raises(AwsError, match="NoSuchBucket"):
        objects.list("s3://no-such-bucket-at-all/x", aws)
    assert objects.exists(f"{output}/absent", aws) is False


def test_upload_to_a_folder_keeps_the_name_and_download_gives_it_back(aws, output, tmp_path):
    (tmp_path / "cat 1.jpg").write_bytes(b"\xff\xd8")
    address = objects.upload(tmp_path / "cat 1.jpg", output + "/", aws)
    assert address == f"{output}/cat 1.jpg"
    assert objects.download(address, Path(tmp_path) / "again" / "cat.jpg", aws).read_bytes() == b"\xff\xd8"


def test_log_group_that_is_not_there_is_named_and_an_absent_stream_is_empty(aws):
    with pytest.raises(AwsError, match="no-such-group"):
        logs.tail("/no-such-group", aws=aws)
    assert logs.read(stacks.output("JobsLogGroup", aws), "no-such-stream", aws) == []


def test_running_tasks_are_stopped_by_the_clean_up_of_their_lab(aws):
    run("import time; time.sleep(60)", aws)
    assert [task.family for task in tasks.running(aws)] == ["probe"]
    cleaned = cleaning.clean(3, aws=aws)
    assert tasks.running(aws) == []
    assert cleaned.removed[0].startswith("stopped task probe")


def test_shell_opens_in_a_task_of_the_courses_own_cluster(aws):
    task = tasks.wait(run("import time; time.sleep(60)", aws, shell=True), "RUNNING", aws=aws)
    assert task_shell.output_of(task, "echo $FROM_THE_IMAGE", aws=aws) == "yes\n"
    tasks.stop(task, "seen enough", aws=aws)
    role = stacks.output("JobTaskRoleArn", aws).rpartition("/")[2]
    policies = aws.client("iam").list_role_policies(RoleName=role)["PolicyNames"]
    assert "answer-shells" in policies
