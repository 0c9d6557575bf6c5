"""The README's map, commands and settings are what the tree has."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def map_entries() -> list[str]:
    block = README.split("## Map", 1)[1].split("```")[1]
    return [line.split()[0] for line in block.splitlines() if line and not line.startswith((" ", "#"))]


def test_every_place_on_the_map_exists():
    assert [entry for entry in map_entries() if not (ROOT / entry).exists()] == []


def test_every_top_level_place_is_on_the_map():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] + ("/" if "/" in line else "") for line in tracked.splitlines()}
    hidden = {name for name in top if name.startswith(".")}
    assert top - hidden - set(map_entries()) == set()


def test_every_make_target_named_exists():
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z]+)", README)) <= targets


def test_every_setting_is_in_the_table_with_its_default():
    from workshop.settings import SETTINGS

    rows = [line for line in README.splitlines() if line.startswith("| `WORKSHOP_")]
    assert len(rows) == len(SETTINGS)
    for setting in SETTINGS:
        row = next(line for line in rows if f"`{setting.variable}`" in line)
        assert setting.help in row
        assert (setting.default or "none") in row


def test_every_linked_file_exists():
    links = re.findall(r"\]\((?!http|#)([^)#]+)", README)
    assert links and [link for link in links if not (ROOT / link).exists()] == []


def test_links_from_page_to_page_lead_to_a_heading_that_is_there():
    broken, checked = [], 0
    for page in (*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("labs/*.ipynb")):
        for link in re.findall(r"\]\((?!http)([^)\s]+\.(?:md|ipynb)(?:#[^)\s]+)?)\)", page.read_text()):
            path, _, anchor = link.partition("#")
            target = page.parent / path
            checked += bool(anchor)
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{page.name}: {link}")
    assert checked and broken == []


def anchors(page: Path) -> set[str]:
    """What GitHub calls a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_no_file_names_a_registry_or_a_path_of_the_machine_it_was_made_on():
    registries = "|".join(
        ["py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.org", "deb" + r"\.debian\.org"]
    )
    folders = r"(^|[^A-Za-z0-9_.])/(wo" + "rk|fa" + "rm|ro" + "ot)/"
    for pattern in (registries, folders):
        found = subprocess.run(
            ["git", "grep", "-nIE", pattern, "--", "."], cwd=ROOT, capture_output=True, text=True
        )
        assert found.stdout == ""
