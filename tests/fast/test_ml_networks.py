"""MXNet and Keras do the same: each runs in its own environment, and what came out is compared here."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs
from test_ml_squeezenet import encode, sparse_weights

from workshop.ml import artefact, squeezenet

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "samples" / "cifar-network"
ENVIRONMENTS = {"mxnet": "mxnet", "keras": "workshop"}


def interpreter(framework: str) -> str:
    if importlib.util.find_spec(framework):
        return sys.executable
    path = ROOT / ".venvs" / ENVIRONMENTS[framework] / "bin" / "python"
    if not path.exists():
        pytest.skip(f"the environment {ENVIRONMENTS[framework]!r} is not made (make setup)")
    return str(path)


def run(framework: str, action: str, folder: Path, *arguments: str) -> dict:
    script = Path(__file__).with_name("network_report.py")
    command = [interpreter(framework), str(script), action, framework, str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    if action == "train":
        assert done.returncode == -signal.SIGKILL, done.stderr
        return {}
    assert done.returncode == 0, done.stderr
    return json.loads((folder / f"{framework}-{action}.json").read_text())


def published(*parts: str) -> Path | None:
    path = Path(os.environ.get("WORKSHOP_DATA_DIR") or "no-folder").joinpath(*parts)
    return path if path.exists() else None


def photos() -> dict[str, np.ndarray]:
    """Photographs by name: scikit-image's, and those of the data directory where there is one."""
    found = {"chelsea": photographs.chelsea()}
    for name in ("astronaut", "camera", "coffee", "coins", "rocket"):
        picture = getattr(photographs, name)()
        found[name] = picture if picture.ndim == 3 else np.stack([picture] * 3, axis=-1)
    for path in sorted((published("photos") or Path("no-folder")).glob("*.*")):
        found[path.stem] = np.asarray(Image.open(path).convert("RGB"))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What every report reads: photos, and SqueezeNet's weights, the published ones or sparse ones."""
    place = tmp_path_factory.mktemp("networks")
    given = published("pretrained", "compressed_SqueezeNet.net")
    (place / "squeezenet.net").write_bytes(
        given.read_bytes() if given else encode(sparse_weights(density=0.3))
    )
    for number, picture in enumerate(photos().values()):
        np.save(place / f"photo-{number:02d}.npy", picture)
    return place


@pytest.fixture(scope="module")
def report(folder):
    """The report of a framework, made once: a run that is killed after its second epoch, then the rest."""
    made: dict[str, dict] = {}

    def of(framework: str) -> dict:
        if framework not in made:
            run(framework, "train", folder, "2")
            made[framework] = run(framework, "report", folder)
        return made[framework]

    return of


@pytest.mark.parametrize("framework", ENVIRONMENTS)
def test_killed_training_resumes_to_the_figures_of_an_unkilled_one(report, framework):
    found = report(framework)
    assert len(found["resumed"]) == 3
    for resumed, whole in zip(found["resumed"], found["whole"], strict=True):
        assert resumed == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("framework", ENVIRONMENTS)
def test_network_learns_to_tell_stripes_apart(report, framework):
    losses = [row["loss"] for row in report(framework)["whole"]]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("framework", ENVIRONMENTS)
def test_saved_network_classifies_as_before(report, framework):
    assert report(framework)["loaded_differs_by"] < 1e-6


def test_network_trained_in_mxnet_classifies_in_keras(report):
    mxnet, keras = report("mxnet"), report("keras")
    assert np.allclose(keras["reads_mxnet"], mxnet["probabilities"], atol=1e-5)


def test_network_trained_in_keras_classifies_in_mxnet(report, folder):
    keras = report("keras")
    assert np.allclose(run("mxnet", "read", folder)["reads_keras"], keras["probabilities"], atol=1e-5)


def test_both_frameworks_start_alike_and_learn_alike(report):
    keras, mxnet = report("keras")["whole"], report("mxnet")["whole"]
    assert keras[0]["loss"] == pytest.approx(mxnet[0]["loss"], abs=1e-3)
    assert keras[-1]["loss"] == pytest.approx(mxnet[-1]["loss"], abs=2e-2)


def test_squeezenet_gives_equal_probabilities_in_both_frameworks(report):
    mxnet, keras = (np.array(report(name)["squeezenet"]) for name in ENVIRONMENTS)
    assert keras.shape == (len(photos()), 1000) and np.allclose(keras.sum(axis=1), 1, atol=1e-5)
    assert np.abs(keras - mxnet).max() < 1e-4
    assert np.abs(keras[0] - keras[1]).max() > 1e-6  # it does look at the picture


def test_squeezenet_gives_equal_features_in_both_frameworks(report):
    mxnet, keras = (np.array(report(name)["features"]) for name in ENVIRONMENTS)
    assert keras.shape == (len(photos()), 512)
    assert np.allclose(keras, mxnet, rtol=1e-3, atol=1e-4)


def test_asking_for_the_other_environments_framework_is_an_expected_error():
    absent = [name for name in ENVIRONMENTS if not importlib.util.find_spec(name)]
    if not absent:
        pytest.skip("this environment has both frameworks")
    code = f"from workshop.ml import frameworks; frameworks.{absent[0]}()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert f"choose the kernel of the environment '{ENVIRONMENTS[absent[0]]}'" in done.stderr


def test_importing_the_package_loads_no_framework():
    code = (
        "import sys; from workshop.ml import network, squeezenet, training, artefact; "
        "assert not {'mxnet', 'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("framework", ENVIRONMENTS)
def test_every_published_photo_is_judged_rightly(report, framework):
    if not published("photos") or not published("pretrained"):
        pytest.skip("WORKSHOP_DATA_DIR names no folder with photos/ and pretrained/")
    rows = np.array(report(framework)["squeezenet"])
    for name, probability in zip(photos(), squeezenet.cat_probability(rows), strict=True):
        is_cat = "cat" in name or "chelsea" in name
        assert probability >= 0.8 if is_cat else probability <= 0.05, (name, probability)


@pytest.mark.parametrize("framework", ENVIRONMENTS)
def test_the_workshops_own_network_tells_scikit_images_cat_from_its_other_photographs(report, framework):
    description = artefact.metadata(SAMPLE)
    cats = np.array(report(framework)["sample_network"])[:, description["classes"].index("cat")]
    assert cats[0] > description["cat_threshold"] > cats[1:6].max()


def test_the_workshops_own_network_is_small_and_says_what_it_reached():
    description = artefact.metadata(SAMPLE)
    artefact.read(SAMPLE)
    assert (SAMPLE / artefact.WEIGHTS).stat().st_size < 1024 * 1024
    assert description["metrics"]["accuracy"] >= 0.8 and description["metrics"]["cat_auc"] >= 0.93
    assert "make_sample_network.py" in description["made_by"]
