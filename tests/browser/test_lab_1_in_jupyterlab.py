"""Lab 1 as an attendee meets it: `workshop lab`, its address, Run All Cells, the checkpoint, Ctrl-C."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import psutil
from attendee import Attendee, free_port, is_free, wait_until
from playwright.sync_api import Page, expect

LAB = "01-set-up.ipynb"
START_SECONDS = 120
RUN_SECONDS = 300
STOP_SECONDS = 30
LOOPBACK = "127.0.0.1"


def test_attendee_runs_lab_1_in_jupyterlab_to_its_checkpoint(newcomer: Attendee, page: Page) -> None:
    elsewhere: list[str] = []  # what the page asks of anybody but our own server
    page.on("request", lambda request: elsewhere.append(request.url) if _leaves(request.url) else None)
    server, address = _open_jupyterlab(newcomer)

    page.goto(address)
    page.locator(".jp-DirListing-item", has_text=LAB).dblclick(timeout=START_SECONDS * 1000)
    notebook = page.locator(".jp-NotebookPanel:visible")
    expect(notebook.get_by_role("heading", name="Lab 1")).to_be_visible(timeout=START_SECONDS * 1000)
    # In the status bar: on a busy machine the notebook's own tools may hide behind one button.
    kernel = page.get_by_role("button", name=re.compile(r"Workshop \(TensorFlow\) \| "))
    expect(kernel).to_be_visible(timeout=START_SECONDS * 1000)
    _expect_diagram(page)
    page.screenshot(path=str(newcomer.folder / "lab-1-opened.png"))

    _run_all_cells(page)
    saved = _saved_after_run(page, newcomer.root / "labs" / LAB)
    assert _errors(saved) == []
    _show_checkpoint(page)
    lines = notebook.locator(".jp-OutputArea-output:visible", has_text="✓").last
    expect(lines).to_be_visible()
    assert "✗" not in lines.inner_text()
    assert len(_marks(saved)) >= 3 and set(_marks(saved)) == {"✓"}
    page.screenshot(path=str(newcomer.folder / "lab-1-checkpoint.png"))
    print("screenshots:", *sorted(map(str, newcomer.folder.glob("*.png"))))

    expect(page.locator(".jp-Dialog")).to_have_count(0)  # no question about kernels, builds or trust
    expect(page.locator(".Toastify__toast")).to_have_count(0)  # no notice about news or updates
    assert elsewhere == []
    _expect_clean_end(newcomer, server, address)


def _open_jupyterlab(newcomer: Attendee) -> tuple[Any, str]:
    """Start the command and return it with the address that it prints."""
    server = newcomer.start("lab", "--jupyter-port", str(free_port()), log="lab.log")
    found = wait_until(
        lambda: re.search(r"JupyterLab: (\S+)", newcomer.said("lab.log")) or server.poll() is not None,
        START_SECONDS,
        lambda: newcomer.said("lab.log"),
    )
    assert server.poll() is None, newcomer.said("lab.log")
    assert re.match(rf"http://{LOOPBACK}:\d+/lab\?token=\w{{32,}}", found[1])
    return server, found[1]


def _leaves(url: str) -> bool:
    return not url.startswith(("data:", "blob:")) and f"//{LOOPBACK}:" not in url


def _expect_diagram(page: Page) -> None:
    """The Mermaid diagram is drawn as SVG, not shown as its source or as an error."""
    diagram = page.locator(".jp-RenderedMermaid").first
    expect(diagram).to_be_visible(timeout=START_SECONDS * 1000)
    expect(diagram.locator("svg, img[src^='data:image/svg+xml']").first).to_be_visible()
    expect(page.locator(".jp-RenderedMermaid.jp-mod-warning")).to_have_count(0)


def _run_all_cells(page: Page) -> None:
    page.locator(".lm-MenuBar-item", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-item", has_text=re.compile(r"^Run All Cells$")).click()


def _saved_after_run(page: Page, path: Path) -> list[dict[str, Any]]:
    """Save until every code cell has been run, or one has failed; returns the code cells.

    Not a wait for ✓ on the page: a lab keeps its expected output, so that is there from the start.
    """

    def ended() -> list[dict[str, Any]]:
        page.keyboard.press("Control+s")
        page.wait_for_timeout(500)  # also lets the page's own events come through
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        return cells if all(cell["execution_count"] for cell in cells) or _errors(cells) else []

    return list(wait_until(ended, RUN_SECONDS, path.read_text))


def _errors(cells: list[dict[str, Any]]) -> list[str]:
    """Errors that this run has shown; a cell that was not run may still hold an expected one."""
    return [
        f"{output['ename']}: {output['evalue']}"
        for cell in cells
        if cell["execution_count"]
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]


def _marks(cells: list[dict[str, Any]]) -> list[str]:
    """The first characters of the checkpoint's lines, ✓ or ✗."""
    [checkpoint] = [cell for cell in cells if "checkpoint" in cell["metadata"].get("tags", [])]
    texts = ["".join(output.get("data", {}).get("text/plain", "")) for output in checkpoint["outputs"]]
    return [line[0] for line in "\n".join(texts).splitlines() if line[:1] in ("✓", "✗")]


def _show_checkpoint(page: Page) -> None:
    """Scroll to the checkpoint as a person would: by its entry in the table of contents."""
    page.get_by_role("tab", name="Table of Contents").click()
    page.locator(".jp-tocItem-content", has_text="Checkpoint").first.click()


def _expect_clean_end(newcomer: Attendee, server: Any, address: str) -> None:
    """Ctrl-C ends JupyterLab and its kernels, frees the port, and leaves the local AWS alone."""
    local_aws = psutil.Process(newcomer.local_aws_pid())  # outlives us by intent: `workshop down` ends it
    kept = {local_aws, *local_aws.children(recursive=True)}
    started = [each for each in psutil.Process(server.pid).children(recursive=True) if each not in kept]
    assert any("ipykernel_launcher" in " ".join(each.cmdline()) for each in started)
    server.send_signal(signal.SIGINT)
    assert server.wait(STOP_SECONDS) in (0, 130)
    _, alive = psutil.wait_procs(started, STOP_SECONDS)
    assert alive == []
    assert is_free(int(address.split(":")[2].split("/")[0]))
    assert set(newcomer.processes()) <= {local_aws, *local_aws.children(recursive=True)}
    assert newcomer.run("down").returncode == 0
    assert newcomer.processes() == []
