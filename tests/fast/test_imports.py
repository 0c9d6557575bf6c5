"""The arrows of the design, read from the imports themselves."""

import ast
import functools
import re
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"
MODULES = {path: ".".join(path.relative_to(SRC).with_suffix("").parts) for path in SRC.rglob("*.py")}


# Each stands on those before it, and knows none after it.
ORDER = (
    "identity",
    "registry",
    "engine",
    "loadbalancer",
    "ecs",
    "sagemaker",
    "restapis",
    "alarms",
    "scaling",
    "cloudformation",
)


@functools.cache
def imported(path: Path, when_read: bool = False) -> frozenset[str]:
    """Dotted names that a module imports, inside functions too unless `when_read`; relative ones made absolute."""
    names: set[str] = set()
    package = MODULES.get(path, "").split(".")[: None if path.name == "__init__.py" else -1]
    tree = ast.parse(path.read_text())
    for node in tree.body if when_read else ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def offenders(where: str, *forbidden: str, but: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{name} imports {what}"
        for path, name in MODULES.items()
        if (name + ".").startswith(where + ".") and not any((name + ".").startswith(b + ".") for b in but)
        for what in sorted(imported(path))
        if any((what + ".").startswith(f + ".") for f in forbidden)
    ]


def test_there_is_something_to_check():
    assert len(MODULES) > 20


def test_localaws_knows_nothing_of_the_workshop():
    assert offenders("localaws", "workshop") == []


def test_every_package_of_localaws_has_its_place_in_the_order():
    assert {path.parent.name for path in (SRC / "localaws").glob("*/__init__.py")} == set(ORDER)


@pytest.mark.parametrize("package", ORDER)
def test_a_package_of_localaws_knows_none_that_stands_on_it(package):
    above = ORDER[ORDER.index(package) + 1 :]
    assert offenders(f"localaws.{package}", *(f"localaws.{each}" for each in above)) == []


def test_what_carries_requests_knows_nothing_of_what_is_said_of_load_balancers():
    proxy = "localaws.loadbalancer.proxy"
    assert offenders(proxy, "localaws") == offenders(proxy, proxy)


def test_the_workshop_only_starts_and_stops_localaws():
    allowed = {"localaws", "localaws.daemon", "localaws.errors"}
    used = {
        what
        for path, name in MODULES.items()
        if name.startswith("workshop")
        for what in imported(path)
        if what.split(".")[0] == "localaws" and ".".join(what.split(".")[:2]) not in allowed
    }
    assert used == set()


def test_only_workshop_aws_talks_to_boto3():
    assert offenders("workshop", "boto3", "botocore", but=("workshop.aws",)) == []


def test_ml_knows_no_aws_http_or_notebooks():
    assert (
        offenders("workshop.ml", "workshop.aws", "boto3", "requests", "papermill", "nbformat", "IPython")
        == []
    )


def test_text_needs_no_network_framework_and_no_other_part_of_ml():
    needs = {
        what.split(".")[0]
        for path, name in MODULES.items()
        if name.startswith("workshop.ml.text")
        for what in imported(path)
        if not what.startswith(("workshop.ml.text", "workshop.errors"))
    }
    assert needs - set(sys.stdlib_module_names) <= {"numpy", "nltk"}


def test_serving_knows_of_ml_the_texts_alone():
    assert [
        line
        for line in offenders("workshop.serving", "workshop.ml", "tensorflow", "keras")
        if ".ml.text" not in line
    ] == []


def test_what_answers_in_serving_knows_no_aws():
    """The fetcher is a process of its own, and the only one that does."""
    fetcher = "workshop.serving.fetcher"
    assert offenders("workshop.serving", "workshop.aws", "boto3", fetcher, but=(fetcher,)) == []


def test_nothing_of_airflow_is_imported_outside_its_folder():
    assert offenders("workshop", "airflow") == []


@pytest.mark.parametrize("path", sorted((SRC.parent / "airflow").rglob("*.py")), ids=lambda p: p.name)
def test_reading_a_dag_imports_nothing_that_calls_aws(path):
    names = imported(path, when_read=True)
    assert {name for name in names if name.startswith(("workshop.aws", "boto3"))} == set()


@pytest.mark.parametrize("path", sorted(Path(SRC.parent / "functions").glob("*.py")), ids=lambda p: p.name)
def test_functions_import_only_boto3_and_the_standard_library(path):
    names = {name.partition(".")[0] for name in imported(path)}
    assert names <= set(sys.stdlib_module_names) | {"boto3", "botocore"}


def test_the_map_of_sagemakers_modules_has_each_of_them():
    folder = SRC / "localaws" / "sagemaker"
    told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert modules - set(re.findall(r"\w+", told)) == set()
    rows = [re.split(r"  +", line.strip())[-1] for line in told.splitlines() if line.startswith("    ")]
    assert set(re.findall(r"\w+", " ".join(rows))) - {"and"} <= modules


def test_no_module_is_longer_than_a_sitting():
    folders = ("src", "tests", "benchmarks", "airflow", "functions")
    paths = [path for folder in folders for path in (SRC.parent / folder).rglob("*.py")]
    counts = {path: len(path.read_text().splitlines()) for path in paths}
    assert {path.name: count for path, count in counts.items() if count > 400} == {}
