"""The arrows of the design, read from the imports themselves."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"
MODULES = {path: ".".join(path.relative_to(SRC).with_suffix("").parts) for path in SRC.rglob("*.py")}


def imported(path: Path) -> set[str]:
    """Dotted names that a module imports, inside functions too; relative imports are made absolute."""
    names: set[str] = set()
    package = MODULES[path].split(".")[: None if path.name == "__init__.py" else -1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


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


@pytest.mark.parametrize(
    ("package", "above"),
    [
        ("identity", ("engine", "registry", "ecs", "cloudformation")),
        ("registry", ("engine", "ecs", "cloudformation")),
        ("engine", ("ecs", "cloudformation")),
        ("ecs", ("cloudformation",)),
    ],
)
def test_a_package_of_localaws_knows_none_that_stands_on_it(package, above):
    assert offenders(f"localaws.{package}", *(f"localaws.{each}" for each in above)) == []


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


@pytest.mark.parametrize("path", sorted(Path(SRC.parent / "functions").glob("*.py")), ids=lambda p: p.name)
def test_functions_import_only_boto3_and_the_standard_library(path):
    import sys

    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    assert names <= set(sys.stdlib_module_names) | {"boto3", "botocore"}


def test_no_module_is_longer_than_a_sitting():
    long = [
        f"{name} {n}" for path, name in MODULES.items() if (n := len(path.read_text().splitlines())) > 400
    ]
    assert long == []
