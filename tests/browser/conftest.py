"""Chromium for the browser tests, with a profile of its own for each."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

# The local AWS that a page is of comes from the local tests' own worlds.
sys.path.insert(0, str(Path(__file__).parents[1] / "local"))

SWITCHES = (
    "--no-sandbox",  # Chromium's own sandbox does not work for a container's only user
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
def page(chromium_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A browser window with a profile of its own; what it showed last is kept as a picture."""
    folder = tmp_path_factory.mktemp("browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            str(folder / "profile"),
            executable_path=chromium_program,
            args=list(SWITCHES),
            viewport={"width": 1400, "height": 1000},
        )
        try:
            yield browser.pages[0]
        finally:
            browser.pages[0].screenshot(path=str(folder / "last.png"))
            browser.close()
            shutil.rmtree(folder / "profile", ignore_errors=True)
