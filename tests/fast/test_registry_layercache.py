"""Large layers are found again by a registry that begins with nothing."""

import hashlib
import os
from pathlib import Path

import pytest

from localaws.registry.layercache import SMALLEST_BYTES, LayerCache


def layer(folder: Path, size: int = SMALLEST_BYTES, fill: bytes = b"x") -> tuple[str, Path]:
    content = fill * size
    file = folder / f"layer-{fill.hex()}-{size}"
    file.write_bytes(content)
    return f"sha256:{hashlib.sha256(content).hexdigest()}", file


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    (tmp_path / "registry").mkdir()
    return tmp_path / "registry"


def test_layer_outlives_the_registry_that_it_was_pushed_to(tmp_path: Path, registry: Path) -> None:
    digest, file = layer(registry)
    LayerCache(tmp_path / "cache").keep(digest, file, SMALLEST_BYTES)
    number = file.stat().st_ino
    file.unlink()
    again = registry / "again"
    assert LayerCache(tmp_path / "cache").give(digest, again) == SMALLEST_BYTES
    assert again.stat().st_ino == number


def test_small_layers_and_unknown_ones_are_not_there(tmp_path: Path, registry: Path) -> None:
    cache = LayerCache(tmp_path / "cache")
    digest, file = layer(registry, SMALLEST_BYTES - 1)
    cache.keep(digest, file, SMALLEST_BYTES - 1)
    assert cache.give(digest, registry / "again") is None
    assert cache.give("sha256:../../secret", registry / "again") is None
    assert not (registry / "again").exists()


def test_what_was_used_longest_ago_goes_when_there_is_too_much(tmp_path: Path, registry: Path) -> None:
    cache = LayerCache(tmp_path / "cache", limit_bytes=2 * SMALLEST_BYTES)
    digests = []
    for number, fill in enumerate((b"a", b"b", b"c")):
        digest, file = layer(registry, fill=fill)
        cache.keep(digest, file, SMALLEST_BYTES)
        os.utime(tmp_path / "cache" / digest.replace(":", "-"), (number, number))
        digests.append(digest)
    found = [cache.give(digest, registry / f"again-{digest[7:]}") is not None for digest in digests]
    assert found == [False, True, True]


def test_without_a_folder_nothing_is_kept_or_found(registry: Path) -> None:
    digest, file = layer(registry)
    cache = LayerCache(None)
    cache.keep(digest, file, SMALLEST_BYTES)
    assert cache.give(digest, registry / "again") is None


def test_cache_that_cannot_be_written_only_makes_it_slower(tmp_path: Path, registry: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    digest, file = layer(registry)
    LayerCache(tmp_path / "file").keep(digest, file, SMALLEST_BYTES)
    assert LayerCache(tmp_path / "file").give(digest, registry / "again") is None
