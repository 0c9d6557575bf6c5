"""The pure parts of SageMaker's training jobs: names in S3, addresses of algorithms, artefacts, metrics, reasons."""

import io
import re
import tarfile
from pathlib import Path

import pytest

from localaws.engine import OUT_OF_MEMORY, CannotPull, Exit
from localaws.sagemaker import algorithms, images, jobfailures, jobmetrics, locations, output
from localaws.sagemaker.jobfailures import JobFailed, of_algorithm, of_exit
from localaws.sagemaker.locations import Location, Object


@pytest.mark.parametrize(
    ("prefix", "key", "name"),
    [
        ("train/", "train/a.csv", "a.csv"),
        ("train", "train/a.csv", "a.csv"),
        ("train", "train/sub/a.csv", "sub/a.csv"),
        ("in/train/a.csv", "in/train/a.csv", "a.csv"),
        ("in/part-", "in/part-01", "part-01"),
        ("train", "train2/a.csv", "train2/a.csv"),
        ("", "a.csv", "a.csv"),
        ("", "in/a.csv", "in/a.csv"),
    ],
)
def test_an_object_is_named_below_its_channels_prefix(prefix, key, name):
    assert locations.name_below(key, prefix) == name


def test_a_place_in_s3_is_read_and_nothing_else():
    assert locations.parse("s3://bucket/a/b") == Location("bucket", "a/b")
    assert locations.parse("s3://bucket") == Location("bucket", "")
    assert locations.parse("https://bucket/a") is None
    assert locations.parse("s3:///a") is None
    assert Location("bucket", "out/").below("job", "x").uri == "s3://bucket/out/job/x"
    assert Location("bucket", "").below("job").uri == "s3://bucket/job"


class Bodies:
    """As much of S3 as a download needs."""

    def get_object(self, Bucket: str, Key: str) -> dict[str, io.BytesIO]:
        return {"Body": io.BytesIO(Key.encode())}


@pytest.mark.parametrize("key", ["train//a", "train/../../a", "train/./a"])
def test_a_key_that_would_leave_its_folder_fails_the_download(tmp_path: Path, key: str):
    found = [Object(Location("b", key), locations.name_below(key, "train/"), 1)]
    with pytest.raises(JobFailed, match="illegal char sub-sequence"):
        locations.download(Bodies(), found, tmp_path)
    assert list(tmp_path.rglob("*")) == []


def test_an_object_and_a_folder_of_one_name_fail_the_download(tmp_path: Path):
    found = [Object(Location("b", key), key, 1) for key in ("a", "a/b")]
    with pytest.raises(JobFailed, match="of an object and of a folder"):
        locations.download(Bodies(), found, tmp_path)


def test_linear_learner_is_where_awss_table_says():
    assert algorithms.address("linear-learner", "us-east-1") == (
        "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1"
    )
    assert algorithms.address("linear-learner", "mars-1") is None
    assert algorithms.address("no-such", "us-east-1") is None
    known = {"linear-learner": Path("x")}
    found = algorithms.named("382416733822", "us-east-1", "linear-learner", "latest", known)
    assert found == "linear-learner"
    for other in (
        ("382416733822", "us-west-2", "linear-learner", "1"),
        ("382416733822", "us-east-1", "kmeans", "1"),
        ("382416733822", "us-east-1", "linear-learner", "2"),
    ):
        assert algorithms.named(*other, known) is None


def test_a_description_of_an_algorithm_that_can_not_be_read_names_the_file(tmp_path: Path):
    (tmp_path / "x.json").write_text('{"config": {}}')
    for file in ("x.json", "missing.json"):
        with pytest.raises(CannotPull, match=file):
            algorithms.recipe("linear-learner", tmp_path / file)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b:c", ("eu-west-1", "a/b", "c", "")),
        (
            f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/a@sha256:{'0' * 64}",
            ("eu-west-1", "a", "", f"sha256:{'0' * 64}"),
        ),
        ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/a", ("us-east-1", "a", "", "")),
    ],
)
def test_an_images_address_is_read(text, parts):
    found = images._parsed(text)
    assert found
    assert (found.region, found.repository, found.tag, found.digest) == parts


