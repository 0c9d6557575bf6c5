"""A dataset is found where it is, verified, and replaced by the sample only with the reason said."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from loopback import body, serve
from PIL import Image

from workshop import datasets, settings
from workshop.data import catalogue, drawings, formats, samples
from workshop.errors import DataError

REPOSITORY = Path(__file__).parents[2]
COLOURS = {"blue": (20, 40, 200), "red": (200, 40, 20)}


def png(colour, side=32):
    content = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(content, "PNG")
    return content.getvalue()


def zip_of_pictures():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for part, count in (("train", 3), ("test", 2)):
            for name, colour in COLOURS.items():
                for number in range(count):
                    archive.writestr(f"{part}/{name}/{number:04d}.png", png(colour))
    return content.getvalue()


ZIP = zip_of_pictures()


class Place:
    """A repository with a table of one's own, a data directory and a cache."""

    def __init__(self, folder: Path) -> None:
        self.root, self.data, self.cache = folder / "root", folder / "data-directory", folder / "cache"
        for path in (self.root / "data", self.data):
            path.mkdir(parents=True)

    def table(self, url="", content=ZIP, name="cifar10", sample="drawn pictures"):
        """One dataset with two forms: a zip file, by `url` if there is one, and a folder."""
        address = f'url = ["{url}"]' if url else ""
        (self.root / "data" / "datasets.toml").write_text(
            f"""
            [{name}]
            title = "t"
            what = "w"
            home = "h"
            licence = "l"
            sample = "{sample}"
            [[{name}.form]]
            name = "zip"
            [[{name}.form.file]]
            role = "pictures"
            path = ["sub/set.zip", "set.zip"]
            {address}
            size_bytes = {len(content)}
            sha256 = "{hashlib.sha256(content).hexdigest()}"
            [[{name}.form]]
            name = "folder"
            [[{name}.form.file]]
            role = "pictures"
            path = ["own/train"]
            parent = true
            """
        )

    def settings(self, with_data_dir=False):
        data = {"data_dir": self.data} if with_data_dir else {}
        return settings.load({}, root=self.root, cache_dir=self.cache, **data)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(drawings, "TRAIN_A_CLASS", 2)  # the drawings themselves have tests of their own
    monkeypatch.setattr(drawings, "TEST_A_CLASS", 1)
    place = Place(tmp_path)
    place.table()
    return place


def test_data_directory_is_used_first_and_its_pictures_read(place):
    (place.data / "set.zip").write_bytes(ZIP)
    found = datasets.find("cifar10", place.settings(with_data_dir=True))
    assert (found.source, found.is_sample, found.form) == ("data directory", False, "zip")
    assert found.note == "cifar10: zip from the data directory"
    train, test = datasets.pictures(found, place.settings())
    assert train.classes == ["blue", "red"] and len(train) == 6 and len(test) == 4
    assert train.images[0, 0, 0].tolist() == [20, 40, 200]


def test_own_folder_of_pictures_is_read(place):
    for part in ("train", "test"):
        for name, colour in COLOURS.items():
            folder = place.data / "own" / part / name
            folder.mkdir(parents=True)
            (folder / "one.png").write_bytes(png(colour, side=50))
    found = datasets.find("cifar10", place.settings(with_data_dir=True))
    assert (found.form, found.path) == ("folder", place.data / "own")
    train, _ = datasets.pictures(found, place.settings())
    assert train.images.shape == (2, 32, 32, 3)


def test_folder_without_test_pictures_is_refused_with_the_layout(place):
    (place.data / "own" / "train" / "red").mkdir(parents=True)
    found = datasets.find("cifar10", place.settings(with_data_dir=True))
    with pytest.raises(DataError, match="no folder 'test'"):
        datasets.pictures(found, place.settings())


def test_missing_data_directory_is_an_error(place):
    chosen = place.settings(with_data_dir=True)
    place.data.rmdir()
    with pytest.raises(DataError, match="does not exist"):
        datasets.find("cifar10", chosen)


