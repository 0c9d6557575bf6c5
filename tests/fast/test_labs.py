"""What every lab has and keeps to, read from the notebooks as they are."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from workshop.notebooks import PRIVATE

LABS = sorted((Path(__file__).resolve().parents[2] / "labs").glob("*.ipynb"))
CELL_LINES = 10
FUNCTION_LINES = 5
NOT_COMPARED = "nbval-ignore-output"


@pytest.fixture(params=LABS, ids=lambda path: path.stem)
def lab(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(json.loads(request.param.read_text()))


def code(lab: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in lab["cells"] if cell["cell_type"] == "code"]


def prose(lab: dict[str, Any]) -> str:
    return "\n\n".join("".join(cell["source"]) for cell in lab["cells"] if cell["cell_type"] == "markdown")


def tags(cell: dict[str, Any]) -> list[str]:
    return list(cell["metadata"].get("tags", []))


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_each_lab_has_a_number_of_its_own() -> None:
    numbers = [path.name[:3] for path in LABS]
    assert len(set(numbers)) == len(numbers) >= 7


def test_front_matter_gives_minutes_and_cost(lab: dict[str, Any]) -> None:
    front = lab["metadata"]["workshop"]
    assert 0 < front["minutes"] <= 30
    assert 0 <= front["cost_usd"] < 5


def test_first_cell_tells_what_why_minutes_and_cost(lab: dict[str, Any]) -> None:
    first = source(lab["cells"][0])
    assert re.match(r"# Lab \d+: \w", first)
    assert [word for word in ("You will", "Why", "Minutes", "Costs") if f"**{word}**" not in first] == []


def test_lab_has_a_mermaid_diagram(lab: dict[str, Any]) -> None:
    assert re.search(r"```mermaid\n(flowchart|sequenceDiagram|graph|stateDiagram)", prose(lab))


def test_lab_has_one_checkpoint_that_runs_its_own_checks(lab: dict[str, Any]) -> None:
    number = int(re.match(r"# Lab (\d+)", source(lab["cells"][0]))[1])  # type: ignore[index]
    [cell] = [cell for cell in lab["cells"] if "checkpoint" in tags(cell)]
    assert cell["cell_type"] == "code"
    assert f"check({number})" in source(cell)


def test_lab_has_an_exercise_with_a_check_of_its_own(lab: dict[str, Any]) -> None:
    _, found, exercise = prose(lab).partition("## Your turn")
    assert found and len(exercise.partition("\n## ")[0].split()) >= 15
    whole = exercise + "\n".join(map(source, code(lab)))
    assert re.search(r"""check\(\d+, ["']your-turn["']\)""", whole)


def test_lab_ends_with_what_is_up_and_costs_money(lab: dict[str, Any]) -> None:
    assert "workshop clean" in prose(lab) or "cost" in source(lab["cells"][-1])


def test_cells_are_short(lab: dict[str, Any]) -> None:
    long = [source(cell) for cell in code(lab) if len(source(cell).splitlines()) > CELL_LINES]
    assert long == []


def test_cells_define_no_function_longer_than_five_lines(lab: dict[str, Any]) -> None:
    long = [
        node.name
        for cell in code(lab)
        for node in ast.walk(ast.parse(source(cell)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES
    ]
    assert long == []


def test_cells_are_plain_python_that_installs_nothing(lab: dict[str, Any]) -> None:
    for cell in code(lab):
        ast.parse(source(cell))  # no magics, no shell
        assert "sys.path" not in source(cell) and "os.system" not in source(cell)


def test_expected_outputs_are_kept_and_show_no_error(lab: dict[str, Any]) -> None:
    outputs = [output for cell in code(lab) for output in cell["outputs"]]
    assert [output["evalue"] for output in outputs if output["output_type"] == "error"] == []
    [checkpoint] = [cell for cell in code(lab) if "checkpoint" in tags(cell)]
    shown = "".join("".join(output["data"]["text/plain"]) for output in checkpoint["outputs"])
    assert shown.startswith("✓") and "✗" not in shown
    printing = [cell for cell in code(lab) if "print(" in source(cell)]
    assert [source(cell) for cell in printing if not cell["outputs"] and PRIVATE not in tags(cell)] == []


def test_no_token_is_kept(lab: dict[str, Any]) -> None:
    shown = json.dumps([cell["outputs"] for cell in code(lab)])
    assert re.findall(r"token=\w+", shown) == []
    assert [source(cell) for cell in code(lab) if PRIVATE in tags(cell) and cell["outputs"]] == []


def test_at_least_some_outputs_are_compared(lab: dict[str, Any]) -> None:
    compared = [cell for cell in code(lab) if cell["outputs"] and NOT_COMPARED not in tags(cell)]
    assert len(compared) >= 2


def test_kept_outputs_name_no_folder_of_the_machine_that_ran_them(lab: dict[str, Any]) -> None:
    text = json.dumps([cell["outputs"] for cell in code(lab)])
    of_an_image = "/home/workshop"  # the user of our images
    folders = re.findall(r"/(?:home|root|Users|tmp|work)/[\w.-]+", text)
    assert [folder for folder in folders if folder != of_an_image] == []


def test_lab_runs_in_the_workshop_kernel(lab: dict[str, Any]) -> None:
    assert lab["metadata"]["kernelspec"]["name"] == "workshop"
