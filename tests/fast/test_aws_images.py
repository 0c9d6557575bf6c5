"""Images without a container engine: what a Dockerfile says, and the same image for the same files."""

import json
import os
import stat
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from workshop.aws import docker, dockerfile, images, layout, programs
from workshop.aws.session import Aws
from workshop.errors import AwsError, DataError
from workshop.settings import load

DOCKERFILE = """\
# a comment
ARG BASE=python:3.11
FROM ${BASE} AS tools
ENV HIDDEN=1
RUN echo tools
FROM ${BASE} AS common
ARG PORT=8888
ENV HOME_OF=/opt/app \\
    GREETING="two words"
LABEL workshop.environment=mxnet
FROM common
COPY --from=tools /x /y
COPY app/ extra.txt /opt/app/
WORKDIR $HOME_OF
WORKDIR src
ENV PATH=/opt/bin:$PATH LATER=${GREETING}!
EXPOSE $PORT 53/udp
USER nobody
CMD ["forgotten"]
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s CMD ["true"]
ENTRYPOINT ["python", "-m", "app"]
CMD ["--help"]
"""


@pytest.fixture
def context(tmp_path) -> Path:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "app" / "__pycache__").mkdir(parents=True)
    (tmp_path / "app" / "__pycache__" / "main.pyc").write_text("x")
    (tmp_path / "app" / "main.py").write_text("print(1)")
    (tmp_path / "extra.txt").write_text("extra")
    (tmp_path / "other.txt").write_text("not copied")
    return tmp_path


def test_last_stage_and_the_stages_it_stands_on_are_read(context):
    found = dockerfile.read(context / "Dockerfile")
    assert found.base == "python:3.11"
    assert found.config == {
        "User": "nobody",
        "ExposedPorts": {"8888/tcp": {}, "53/udp": {}},
        "Env": [
            f"PATH=/opt/bin:{dockerfile.BASE_PATH}",
            "HOME_OF=/opt/app",
            "GREETING=two words",
            "LATER=two words!",
        ],
        "Entrypoint": ["python", "-m", "app"],
        "Cmd": ["--help"],
        "WorkingDir": "/opt/app/src",
        "Labels": {"workshop.environment": "mxnet"},
        "StopSignal": "SIGINT",
    }
    assert found.health_check == ["true"]
    assert ("RUN", "echo tools") not in found.instructions


ONE_FILE_FOR_TWO = """\
ARG IMAGE=small
FROM base:1 AS small
LABEL size=small
FROM base:1 AS large
LABEL size=large
FROM ${IMAGE}
ARG IMAGE
ARG LOCK=${IMAGE}
COPY locks/${LOCK}.txt /opt/
LABEL title=image-${IMAGE}
"""


@pytest.mark.parametrize(
    ("arguments", "size", "title", "lock"),
    [
        ({}, "small", "image-small", "locks/small.txt"),
        ({"IMAGE": "large"}, "large", "image-large", "locks/large.txt"),
        ({"IMAGE": "large", "LOCK": "other"}, "large", "image-large", "locks/other.txt"),
    ],
)
def test_build_arguments_choose_the_stage_and_fill_what_it_says(tmp_path, arguments, size, title, lock):
    (tmp_path / "Dockerfile").write_text(ONE_FILE_FOR_TWO)
    found = dockerfile.read(tmp_path / "Dockerfile", arguments)
    assert (found.base, found.labels, found.sources) == ("base:1", {"size": size, "title": title}, [lock])


def test_build_arguments_give_another_image(tmp_path):
    (tmp_path / "Dockerfile").write_text(ONE_FILE_FOR_TWO)
    digests = {
        layout.make(tmp_path / "Dockerfile", tmp_path, {"IMAGE": name}).digest for name in ("small", "large")
    }
    assert len(digests) == 2


def test_image_for_gpus_needs_docker(tmp_path):
    (tmp_path / "state").mkdir()
    aws = aws_with(tmp_path, "process")
    with pytest.raises(AwsError, match="for GPUs needs Docker"):
        images.build("mxnet", aws=aws, gpu=True)


def test_image_that_the_course_does_not_have_is_named(tmp_path):
    with pytest.raises(AwsError, match="no image 'oracle'"):
        images.build("oracle", aws=aws_with(tmp_path, "process"))


def test_entry_point_forgets_the_command_before_it(tmp_path):
    (tmp_path / "Dockerfile").write_text('FROM x\nCMD ["old"]\nENTRYPOINT ["new"]\n')
    assert dockerfile.read(tmp_path / "Dockerfile").config == {
        "Env": [f"PATH={dockerfile.BASE_PATH}"],
        "Entrypoint": ["new"],
    }