def test_data_directory_without_the_set_falls_on_and_says_so(place):
    found = datasets.find("cifar10", place.settings(with_data_dir=True))
    assert found.is_sample
    assert f"not in the data directory {place.data} (looked for sub/set.zip" in found.note


def test_wrong_bytes_in_the_data_directory_are_refused_and_left_alone(place):
    wrong = ZIP[:-1] + b"x"
    (place.data / "set.zip").write_bytes(wrong)
    with pytest.raises(DataError) as caught:
        datasets.find("cifar10", place.settings(with_data_dir=True))
    for content in (wrong, ZIP):
        assert hashlib.sha256(content).hexdigest() in str(caught.value)
    assert (place.data / "set.zip").read_bytes() == wrong


def test_download_is_kept_and_found_in_the_cache_without_a_network(place):
    with serve(body(ZIP)) as site:
        place.table(site.url + "/set.zip")
        seen = []
        first = datasets.find("cifar10", place.settings(), on_progress=lambda *row: seen.append(row))
    assert (first.source, first.note) == ("download", "cifar10: zip downloaded")
    assert seen[-1] == ("set.zip", len(ZIP), len(ZIP))
    second = datasets.find("cifar10", place.settings())
    assert (second.source, second.path) == ("cache", first.path)


def test_damaged_file_in_the_cache_is_moved_aside_and_fetched_anew(place):
    with serve(body(ZIP)) as site:
        place.table(site.url + "/set.zip")
        path = datasets.find("cifar10", place.settings()).path
        path.write_bytes(b"damaged")
        with pytest.raises(DataError, match="7 bytes, expected"):
            datasets.find("cifar10", place.settings())
        assert not path.exists() and path.with_name("set.zip.bad").read_bytes() == b"damaged"
        assert datasets.find("cifar10", place.settings()).source == "download"


def test_wrong_bytes_from_the_network_are_an_error_and_not_the_sample(place):
    with serve(body(b"y" * len(ZIP))) as site:
        place.table(site.url + "/set.zip")
        with pytest.raises(DataError, match="expected SHA-256"):
            datasets.find("cifar10", place.settings())


def test_sample_is_used_without_a_network_and_gives_the_reason(place):
    with serve(body(ZIP)) as site:
        place.table(site.url + "/set.zip")
    found = datasets.find("cifar10", place.settings())
    assert found.is_sample and found.source == "sample"
    assert found.note == (
        "cifar10: no data directory, no network (127.0.0.1: the connection was refused): "
        "using the built-in sample, 30 drawn pictures"
    )
    train, test = datasets.pictures(found, place.settings())
    assert "cat" in train.classes and (len(train), len(test)) == (20, 10)


def test_server_that_lost_the_file_is_a_reason_for_the_sample(place):
    with serve(body(b"", status=404)) as site:
        place.table(site.url + "/set.zip")
        assert "404" in datasets.find("cifar10", place.settings()).note


def test_fetch_never_gives_the_sample_and_asks_a_host_again(place):
    with serve(body(ZIP)) as site:
        place.table(site.url + "/set.zip")
    assert datasets.find("cifar10", place.settings()).is_sample
    with pytest.raises(DataError, match="no network") as caught:
        datasets.fetch("cifar10", place.settings())
    assert "WORKSHOP_DATA_DIR" in caught.value.remedy


def test_set_without_a_sample_is_an_error_that_says_why(place):
    place.table(sample="")
    with pytest.raises(DataError, match="no data directory, no sample is built in"):
        datasets.find("cifar10", place.settings())


def test_unknown_set_is_refused_with_the_nearest_name(place):
    with pytest.raises(DataError) as caught:
        datasets.find("cifar", place.settings())
    assert caught.value.remedy == "did you mean 'cifar10'?"


