"""A run's report is one page that holds all it shows; its closing table says where to look."""

import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from course_copy import small_course
from rich.console import Console

from workshop import progress, report
from workshop.checkpoints import MIMETYPE
from workshop.execution import Event
from workshop.records import Record
from workshop.settings import load

PASSED = {"passed": True, "what": "stack x is complete", "why": "", "fix": "", "seconds": 0.1}
FAILED = {
    "passed": False,
    "what": "a <b>bold</b> thing is missing",
    "why": "Because.",
    "fix": "a && b",
    "seconds": 0.1,
}


class Addresses(HTMLParser):
    """Collect every address that a page would load by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag, attributes) -> None:
        self.loaded += [
            value or "" for name, value in attributes if name == "src" or (tag, name) == ("link", "href")
        ]


def rows() -> list[dict]:
    return [
        {
            "number": 1,
            "name": "01-first",
            "title": "the first",
            "minutes": 1,
            "status": "passed",
            "seconds": 61.0,
            "checks": [PASSED],
            "notebook": "labs/01-first.ipynb",
        },
        {
            "number": 2,
            "name": "02-second",
            "title": "the second & last",
            "minutes": 1,
            "status": "failed",
            "seconds": 2.0,
            "checks": [PASSED, FAILED],
            "error": "a <b>bold</b> thing is missing",
            "fix": "a && b",
        },
        {"number": 3, "name": "03-third", "title": "the third", "minutes": 2, "status": "not run"},
    ]


@pytest.fixture
def record(tmp_path) -> Record:
    made = Record(tmp_path / "runs" / "20260101-000000-labs-1-3-abcd", "labs", labs=rows())
    made.set(status="failed", started=0.0, target="local", profile="quick")
    picture = {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo="}, "metadata": {}}
    checkpoint = {"output_type": "display_data", "data": {MIMETYPE: {"part": "", "lines": [PASSED]}}}
    cells = [
        {"cell_type": "markdown", "source": ["## Curves"], "metadata": {}},
        {"cell_type": "code", "source": [], "metadata": {}, "outputs": [picture, checkpoint]},
    ]
    path = made.folder / "labs" / "01-first.ipynb"
    path.parent.mkdir()
    path.write_text(json.dumps({"cells": cells}))
    return made


def test_the_page_loads_nothing_from_elsewhere(record):
    parser = Addresses()
    parser.feed(report.page(record, 0.12))
    assert parser.loaded == ["data:image/png;base64,iVBORw0KGgo="]


def test_what_notebooks_say_is_escaped(record):
    page = report.page(record, 0.12)
    assert "<b>bold</b>" not in page
    assert "the second &amp; last" in page
    assert "<code>a &amp;&amp; b</code>" in page


def test_the_page_has_every_lab_with_status_time_and_checks(record):
    page = report.page(record, 0.12)
    for text in ("the first", "1:01", "1 of 1", "failed", "1 of 2", "not run", "Curves", "✗ a &lt;b&gt;"):
        assert text in page


def test_the_closing_table_names_failure_remedy_and_places(record, monkeypatch):
    monkeypatch.chdir(record.folder.parent.parent)
    lines = report.closing_table(record).splitlines()
    assert lines[0].split() == ["✓", "lab", "1", "the", "first", "passed", "1:01", "1/1", "checks"]
    assert "  fix: a && b" in lines
    assert lines[-2].split() == ["report", f"runs/{record.id}/report.html"]


def test_metrics_gather_checks_jobs_machine_and_versions(record, tmp_path):
    settings = small_course(tmp_path)
    job = Record(settings.runs_dir / "20260101-000001-train-ffff", "job", job="train", batch=record.id)
    job.set(status="passed")
    measured = {"accuracy": 0.7, "data_source": "sample", "results": [1, 2]}
    (job.folder / "metrics.json").write_text(json.dumps(measured))
    found = report.metrics(record, settings)
    assert found["checks"] == {"passed": 2, "all": 3}
    assert found["jobs"][0]["metrics"] == {"accuracy": 0.7, "data_source": "sample"}
    assert found["data"] == ["sample"]
    assert found["machine"]["cores"] >= 1
    assert found["versions"]["papermill"]


def test_both_files_are_written_beside_the_record(record, tmp_path):
    assert report.write(record, small_course(tmp_path)) == record.folder / "report.html"
    assert json.loads((record.folder / "metrics.json").read_text())["run"] == record.id


def test_the_plain_view_names_each_step_once_with_its_time():
    written, now = [], [0.0]
    view = progress.Plain(rows(), write=written.append, now=lambda: now[0])
    view.begin(rows()[0])
    for cell, heading, at in ((1, "Look", 1), (2, "Look", 2), (3, "Checkpoint", 65)):
        now[0] = at
        view.event(Event("cell", cell, 3, heading))
    view.end(rows()[1])
    assert written == [
        "lab 1    the first (expected 1:00)",
        "    0:01  step 1/3  Look",
        "    1:05  step 3/3  Checkpoint",
        "    0:02  failed, 1 of 2 checks",
    ]


def test_the_live_view_shows_lab_step_elapsed_and_expected():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    labs = rows()
    labs[0]["status"] = "running"
    now = [10.0]
    with progress.Live(labs, console, now=lambda: now[0]) as view:
        view.begin(labs[0])
        view.event(Event("cell", 2, 5, "Deploy"))
        view.event(Event("line", text="CREATE_COMPLETE Vpc"))
        now[0] = 75.0
        view.live.refresh()
    shown = screen.getvalue()
    for text in ("the first", "2/5  Deploy", "1:05", "1:00", "CREATE_COMPLETE Vpc"):
        assert text in shown


def test_a_pipe_gets_the_plain_view():
    assert isinstance(progress.view(rows(), io.StringIO()), progress.Plain)


def test_a_run_of_the_future_is_found_first(tmp_path):
    for name in ("20260101-000000-x-aaaa", "20260102-000000-x-bbbb"):
        Record(tmp_path / name, "labs").set(status="failed")
    Path(tmp_path / "20260103-000000-x-cccc").mkdir()
    (tmp_path / "20260103-000000-x-cccc" / "run.json").write_text("{half a rec")
    assert [found.id[:8] for found in Record.all(tmp_path, "labs")] == ["20260102", "20260101"]


def test_report_says_what_the_run_would_cost_on_aws(tmp_path):
    root = Path(__file__).resolve().parents[2]
    rows = [{"number": 1, "title": "a", "status": "passed", "minutes": 1, "seconds": 3600.0}]
    record = Record(tmp_path / "run", "labs", labs=rows, status="passed", target="local", profile="quick")
    usd = report.usd_on_aws(record, load(root=root, region="us-east-1"))
    assert 0.1 < usd < 0.6  # one m6i.xlarge for an hour is 0.19 USD
    assert f"about {usd:.2f} USD" in report.page(record, usd)
