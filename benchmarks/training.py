"""How fast each framework trains and classifies, on pictures of noise: nothing but the computing is measured.

Try it:  python -m benchmarks training     or one:  .venvs/mxnet/bin/python benchmarks/training.py mxnet
"""

import json
import subprocess
import sys
import time

import numpy as np

from workshop.ml import profiles
from workshop.ml.network import gluon, keras
from workshop.ml.pictures import Pictures
from workshop.settings import load

MODULES = {"keras": keras, "mxnet": gluon}
ENVIRONMENTS = {"keras": "workshop", "mxnet": "mxnet"}
NUM_PICTURES = 2_048
NUM_EPOCHS = 3  # the first one compiles and is left out


def speed(framework: str) -> dict:
    """Pictures a second: training (changes of the pictures included) and classifying (without mirroring)."""
    module, plan, generator = MODULES[framework], profiles.PROFILES["full"], np.random.default_rng(0)
    images = generator.integers(0, 256, (NUM_PICTURES, 32, 32, 3), dtype=np.uint8)
    noise = Pictures(images, generator.integers(0, 10, NUM_PICTURES), [str(digit) for digit in range(10)])
    history = module.train(noise, None, NUM_EPOCHS, plan.batch_size, 0.001, width=plan.width)
    module.predict(history.network, images, mirrored=False)
    started = time.perf_counter()
    module.predict(history.network, images, mirrored=False)
    classifying = time.perf_counter() - started
    fastest = min(row["seconds"] for row in history.epochs[1:])
    return {"training": NUM_PICTURES / fastest, "classifying": NUM_PICTURES / classifying}


def measure() -> list[dict]:
    """Both frameworks, each in its own environment; Keras is set against MXNet."""
    found = {}
    for framework in ("mxnet", "keras"):
        python = load().root / ".venvs" / ENVIRONMENTS[framework] / "bin" / "python"
        done = subprocess.run([str(python), __file__, framework], check=True, capture_output=True, text=True)
        found[framework] = json.loads(done.stdout.splitlines()[-1])
    rows = []
    for what in ("training", "classifying"):
        mxnet, keras = found["mxnet"][what], found["keras"][what]
        common = {"unit": "pictures/s"}
        rows.append({"name": f"{what}, MXNet", "value": mxnet, "against": None, "ratio": None, **common})
        rows.append(
            {"name": f"{what}, Keras", "value": keras, "against": mxnet, "ratio": keras / mxnet, **common}
        )
    return rows


if __name__ == "__main__":
    print(json.dumps(speed(sys.argv[1])))
