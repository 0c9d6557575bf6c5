"""Fit nbval to the course's notebooks; a pytest plugin that the nbval run loads by name.

Canonical notebooks keep outputs without execution counts, which nbval takes for cells that were never run; so
each gets a count here. Outputs that hold a token are never kept, so there is nothing to compare them with. The
checkpoint's machine-readable form holds measured seconds; its text and HTML forms say the same and are compared.
"""

import pytest

from workshop.notebooks import PRIVATE

MEASURED = "application/vnd.workshop.checkpoint+json"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for number, item in enumerate(items, 1):
        item.cell.execution_count = number
        if PRIVATE in item.cell.metadata.get("tags", []):
            item.options["check"] = False
        if MEASURED not in item.parent.skip_compare:
            item.parent.skip_compare += (MEASURED,)
