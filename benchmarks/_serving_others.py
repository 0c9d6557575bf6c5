"""What the service is compared with, each a FastAPI application: run by serving.py in the environment it needs.

Try it:  .venvs/serving/bin/python benchmarks/_serving_others.py empty 8081
TensorFlow's are in .venvs/workshop, which has no FastAPI: the serving environment's pure packages, and pydantic's
compiled one, which is for the same Python, stand behind its own on the path.
"""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TRIED = ("A text before the first request, with zorbulated words",)


def empty() -> Any:
    """An endpoint that does nothing."""
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/predict")
    async def nothing() -> dict[str, str]:
        return {"status": "working"}

    return app


def tensorflow(how: str, folder: str) -> Any:
    """The same network in Keras. how: predict (as published), batch (predict_on_batch) or function (a tf.function)."""
    import keras
    import tensorflow as tf
    from fastapi import FastAPI
    from pydantic import BaseModel

    from workshop.ml.text import artefact
    from workshop.ml.text.encoding import Encoder

    found = artefact.check(folder)
    encoder = Encoder(found.cleaning, found.vocabulary, spells_all=True)
    network = keras.models.load_model(found.folder / artefact.KERAS)

    def inputs(text: str) -> dict[str, Any]:
        return {name: value for name, value in encoder.encode([text]).items() if name != "lengths"}

    class OneText(keras.Model):
        """model.predict wants as many rows of each input as there are texts, and the spellings have others."""

        def call(self, given: dict[str, Any]) -> Any:
            return network(
                {name: value[0] if name == "spellings" else value for name, value in given.items()}
            )

    one = OneText()

    def aligned(text: str) -> dict[str, Any]:
        return {name: value[None] if name == "spellings" else value for name, value in inputs(text).items()}

    shapes = {name: tf.TensorSpec([None] * value.ndim, tf.int32) for name, value in inputs(TRIED[0]).items()}
    concrete = tf.function(lambda given: network(given, training=False)).get_concrete_function(shapes)
    calls = {
        "predict": lambda text: one.predict(aligned(text), verbose=0)[0],
        "batch": lambda text: network.predict_on_batch(inputs(text))[0],
        "function": lambda text: concrete(
            {name: tf.constant(value) for name, value in inputs(text).items()}
        ).numpy()[0],
    }
    ask = calls[how]
    ask(TRIED[0])
    app = FastAPI()

    class Given(BaseModel):
        text: str

    def as_published(given: Given) -> dict[str, str]:
        return {"sentiment": found.labels[int(ask(given.text).argmax())]}

    async def at_best(given: Given) -> dict[str, str]:
        return as_published(given)

    # The published design is a plain `def`, which FastAPI runs in its thread pool.
    app.post("/predict")(as_published if how == "predict" else at_best)
    return app


def main() -> None:
    kind, port, *rest = sys.argv[1:]
    behind = ROOT / ".venvs" / "serving" / "lib" / "python3.11" / "site-packages"
    if str(behind) not in sys.path:
        sys.path.append(str(behind))
    import uvicorn

    app = empty() if kind == "empty" else tensorflow(kind, rest[0])
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
