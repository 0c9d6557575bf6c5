"""SqueezeNet's file and pictures: the format is read as described, and anything else is refused."""

import os
from pathlib import Path

import numpy as np
import pytest

from workshop.errors import DataError
from workshop.ml import squeezenet

LARGEST_GAP = 15  # zeros that 4 bits can step over


def encode(weights: dict[str, np.ndarray]) -> bytes:
    """Write the published format, independently of the reader; at most 255 distinct non-zero values a layer.

    Where more zeros follow each other than a gap can hold, a zero is stored as a weight of its own.
    """
    counts, layers = [], []
    for name in squeezenet.kernel_shapes():
        flat = weights[f"{name}/kernel"].reshape(-1)
        shared = np.zeros(256, dtype="<f4")
        distinct = np.unique(flat[flat != 0])
        shared[1 : 1 + len(distinct)] = distinct
        codes, gaps, last = [], [], -1
        for position in np.flatnonzero(flat):
            while position - last - 1 > LARGEST_GAP:
                last += LARGEST_GAP + 1
                codes.append(0)
                gaps.append(LARGEST_GAP)
            codes.append(1 + int(np.searchsorted(distinct, flat[position])))
            gaps.append(int(position) - last - 1)
            last = int(position)
        counts.append(len(codes))
        padded = [*gaps, 0]
        pairs = bytes(
            low | high << 4 for low, high in zip(padded[0 : len(gaps) : 2], padded[1::2], strict=False)
        )
        layers.append(
            shared.tobytes() + weights[f"{name}/bias"].astype("<f4").tobytes() + bytes(codes) + pairs
        )
    return np.array(counts, dtype="<u4").tobytes() + b"".join(layers)


def sparse_weights(seed: int = 0, density: float = 0.02) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    values = generator.normal(0, 0.1, 200).astype(np.float32)
    weights = {}
    for name, shape in squeezenet.kernel_shapes().items():
        kept = generator.random(shape) < density
        weights[f"{name}/kernel"] = np.where(kept, generator.choice(values, shape), np.float32(0))
        weights[f"{name}/bias"] = generator.normal(0, 0.1, shape[0]).astype(np.float32)
    return weights


@pytest.fixture(scope="module")
def encoded() -> bytes:
    return encode(sparse_weights())


def test_reader_gives_back_what_an_encoder_of_the_format_wrote(encoded, tmp_path):
    (tmp_path / "net").write_bytes(encoded)
    read, written = squeezenet.read_weights(tmp_path / "net"), sparse_weights()
    assert read.keys() == written.keys()
    assert all(np.array_equal(read[name], written[name]) for name in written)


@pytest.mark.parametrize("size", [0, 50, 104, 2_000, -1])
def test_cut_file_is_refused_at_the_place_where_it_ends(encoded, tmp_path, size):
    (tmp_path / "net").write_bytes(encoded[:size])
    with pytest.raises(DataError, match="ends within"):
        squeezenet.read_weights(tmp_path / "net")


def test_file_that_goes_on_is_refused(encoded, tmp_path):
    (tmp_path / "net").write_bytes(encoded + b"\0")
    with pytest.raises(DataError, match="goes on after the last layer"):
        squeezenet.read_weights(tmp_path / "net")


def test_gaps_that_lead_out_of_a_layer_are_refused(encoded, tmp_path):
    count = 4_000  # of 16 steps each: more than conv1's 14,112 weights
    first = 256 * 4 + 96 * 4
    damaged = np.array([count], dtype="<u4").tobytes() + encoded[4:104]
    (tmp_path / "net").write_bytes(
        damaged + encoded[104 : 104 + first] + bytes(count) + b"\xff" * (count // 2)
    )
    with pytest.raises(DataError, match="conv1 has 14,112 weights, its gaps lead to 63,999"):
        squeezenet.read_weights(tmp_path / "net")


def test_absent_file_is_an_expected_error(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        squeezenet.read_weights(tmp_path / "net")


def test_preparation_scales_the_short_side_cuts_the_centre_and_puts_blue_first():
    picture = np.zeros((512, 1024, 3), dtype=np.uint8)
    picture[:, 256:768] = (10, 20, 30)  # the centre square
    prepared = squeezenet.preprocess(picture)
    assert prepared.shape == (1, 3, 227, 227) and prepared.dtype == np.float32
    assert prepared[0, :, 113, 113].tolist() == [30 - 104, 20 - 117, 10 - 123]
    assert np.ptp(prepared[0], axis=(1, 2)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [(1, 1, 3), (300, 227, 3), (64, 64, 3), (100, 800, 3)])
def test_pictures_of_many_sizes_are_prepared(shape):
    assert squeezenet.preprocess(np.zeros(shape, dtype=np.uint8)).shape == (1, 3, 227, 227)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((10, 10), dtype=np.uint8),
        np.zeros((10, 10, 4), dtype=np.uint8),
        np.zeros((10, 10, 3)),
        np.zeros((0, 10, 3), dtype=np.uint8),
        np.zeros((10, 900, 3), dtype=np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(picture):
    with pytest.raises(DataError):
        squeezenet.preprocess(picture)


def test_cat_probability_sums_the_five_classes():
    rows = np.zeros((1, 1000))
    rows[0, 280:287] = 0.1
    assert squeezenet.cat_probability(rows)[0] == pytest.approx(0.5)


def test_class_names_must_be_a_thousand(tmp_path):
    (tmp_path / "synset.txt").write_text("n01440764 tench, Tinca tinca\n")
    with pytest.raises(DataError, match="names 1 classes"):
        squeezenet.class_names(tmp_path / "synset.txt")


def test_published_file_is_read_whole():
    folder = os.environ.get("WORKSHOP_DATA_DIR")
    path = Path(folder or "") / "pretrained" / "compressed_SqueezeNet.net"
    if not folder or not path.exists():
        pytest.skip("WORKSHOP_DATA_DIR names no folder with pretrained/compressed_SqueezeNet.net")
    weights = squeezenet.read_weights(path)
    kernels = np.concatenate([value.ravel() for name, value in weights.items() if name.endswith("kernel")])
    assert len(weights) == 52 and kernels.size == 1_244_448
    assert np.mean(kernels != 0) == pytest.approx(0.334, abs=0.001)  # the paper keeps a third
