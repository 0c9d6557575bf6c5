"""Nothing of the course tells anybody what it does."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for folder in ("src", "benchmarks", "airflow") for path in (ROOT / folder).rglob("*.py")
)


def imports(path: Path, package: str) -> bool:
    return any(
        package in [alias.name.partition(".")[0] for alias in node.names]
        or (isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == package)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    )


USERS = [path for path in SOURCES if imports(path, "onnxruntime")]


def test_there_is_something_to_check():
    assert len(USERS) > 1


@pytest.mark.parametrize("path", USERS, ids=lambda path: path.stem)
def test_onnxruntime_is_told_not_to_report_before_it_is_imported(path):
    before, found, _ = path.read_text().partition("import onnxruntime\n")
    assert found and 'os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")' in before
