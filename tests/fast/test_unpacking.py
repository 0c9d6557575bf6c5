"""Archives of strangers: nothing is written, linked or read outside of the folder, and the disk is not filled."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from localaws import unpacking

Entry = tuple[str, bytes, str] | tuple[str, bytes, str, str]  # name, type, content or link's target
FILE, FOLDER, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def archive(folder: Path, *entries: tuple[str, bytes, str]) -> Path:
    """A .tar.gz of these, as no honest program makes it."""
    packed = folder / "model.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        for name, kind, text in entries:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            if kind in (LINK, HARD):
                entry.linkname, text = text, ""
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("secret")
    made = tmp_path / "inside"
    made.mkdir()
    return made


HARMFUL = {
    "up": [("../secret", FILE, "x")],
    "up in the middle": [("a", FOLDER, ""), ("a/../../secret", FILE, "x")],
    "a link out": [("out", LINK, "../secret")],
    "an absolute link": [("out", LINK, "/etc/passwd")],
    "a file through a link": [("d", FOLDER, ""), ("l", LINK, "d"), ("l/x", FILE, "x")],
    "a file in a link's place": [("d", FILE, ""), ("l", LINK, "d"), ("l", FILE, "x")],
    "links that lead out together": [
        ("a", FOLDER, ""),
        ("a/b", FOLDER, ""),
        ("a/b/up", LINK, "../.."),
        ("out", LINK, "a/b/up/../secret"),
    ],
    "a hard link out": [("out", HARD, "../secret")],
    "a hard link through a link": [("d", FOLDER, ""), ("l", LINK, "d"), ("out", HARD, "l/../../secret")],
    "a hard link to nothing": [("out", HARD, "nothing")],
    "a device": [("null", tarfile.CHRTYPE, "")],
    "a pipe": [("pipe", tarfile.FIFOTYPE, "")],
}


@pytest.mark.parametrize("how", HARMFUL)
def test_what_would_leave_the_folder_is_refused(inside: Path, how: str) -> None:
    packed = archive(inside.parent, *HARMFUL[how])
    with pytest.raises(tarfile.TarError):
        unpacking.unpack(packed, inside)
    assert (inside.parent / "secret").read_text() == "secret"
    assert sorted(each.name for each in inside.parent.iterdir()) == ["inside", "model.tar.gz", "secret"]


def test_links_longer_than_a_path_may_be_lead_nowhere(inside: Path) -> None:
    """Folders and links to them, each by one letter, until the path that all stand for is too long to be looked at:
    the way around the filter of Python before 3.11.13."""
    long, entries, path = "d" * 240, list[tuple[str, bytes, str]](), ""
    for letter in "abcdefghijklmnopq":
        entries += [(path + long, FOLDER, ""), (path + letter, LINK, long)]
        path += f"{letter}/"
    entries += [(path + "l" * 254, LINK, "../" * 17), ("escape", LINK, path + "l" * 254 + "/../secret")]
    with pytest.raises(tarfile.TarError, match="link"):
        unpacking.unpack(archive(inside.parent, *entries), inside)
    assert (inside.parent / "secret").read_text() == "secret"


def test_what_an_honest_archive_has_is_unpacked(inside: Path) -> None:
    packed = archive(
        inside.parent,
        ("./", FOLDER, ""),
        ("./code", FOLDER, ""),
        ("./code/now", FILE, "weights"),
        ("/weights", FILE, "one"),
        ("code/up", LINK, "../weights"),
        ("same", HARD, "weights"),
    )
    unpacking.unpack(packed, inside)
    assert [(inside / name).read_text() for name in ("code/now", "code/up", "same")] == [
        "weights",
        "one",
        "one",
    ]


def test_container_s_harmful_entries_are_left_out_and_the_others_kept(inside: Path) -> None:
    packed = archive(inside.parent, ("out", LINK, "/etc/passwd"), ("good", FILE, "kept"))
    with tarfile.open(packed, "r|gz") as tar:
        tar.extractall(inside, filter=unpacking.Checks(inside, drops=True))
    assert [each.name for each in inside.iterdir()] == ["good"]


def claiming(kind: bytes, size: int) -> Callable[[Path], Path]:
    """An archive whose one entry says that it has so many bytes."""

    def make(folder: Path) -> Path:
        entry = tarfile.TarInfo("large")
        entry.type, entry.size = kind, size
        packed = folder / "model.tar.gz"
        packed.write_bytes(gzip.compress(entry.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
        return packed

    return make


def many(folder: Path) -> Path:
    header = tarfile.TarInfo("same").tobuf()
    packed = folder / "model.tar.gz"
    packed.write_bytes(gzip.compress(header * 150, 1))
    return packed


@pytest.mark.parametrize(
    "bomb",
    [claiming(FILE, 40 * unpacking.GIB), claiming(tarfile.XHDTYPE, 8 * unpacking.GIB - 1), many],
    ids=["file", "header", "entries"],
)
def test_archive_that_would_fill_disk_or_memory_is_refused_before_it_does(
    inside: Path, bomb: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MOST_ENTRIES", 100)
    with pytest.raises(tarfile.TarError):
        unpacking.unpack(bomb(inside.parent), inside)
    assert sum(each.stat().st_size for each in inside.rglob("*")) == 0


@pytest.mark.parametrize(
    "text", [b"", b"no archive", gzip.compress(b"x" * 700), gzip.compress(b"x" * 9000)[:40]]
)
def test_what_is_no_archive_is_refused(inside: Path, text: bytes) -> None:
    (inside.parent / "model.tar.gz").write_bytes(text)
    with pytest.raises((tarfile.TarError, OSError)):
        unpacking.unpack(inside.parent / "model.tar.gz", inside)
