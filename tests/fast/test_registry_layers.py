"""The registry's layers as files."""

import hashlib
from pathlib import Path

import pytest

from localaws.registry.layers import Repository, sweep


def put(repository: Repository, content: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    repository[digest] = content
    return digest


def test_layer_is_read_back_and_the_state_has_its_size_alone(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    digest = put(repository, b"layer")
    assert repository[digest] == b"layer" and digest in repository and len(repository) == 1
    assert repository.sizes() == {digest: 5}
    assert Repository(tmp_path, repository.sizes())[digest] == b"layer"


def test_repositories_share_a_file_that_goes_with_the_last_of_them(tmp_path: Path) -> None:
    one, other = Repository(tmp_path), Repository(tmp_path)
    digest = put(one, b"layer")
    put(other, b"layer")
    assert len(list(tmp_path.iterdir())) == 1
    del one[digest]
    sweep(tmp_path, [one, other])
    assert other[digest] == b"layer"
    sweep(tmp_path, [one])
    assert list(tmp_path.iterdir()) == []


def test_layer_that_is_not_there_is_none(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    assert repository.get("sha256:0") is None and repository.size("sha256:0") == 0
    with pytest.raises(KeyError):
        repository["sha256:0"]


def test_file_becomes_a_layer_and_another_repository_shares_it(tmp_path: Path) -> None:
    (tmp_path / "layers").mkdir()
    one, other = Repository(tmp_path / "layers"), Repository(tmp_path / "layers")
    (tmp_path / "upload").write_bytes(b"layer")
    one.adopt("sha256:5", tmp_path / "upload", 5)
    other.share("sha256:5", one)
    assert not (tmp_path / "upload").exists()
    assert other["sha256:5"] == b"layer" and other.sizes() == {"sha256:5": 5}
    assert other.file("sha256:5").parent == tmp_path / "layers"
