"""Pictures as arrays: what is read, what is refused, what training changes."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from workshop.errors import DataError
from workshop.ml import augmentation, inference, pictures


def picture(side: int = 32, value: int = 100) -> np.ndarray:
    return np.full((side, side, 3), value, dtype=np.uint8)


def encoded(array: np.ndarray, kind: str = "PNG", **options) -> bytes:
    target = io.BytesIO()
    Image.fromarray(array).save(target, kind, **options)
    return target.getvalue()


@pytest.fixture
def folder(tmp_path):
    for label, value in (("cat", 10), ("dog", 200)):
        for number in range(4):
            path = tmp_path / label / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(encoded(picture(value=value + number)))
    return tmp_path


def test_folders_become_classes_in_the_order_of_their_names(folder):
    read = pictures.load_folder(folder)
    assert read.classes == ["cat", "dog"]
    assert read.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert read.images[:, 0, 0, 0].tolist() == [10, 11, 12, 13, 200, 201, 202, 203]


def test_zip_gives_the_same_pictures_as_its_folder(folder, tmp_path):
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for path in folder.glob("*/*.png"):
            target.write(path, f"train/{path.parent.name}/{path.name}")
            target.writestr(f"test/{path.parent.name}/{path.name}", encoded(picture(value=0)))
    assert pictures.load_zip(archive, "train").fingerprint() == pictures.load_folder(folder).fingerprint()


def test_every_unreadable_file_is_named(folder):
    (folder / "cat" / "a.jpg").write_text("<html>")
    (folder / "dog" / "b.png").write_bytes(encoded(picture())[:60])
    with pytest.raises(DataError, match=r"2 of 10 files.*a\.jpg.*b\.png"):
        pictures.load_folder(folder)


def test_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no pictures"):
        pictures.load_folder(tmp_path)
    with pytest.raises(DataError, match="there is no folder"):
        pictures.load_folder(tmp_path / "absent")


def test_damaged_zip_is_refused(tmp_path):
    (tmp_path / "half.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match="can't be read as a zip"):
        pictures.load_zip(tmp_path / "half.zip")


def test_picture_with_too_many_pixels_is_refused_before_it_is_decoded():
    with pytest.raises(DataError, match="40 x 40 pixels, more than 1,000"):
        pictures.decode(encoded(picture(40)), max_pixels=1_000)


def test_picture_taken_sideways_is_turned_upright():
    wide = np.zeros((4, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to show
    assert pictures.decode(encoded(wide, "JPEG", exif=exif)).shape == (8, 4, 3)


def test_split_holds_out_the_same_share_of_each_class_and_nothing_twice(folder):
    read = pictures.load_folder(folder)
    rest, held_out = pictures.split(read, 0.25, seed=1)
    assert np.bincount(held_out.labels).tolist() == [1, 1]
    together = pictures.concatenate([rest, held_out])
    assert sorted(together.images[:, 0, 0, 0]) == sorted(read.images[:, 0, 0, 0])


def test_split_that_leaves_a_side_empty_is_refused(folder):
    with pytest.raises(DataError, match="would be 0"):
        pictures.split(pictures.load_folder(folder), 0.01)


def test_labels_outside_of_the_classes_are_refused():
    with pytest.raises(DataError, match="labels must lie in 0 to 1"):
        pictures.Pictures(picture()[None], np.array([2]), ["cat", "dog"])


def test_fingerprint_changes_with_one_pixel(folder):
    read = pictures.load_folder(folder)
    other = read.take(np.arange(len(read)))
    other.images[3, 5, 5, 1] ^= 1
    assert read.fingerprint() != other.fingerprint()


def test_windows_cut_each_picture_at_its_own_place():
    images = np.arange(2 * 6 * 6 * 3).reshape(2, 6, 6, 3)
    cut = augmentation.windows(images, np.array([0, 2]), np.array([1, 3]), 3)
    assert np.array_equal(cut[0], images[0, 0:3, 1:4])
    assert np.array_equal(cut[1], images[1, 2:5, 3:6])


def test_epoch_has_the_same_batches_again_and_other_epochs_others():
    images = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(64)

    def first(seed, epoch):
        return next(augmentation.batches(images, labels, 16, seed, epoch))

    again, same, other = first(1, 2), first(1, 2), first(1, 3)
    assert np.array_equal(again[0], same[0]) and np.array_equal(again[1], same[1])
    assert not np.array_equal(again[1], other[1])


def test_augmentation_hides_one_square_and_keeps_the_rest_of_a_flat_picture():
    images = np.full((20, 32, 32, 3), 255, dtype=np.uint8)
    changes = augmentation.Changes.draw(len(images), 32, np.random.default_rng(0))
    changed = augmentation.augment(images, changes)
    assert changed.dtype == np.float32 and changed.shape == images.shape
    assert ((changed == 0).sum(axis=(1, 2, 3)) == augmentation.CUTOUT**2 * 3).all()
    assert np.allclose(changed[changed != 0].max(), augmentation.normalise(images).max())


def test_probabilities_of_mirrored_pictures_are_averaged():
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)

    def forward(batch):
        return batch[:, 0, :3, 0]

    both = inference.predict(forward, images, mirrored=True)
    plain = inference.predict(forward, images, mirrored=False)
    turned = inference.predict(forward, np.ascontiguousarray(images[:, :, ::-1]), mirrored=False)
    assert np.allclose(both, (plain + turned) / 2)
    assert np.allclose(both.sum(axis=1), 1)
    assert not np.allclose(both, plain)


@pytest.mark.parametrize("shape", [(40, 40, 3), (300, 451, 3), (1, 5, 3), (64, 20, 3), (1, 20_000, 3)])
def test_photo_of_any_size_has_thirteen_views(shape):
    assert pictures.views(np.zeros(shape, dtype=np.uint8)).shape == (13, 32, 32, 3)


def test_picture_of_the_networks_own_size_is_its_only_view():
    assert np.array_equal(pictures.views(picture(value=7)), picture(value=7)[None])


def test_views_reach_every_corner():
    photo = np.zeros((100, 200, 3), dtype=np.uint8)
    for row in (0, -1):
        for column in (0, -1):
            photo[row, column] = 255
    assert (pictures.views(photo)[4:].max(axis=(1, 2, 3)) > 0).sum() == 4


def test_photo_gets_the_mean_over_its_views():
    photos = [np.full((50, 60, 3), 10, dtype=np.uint8), np.full((90, 40, 3), 200, dtype=np.uint8)]
    photos.append(picture(value=60))
    found = inference.predict_photos(lambda images: images.mean(axis=(1, 2)), photos)
    assert found.tolist() == [[10, 10, 10], [200, 200, 200], [60, 60, 60]]
    with pytest.raises(DataError, match="no picture"):
        inference.predict_photos(lambda images: images, [])


def test_softmax_survives_large_logits():
    assert np.allclose(inference.softmax(np.array([[10_000.0, 10_000.0]])), 0.5)


def test_no_picture_is_refused_rather_than_classified():
    with pytest.raises(DataError, match="N of 1 or more"):
        inference.predict(lambda batch: batch, np.zeros((0, 32, 32, 3), dtype=np.uint8))


def test_at_most_takes_as_many_of_each_class_and_keeps_the_order():
    labels = np.array([0, 0, 0, 1, 1, 1], dtype=np.int64)
    images = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1) * np.ones((1, 2, 2, 3), dtype=np.uint8)
    some = pictures.at_most(pictures.Pictures(images, labels, ["a", "b"]), 4)
    assert some.labels.tolist() == [0, 0, 1, 1]
    assert some.images[:, 0, 0, 0].tolist() == [0, 1, 3, 4]
    assert len(pictures.at_most(some, 100)) == 4
