"""A job's parameters are read without running it, and checked before anything starts."""

import json

import pytest
from course_copy import small_course

from workshop import jobs, parameters
from workshop.errors import JobError

SOURCE = """\
num_epochs = 6  # passes over the training set
learning_rate = 0.1  # peak
mirrored = True
name = "cat # not a comment"  # what to look for
limit = None
shift = -2  # pixels
"""


def cells(source: str) -> list[dict]:
    return [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": [source]}]


@pytest.fixture
def declared() -> dict[str, parameters.Parameter]:
    return parameters.read(cells(SOURCE), "train.ipynb")


def test_names_defaults_types_and_comments_are_read(declared):
    found = {p.name: (p.default, p.type, p.comment) for p in declared.values()}
    assert found == {
        "num_epochs": (6, "int", "passes over the training set"),
        "learning_rate": (0.1, "float", "peak"),
        "mirrored": (True, "bool", ""),
        "name": ("cat # not a comment", "str", "what to look for"),
        "limit": (None, "any", ""),
        "shift": (-2, "int", "pixels"),
    }


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("a = 1\nb = a + 1", "'b' is `a + 1`, which is not a literal"),
        ("import os", "not an assignment"),
        ("a, b = 1, 2", "not an assignment of one name"),
        ("a = [1]", "is a list"),
        ("a = 1\na = 2", "assigned twice"),
        ("a = open('x')", "not a literal"),
    ],
)
def test_a_cell_of_more_than_plain_literals_is_refused(source, why):
    with pytest.raises(JobError, match=r"train\.ipynb") as refused:
        parameters.read(cells(source), "train.ipynb")
    assert why in str(refused.value)


def test_code_in_the_cell_is_never_run(tmp_path):
    flag = tmp_path / "flag"
    with pytest.raises(JobError):
        parameters.read(cells(f"a = open({str(flag)!r}, 'w')"), "train.ipynb")
    assert not flag.exists()


@pytest.mark.parametrize("count", [0, 2])
def test_exactly_one_parameters_cell_is_wanted(count):
    with pytest.raises(JobError, match=f"has {count} cells tagged"):
        parameters.read(cells("a = 1") * count, "train.ipynb")


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("num_epochs", "3", 3),
        ("num_epochs", 3, 3),
        ("learning_rate", "1", 1.0),
        ("learning_rate", 2, 2.0),
        ("learning_rate", "1e-3", 0.001),
        ("mirrored", "false", False),
        ("mirrored", "True", True),
        ("name", "7", "7"),
        ("limit", "5", 5),
        ("limit", "None", None),
        ("limit", "s3://bucket/key", "s3://bucket/key"),
        ("shift", "-3", -3),
    ],
)
def test_values_get_their_parameters_type(declared, name, given, value):
    [found] = parameters.validate(declared, {name: given}, "train").values()
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("num_epochs", "3.5"),
        ("num_epochs", "three"),
        ("num_epochs", True),
        ("num_epochs", 3.0),
        ("num_epochs", None),
        ("learning_rate", "fast"),
        ("learning_rate", "nan"),
        ("learning_rate", "inf"),
        ("mirrored", "1"),
        ("mirrored", "yes"),
        ("name", 7),
        ("limit", [1]),
    ],
)
def test_wrong_types_are_refused(declared, name, given):
    with pytest.raises(JobError, match=name):
        parameters.validate(declared, {name: given}, "train")


def test_every_problem_is_reported_at_once_with_the_nearest_name(declared):
    with pytest.raises(JobError) as refused:
        parameters.validate(declared, {"num_epoch": "3", "mirrored": "maybe", "zzz": "1"}, "train")
    text = str(refused.value)
    assert "did you mean 'num_epochs'?" in text
    assert "mirrored: 'maybe' is not a bool" in text
    assert "'zzz' (known: learning_rate, limit" in text
    assert "fix: workshop jobs train" in text


def test_pairs_of_a_command_line_keep_later_equal_signs():
    assert parameters.split(["a=b=c", "d="]) == {"a": "b=c", "d": ""}


@pytest.mark.parametrize("pairs", [["a"], ["=1"], ["a b=1"], ["a=1", "a=2"]])
def test_malformed_and_repeated_pairs_are_refused(pairs):
    with pytest.raises(JobError):
        parameters.split(pairs)


def test_unknown_parameter_is_refused_before_anything_is_written(tmp_path):
    settings = small_course(tmp_path)
    with pytest.raises(JobError, match="num_picture'"):
        jobs.run("count-pictures", {"num_picture": 3}, settings=settings)
    assert not settings.runs_dir.exists()


def test_unknown_job_names_the_nearest_one(tmp_path):
    with pytest.raises(JobError, match="did you mean 'count-pictures'"):
        jobs.load("count-picture", small_course(tmp_path))


def test_a_job_without_output_parameter_is_refused(tmp_path):
    settings = small_course(tmp_path)
    path = settings.root / "notebooks" / "count-pictures.ipynb"
    content = json.loads(path.read_text())
    content["cells"][1]["source"] = ["a = 1"]
    path.write_text(json.dumps(content))
    with pytest.raises(JobError, match="parameter 'output'"):
        jobs.load("count-pictures", settings)


def test_variables_of_a_task_fill_parameters(tmp_path):
    job = jobs.load("count-pictures", small_course(tmp_path))
    found = jobs.from_environment(
        job, {"IMAGEURL": "https://x/cat.jpg", "OUTPUT_BUCKET": "results", "HOME": "/"}
    )
    assert found["name"] == "https://x/cat.jpg"
    assert found["output"].startswith("s3://results/runs/")


def test_a_choice_moves_the_job_to_another_environment(tmp_path):
    settings = small_course(tmp_path)
    job = jobs.load("count-pictures", settings)
    other = {"name": {"dog": {"environment": "mxnet", "family": "jobs-mxnet"}}}
    job = jobs.replace(job, choices=other)
    assert job.chosen({"name": "dog"}).environment == "mxnet"
    assert job.chosen({}).environment == "workshop"


def test_run_ids_sort_by_time_and_never_repeat():
    made = [jobs.new_run_id("x") for _ in range(200)]
    assert len(set(made)) == 200
    assert [name[:15] for name in made] == sorted(name[:15] for name in made)