@pytest.mark.parametrize(
    "text", ["python:3.11", "docker.io/library/python", "1.dkr.ecr.x.amazonaws.com/a", ""]
)
def test_an_address_outside_ecr_is_none(text):
    assert images._parsed(text) is None


def test_an_artefact_holds_names_below_its_folder_and_nobodys_ids(tmp_path: Path):
    model = tmp_path / "model"
    (model / "sub").mkdir(parents=True)
    (model / "sub" / "weights").write_text("w")
    (model / "link").symlink_to("sub/weights")
    output.pack(model, tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        assert sorted(tar.getnames()) == ["link", "sub", "sub/weights"]
        assert {(each.uid, each.uname) for each in tar.getmembers()} == {(0, "root")}


def test_a_failure_text_is_read_as_far_as_aws_reads_it(tmp_path: Path):
    assert output.failure(tmp_path) == ""
    (tmp_path / "failure").write_text("y" * 2000)
    assert len(output.failure(tmp_path)) == jobfailures.LONGEST_REASON
    (tmp_path / "failure").write_bytes(b"\xff bad bytes\n")
    assert output.failure(tmp_path).endswith("bad bytes")


def test_a_reason_keeps_its_exit_code_however_long_it_is():
    reason = of_algorithm("z" * 3000, 139).reason
    assert len(reason) == jobfailures.LONGEST_REASON
    assert reason.endswith("z, exit code: 139")


@pytest.mark.parametrize(
    ("said", "ended", "built_in", "reason"),
    [
        ("x", Exit(1), False, "AlgorithmError: x, exit code: 1"),
        ("ClientError: x", Exit(2), False, "AlgorithmError: ClientError: x, exit code: 2"),
        ("ClientError: x", Exit(2), True, "ClientError: x, exit code: 2"),
        ("AlgorithmError: x", Exit(1), True, "AlgorithmError: x, exit code: 1"),
        ("", Exit(2), True, "ClientError: , exit code: 2"),
        ("x", Exit(137, "DockerStateError: gone"), False, "InternalServerError: "),
        ("x", Exit(137, OUT_OF_MEMORY), False, "ClientError: Please use an instance type with more memory"),
    ],
)
def test_an_exit_says_whose_fault_it_was(said, ended, built_in, reason):
    assert of_exit(said, ended, built_in).reason.startswith(reason)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("loss=0.25;", 0.25),
        ("loss=1e-3;", 0.001),
        ("loss=nan;", None),
        ("loss=inf;", None),
        ("loss=x;", None),
    ],
)
def test_a_metric_is_a_finite_number(line, value):
    matched = re.search("loss=(.*);", line)
    assert matched
    assert jobmetrics._number(matched[1]) == value


def test_linear_learners_lines_have_awss_metrics():
    lines = [
        "[01/02/2020 03:04:05 INFO 1] #quality_metric: host=algo-1, epoch=3, train "
        "binary_classification_cross_entropy_objective <loss>=0.31",
        "#quality_metric: host=algo-1, validation binary_classification_accuracy <score>=0.875",
        "#quality_metric: host=algo-1, validation binary_f_1.000 <score>=0.86",
        "#progress_metric: host=algo-1, completed 20.0 % of epochs",
    ]
    found = {
        name: float(matched.group(1))
        for line in lines
        for name, regex in jobmetrics.BUILT_IN["linear-learner"]
        if (matched := re.search(regex, line))
    }
    assert found == {
        "train:objective_loss": 0.31,
        "validation:binary_classification_accuracy": 0.875,
        "validation:binary_f_beta": 0.86,
        "train:progress": 20.0,
    }
