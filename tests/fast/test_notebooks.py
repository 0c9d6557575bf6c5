"""Notebooks have one canonical form, and finding it twice changes nothing."""

import copy
import json
from pathlib import Path

import pytest
from course_copy import small_course

from workshop import notebooks
from workshop.errors import WorkshopError

NOISY = {
    "nbformat": 4,
    "nbformat_minor": 4,
    "metadata": {
        "kernelspec": {"name": "workshop", "language": "python", "display_name": "Workshop"},
        "papermill": {"duration": 3.2},
        "language_info": {"name": "python", "version": "3.11.7"},
        "widgets": {},
    },
    "cells": [
        {
            "cell_type": "markdown",
            "id": "title",
            "metadata": {"collapsed": False},
            "source": "# Title\n\ntext\n",
        },
        {
            "cell_type": "code",
            "metadata": {"tags": ["checkpoint"], "execution": {"iopub.execute_input": "2026"}},
            "execution_count": 7,
            "source": ["print(1)\n", "1"],
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": "a\n"},
                {"output_type": "stream", "name": "stdout", "text": ["b\n"]},
                {
                    "output_type": "execute_result",
                    "execution_count": 7,
                    "metadata": {},
                    "data": {"text/plain": "1"},
                },
            ],
        },
        {
            "cell_type": "code",
            "metadata": {},
            "execution_count": 8,
            "source": [],
            "outputs": [],
            "id": "title",
        },
    ],
}


def test_labs_keep_outputs_without_the_noise_of_their_execution():
    cell = notebooks.canonical(NOISY, keep_outputs=True)["cells"][1]
    assert cell["outputs"][0] == {"output_type": "stream", "name": "stdout", "text": ["a\n", "b\n"]}
    assert cell["outputs"][1]["execution_count"] is None
    assert cell["execution_count"] is None
    assert cell["metadata"] == {"tags": ["checkpoint"]}


def test_jobs_lose_their_outputs():
    assert notebooks.canonical(NOISY, keep_outputs=False)["cells"][1]["outputs"] == []


def test_only_metadata_that_people_wrote_is_kept():
    found = notebooks.canonical(NOISY, keep_outputs=True)
    assert sorted(found["metadata"]) == ["kernelspec", "language_info"]
    assert found["metadata"]["language_info"] == {"name": "python"}


def test_every_cell_has_an_id_of_its_own_and_given_ones_stay():
    ids = [cell["id"] for cell in notebooks.canonical(NOISY, keep_outputs=True)["cells"]]
    assert ids[0] == "title"
    assert len(set(ids)) == 3 and all(ids)
    assert ids == [cell["id"] for cell in notebooks.canonical(NOISY, keep_outputs=True)["cells"]]


@pytest.mark.parametrize("keep_outputs", [True, False])
def test_the_canonical_form_of_a_canonical_notebook_is_itself(keep_outputs):
    once = notebooks.canonical(NOISY, keep_outputs)
    assert notebooks.canonical(once, keep_outputs) == once


def test_the_given_notebook_is_not_changed():
    before = copy.deepcopy(NOISY)
    notebooks.canonical(NOISY, keep_outputs=False)
    assert before == NOISY


def test_fix_mends_what_check_names(tmp_path):
    root = small_course(tmp_path).root
    assert notebooks.differing(root) == []
    path = root / "notebooks" / "count-pictures.ipynb"
    content = json.loads(path.read_text())
    content["cells"][1]["execution_count"] = 3
    path.write_text(json.dumps(content))
    assert notebooks.differing(root) == [path]
    notebooks.fix(path)
    assert notebooks.differing(root) == []


def _notebook(path: Path, source: str, outputs: list) -> Path:
    cell = {"cell_type": "code", "id": "one", "metadata": {}, "source": source, "outputs": outputs}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_outputs_of_a_run_are_kept_unless_a_cell_differs_or_failed(tmp_path):
    said = {"output_type": "stream", "name": "stdout", "text": "4\n"}
    lab = _notebook(tmp_path / "labs/01-a.ipynb", "print(4)", [])
    notebooks.keep(_notebook(tmp_path / "run/01-a.ipynb", "print(4)", [said]), lab)
    assert "".join(json.loads(lab.read_text())["cells"][0]["outputs"][0]["text"]) == "4\n"
    with pytest.raises(WorkshopError, match="not a copy"):
        notebooks.keep(_notebook(tmp_path / "run/01-a.ipynb", "print(5)", [said]), lab)
    failed = {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}
    with pytest.raises(WorkshopError, match="failed"):
        notebooks.keep(_notebook(tmp_path / "run/01-a.ipynb", "print(4)", [failed]), lab)


def test_output_of_a_private_cell_is_not_kept():
    said = {"output_type": "stream", "name": "stdout", "text": "token\n"}
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {"tags": ["private-output"]},
        "source": "",
        "outputs": [said],
    }
    kept = notebooks.canonical({"cells": [cell], "metadata": {}}, keep_outputs=True)
    assert kept["cells"][0]["outputs"] == []