def test_status_asks_no_host(place):
    with serve(body(ZIP)) as site:
        place.table(site.url + "/set.zip")
        rows = datasets.status(place.settings())
    assert [(row.name, row.source, row.size_bytes) for row in rows] == [("cifar10", "not here", len(ZIP))]
    assert not site.requests


# --- decoding


def test_pictures_are_decoded_once_and_again_when_the_cache_is_damaged(tmp_path):
    source = tmp_path / "set.zip"
    source.write_bytes(ZIP)
    reads = []

    def read():
        reads.append(1)
        return formats.from_zip(source, 32)

    first = formats.decoded_once("key", tmp_path, read)
    second = formats.decoded_once("key", tmp_path, read)
    assert len(reads) == 1
    assert first[0].fingerprint() == second[0].fingerprint()
    (kept,) = (tmp_path / "decoded").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    third = formats.decoded_once("key", tmp_path, read)
    assert len(reads) == 2 and third[1].fingerprint() == first[1].fingerprint()


def test_changed_source_is_decoded_again(place):
    source = place.data / "set.zip"
    source.write_bytes(ZIP)
    before = formats.key_of(source)
    source.write_bytes(ZIP + b"\0")
    assert formats.key_of(source) != before


def test_cache_that_can_not_be_written_costs_only_time(tmp_path):
    source = tmp_path / "set.zip"
    source.write_bytes(ZIP)
    (tmp_path / "decoded").write_text("a file where the folder should be")
    assert len(formats.decoded_once("key", tmp_path, lambda: formats.from_zip(source, 32))[0]) == 6


def test_cat_or_not_is_read_from_hdf5(tmp_path):
    for part, count in (("train", 3), ("test", 2)):
        with h5py.File(tmp_path / f"{part}.h5", "w") as file:
            file[f"{part}_set_x"] = np.full((count, 64, 64, 3), 7, np.uint8)
            file[f"{part}_set_y"] = np.arange(count) % 2
    train, test = formats.from_hdf5(tmp_path / "train.h5", tmp_path / "test.h5")
    assert train.labels.tolist() == [0, 1, 0] and train.classes[1] == "cat" and len(test) == 2
    with pytest.raises(DataError, match="train_set_x"):
        formats.from_hdf5(tmp_path / "test.h5", tmp_path / "test.h5")


# --- the table and the samples that come with it


def test_every_row_of_the_table_has_what_a_reader_needs():
    table = catalogue.read(REPOSITORY)
    assert set(table) >= {"cifar10", "catvnoncat", "squeezenet", "synset", "photos"}
    for entry in table.values():
        assert entry.licence and entry.home.startswith("https://")
        # Kaggle asks for an account; WordNet is large and only used where it is.
        by_hand = entry.name in ("tweets", "wordnet")
        assert by_hand or any(form.can_be_fetched for form in entry.forms), entry.name
        made = ("", "drawn pictures", "drawn cat or not", "scikit-image", "own network", "made-up passengers")
        assert entry.sample in (*made, *samples.TEXTS)
        for file in (file for form in entry.forms for file in form.files if file.urls):
            assert file.size_bytes and len(file.sha256) == 64, file.name


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ('sha256 = "', 'sha256 = "x'),
        ("size_bytes = ", "size_bytes = 0 # "),
        ("role = ", "rolle = "),
        ("[", "("),
    ],
)
def test_unusable_table_is_refused(place, line, instead):
    place.table("https://data.example/set.zip")
    path = place.root / "data" / "datasets.toml"
    path.write_text(path.read_text().replace(line, instead))
    with pytest.raises(DataError, match=r"datasets\.toml can't be read"):
        catalogue.read(place.root)


def test_names_leave_out_what_only_comes_along():
    names = datasets.names(settings.load({}, root=REPOSITORY))
    assert "squeezenet" in names and "synset" not in names