def test_shell_form_is_wrapped_as_docker_does(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM x\nCMD echo $HOME && ls\n")
    assert dockerfile.read(tmp_path / "Dockerfile").command == ["/bin/sh", "-c", "echo $HOME && ls"]


def test_file_without_from_is_refused(tmp_path):
    (tmp_path / "Dockerfile").write_text("RUN true\n")
    with pytest.raises(DataError, match="no FROM"):
        dockerfile.read(tmp_path / "Dockerfile")
    with pytest.raises(DataError, match="no Dockerfile"):
        dockerfile.read(tmp_path / "absent")


def test_copied_files_are_those_of_the_context_without_by_products(context):
    found = dockerfile.copied(dockerfile.read(context / "Dockerfile"), context)
    assert [path.relative_to(context).as_posix() for path in found] == ["app/main.py", "extra.txt"]


def test_same_files_give_the_same_digest_and_a_changed_one_another(context):
    first = layout.make(context / "Dockerfile", context)
    (context / "other.txt").write_text("changed")
    os.utime(context / "app" / "main.py", (0, 0))
    assert layout.make(context / "Dockerfile", context).digest == first.digest
    (context / "app" / "main.py").write_text("print(2)")
    assert layout.make(context / "Dockerfile", context).digest != first.digest


def test_image_is_a_valid_manifest_config_and_layer(context):
    made = layout.make(context / "Dockerfile", context)
    manifest = json.loads(made.manifest)
    assert len(made.blobs[manifest["config"]["digest"]]) == manifest["config"]["size"]
    assert made.config["config"]["Labels"] == {"workshop.environment": "mxnet"}
    with tarfile.open(fileobj=BytesIO(made.blobs[manifest["layers"][0]["digest"]])) as layer:
        assert layer.getnames() == ["workshop/Dockerfile", "workshop/SHA256SUMS"]
        sums = layer.extractfile("workshop/SHA256SUMS")
        assert sums is not None and b"app/main.py" in sums.read()


def test_saved_image_is_loaded_again_and_damage_is_noticed(context, tmp_path):
    made = layout.make(context / "Dockerfile", context)
    folder = tmp_path / "kept" / "mxnet"
    assert layout.load(folder) is None
    layout.save(made, folder)
    layout.save(made, folder)
    assert layout.load(folder) == made
    blob = next((folder / "blobs" / "sha256").iterdir())
    blob.write_bytes(blob.read_bytes()[:-1])
    with pytest.raises(DataError, match="damaged"):
        layout.load(folder)


@pytest.fixture
def fake_docker(tmp_path, monkeypatch):
    """A docker command of ours, alone on the PATH; its script decides what it answers."""

    def install(script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "docker"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return install


def aws_with(tmp_path: Path, engine: str, target: str = "local") -> Aws:
    settings = load({}, state_dir=tmp_path / "state", engine=engine, target=target)
    return Aws(target, "http://127.0.0.1:1", "eu-west-3", "123456789012", "workshop", settings, None)


def test_without_docker_the_process_engine_is_chosen_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    aws = aws_with(tmp_path, "auto")
    assert images.engine(aws) == "process"
    assert "no docker command" in images.engine_reason(aws)


def test_docker_whose_engine_is_down_or_slow_counts_as_absent(fake_docker):
    fake_docker("echo 'Cannot connect' >&2; exit 1")
    assert "no Docker engine answers" in docker.absent()
    fake_docker("exec sleep 5")
    assert "did not answer within 0.1 s" in docker.absent(timeout_seconds=0.1)
    fake_docker("echo 27.0")
    assert docker.absent() == ""


def test_docker_is_only_used_where_the_local_aws_runs_containers_with_it(fake_docker, tmp_path, monkeypatch):
    fake_docker("echo 27.0")
    aws = aws_with(tmp_path, "auto")
    assert images.engine(aws) == "process"
    assert "started with the process engine" in images.engine_reason(aws)
    monkeypatch.setattr(images, "_local_engine", lambda aws: "docker")
    assert images.engine(aws) == "docker"


def test_asked_for_docker_without_docker_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AwsError, match="the setting engine is 'docker'"):
        images.engine(aws_with(tmp_path, "docker"))


def test_images_for_aws_need_docker_whatever_the_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AwsError, match="built with Docker") as caught:
        images.engine(aws_with(tmp_path, "process", target="aws"))
    assert "Docker" in caught.value.remedy


def test_failed_build_shows_its_last_lines_and_every_line_is_handed_on(fake_docker, tmp_path):
    fake_docker(
        'case "$1" in buildx) exit 0;; --version) echo 1;; '
        '*) echo step 1; echo "no space left" >&2; exit 1;; esac'
    )
    lines: list[str] = []
    with pytest.raises(AwsError, match="no space left"):
        docker.build(tmp_path / "mxnet" / "Dockerfile", tmp_path, ["a"], lines.append)
    assert lines == ["step 1", "no space left"]


def test_docker_without_buildkit_is_refused(fake_docker, monkeypatch, tmp_path):
    fake_docker('case "$1" in --version) echo "Docker version 28.2.2";; *) exit 1;; esac')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(AwsError, match="BuildKit"):
        docker.build(tmp_path / "Dockerfile", tmp_path, ["a"], print)


def test_registry_password_is_not_on_the_command_line(fake_docker, tmp_path):
    fake_docker(f'echo "$@" > {tmp_path}/arguments; cat > {tmp_path}/input')
    docker.login("127.0.0.1:1", "AWS", "secret")
    assert "secret" not in (tmp_path / "arguments").read_text()
    assert (tmp_path / "input").read_text() == "secret"


def test_pushed_digest_is_read_from_dockers_answer(fake_docker):
    fake_docker(f"echo 'latest: digest: sha256:{'ab' * 32} size: 10'")
    assert docker.push("x", lambda line: None) == f"sha256:{'ab' * 32}"


def test_program_that_fails_or_hangs_or_is_absent_says_so():
    with pytest.raises(AwsError, match="exited with 3: oops"):
        programs.output_of(["sh", "-c", "echo oops; exit 3"], 5)
    with pytest.raises(AwsError, match="did not end within"):
        programs.output_of(["sleep", "5"], 0.1)
    with pytest.raises(AwsError, match="no command"):
        programs.output_of(["no-such-program"], 5)
