"""What modules say of themselves: each how to try it, and nothing that is not there."""

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCSTRINGS = {
    path: ast.get_docstring(ast.parse(path.read_text())) or ""
    for path in sorted((ROOT / "src").rglob("*.py"))
}
SNIPPETS = [
    pytest.param(snippet, id=f"{path.parent.name}/{path.name}")
    for path, said in DOCSTRINGS.items()
    for snippet in re.findall(r'python -c "([^"]+)"', said)
]


def is_there(module: str, name: str) -> bool:
    """Whether `from module import name` finds a module or something that the module defines."""
    found = find_spec(module)
    if found is None or found.origin is None:
        return False
    defined = rf"^(?:def |class |import |from .* import .*)?{re.escape(name)}\b"
    return bool(re.search(defined, Path(found.origin).read_text(), re.M)) or (
        found.submodule_search_locations is not None and find_spec(f"{module}.{name}") is not None
    )


def test_every_module_says_how_to_try_it():
    packages = [path for path in DOCSTRINGS if path.name == "__init__.py"]
    silent = [path for path, said in DOCSTRINGS.items() if "Try it:" not in said and path not in packages]
    assert len(DOCSTRINGS) > 200 and silent == []


def test_every_file_that_a_docstring_names_exists():
    places = "tests|benchmarks|docs|cloudformation|functions|src"
    named = {
        (path.relative_to(ROOT), file)
        for path, said in DOCSTRINGS.items()
        for file in re.findall(rf"(?<![\w./-])(?:{places})/[a-z0-9_/-]+\.[a-z]+\b", said)
    }
    assert len(named) > 30
    assert [(path, file) for path, file in sorted(named) if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_every_snippet_of_a_docstring_imports_what_there_is(snippet):
    for node in ast.walk(ast.parse(" ".join(snippet.split()))):
        if isinstance(node, ast.ImportFrom):
            names = [each.name for each in node.names if each.name != "*"]
            assert [name for name in names if not is_there(str(node.module), name)] == []