def test_photographs_are_found_offline_with_one_cat(tmp_path):
    found = samples.make("scikit-image", tmp_path, tmp_path)
    assert found is not None
    sample = datasets.Dataset("photos", found.path, "sample", True, "", "", found.files)
    photos = datasets.photos(sample, settings.load({}, root=REPOSITORY))
    assert [photo.name for photo in photos if photo.is_cat] == ["chelsea"]
    assert len(photos) >= 5 and all(photo.path.is_file() for photo in photos)


def test_our_own_network_stands_in_for_weights_that_can_not_be_had(place):
    place.table(name="squeezenet", sample="own network")
    with pytest.raises(DataError, match="no sample is built in"):
        datasets.find("squeezenet", place.settings())
    (place.root / samples.OWN_NETWORK).mkdir(parents=True)
    found = datasets.find("squeezenet", place.settings())
    assert found.is_sample and found.path == place.root / samples.OWN_NETWORK


def test_own_photographs_are_listed_with_nothing_claimed_about_them(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").write_bytes(b"")
    (tmp_path / "photos" / "cat.bmp").write_bytes(b"")
    (tmp_path / "photos" / "notes.txt").write_text("")
    chosen = settings.load({}, root=REPOSITORY, cache_dir=tmp_path / "cache", data_dir=tmp_path)
    found = datasets.find("photos", chosen)
    assert found.form == "folder"
    assert [(photo.name, photo.is_cat) for photo in datasets.photos(found, chosen)] == [
        ("cat", None),
        ("mine", None),
    ]


def test_weights_come_with_class_names_or_say_that_they_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr("workshop.data.sources._check", lambda *_, **__: None)
    (tmp_path / "pretrained").mkdir()
    (tmp_path / "pretrained" / "compressed_SqueezeNet.net").write_bytes(b"weights")
    chosen = settings.load({}, root=REPOSITORY, cache_dir=tmp_path / "cache", data_dir=tmp_path)
    without = datasets.find("squeezenet", chosen, download=False)
    assert set(without.files) == {"weights"} and "without synset" in without.note
    (tmp_path / "pretrained" / "synset.txt").write_text("n01 tench, Tinca tinca\nn02 goldfish\n")
    assert set(datasets.find("squeezenet", chosen, download=False).files) == {"weights", "classes"}
    assert datasets.class_names(chosen) == ["tench, Tinca tinca", "goldfish"]


# --- the drawings


def test_same_number_is_the_same_drawing_and_another_is_another():
    assert np.array_equal(drawings.picture("cat", 3), drawings.picture("cat", 3))
    assert not np.array_equal(drawings.picture("cat", 3), drawings.picture("cat", 4))


def test_zip_of_drawings_is_the_same_byte_for_byte(place, tmp_path):
    first, second = (drawings.write_zip(tmp_path / name).read_bytes() for name in ("a.zip", "b.zip"))
    assert first == second


def test_interrupted_drawing_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(drawings, "picture", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        drawings.write_zip(tmp_path / "a.zip")
    assert not list(tmp_path.iterdir())


def test_drawings_can_be_told_apart_but_not_by_their_average():
    """The average picture of a class says something and far from all: there is something to learn."""
    names = ["ball", "cat", "house", "tree"]
    images = np.stack([[drawings.picture(name, number) for name in names] for number in range(80)]) / 255.0
    averages = images[:40].mean(axis=0)
    distances = ((images[40:, :, None] - averages) ** 2).sum(axis=(3, 4, 5))
    score = (distances.argmin(axis=2) == np.arange(len(names))).mean()
    assert 0.27 < score < 0.8


def test_drawn_cat_or_not_is_half_cats_and_never_a_training_picture():
    images, labels = drawings.cat_or_not(6, 2, side=32)
    assert labels == [1, 0] * 4 and images[0].shape == (32, 32, 3)
    trained_on = [drawings.picture("cat", number) for number in range(3)]
    assert not any(np.array_equal(images[0], other) for other in trained_on)
