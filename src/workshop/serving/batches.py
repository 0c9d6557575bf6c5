"""Texts of requests that wait at the same moment are classified together, while others are being read.

Try it:  workshop load http://127.0.0.1:8080/predict --connections 16
The network takes all in one go, which costs less than one after the other. Nobody is waited for: what has come in
by the time the network is free is what it gets, and a request that is alone is answered at once. No thread: handing a
batch over and back takes longer than the network does, where the processor is shared.
"""

from __future__ import annotations

import asyncio

import numpy as np

from workshop.serving.in_service import Model

MOST_TAKEN = 16
MOST_TOGETHER = 8  # the longest text sets the work for all, so those of like length go together
Waiting = tuple[Model, str, "asyncio.Future[np.ndarray]"]


class Batches:
    """Used by one event loop."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._is_asked_for = False  # a turn of the loop for them

    async def predict(self, model: Model, text: str) -> np.ndarray:
        """Classify one text. Returns: probabilities, float32 (classes,)."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[np.ndarray] = loop.create_future()
        self._waiting.append((model, text, answer))
        if not self._is_asked_for:
            self._is_asked_for = True
            loop.call_soon(self._next)  # once every request that has come with this one is here
        return await answer

    def _next(self) -> None:
        """Classify those that have waited longest."""
        taken, self._waiting = self._waiting[:MOST_TAKEN], self._waiting[MOST_TAKEN:]
        if len(taken) > 1:
            taken.sort(key=lambda each: len(each[1]))
        while taken:
            # Of one model: it may just have been swapped.
            together = [each for each in taken[:MOST_TOGETHER] if each[0] is taken[0][0]]
            taken = [each for each in taken[:MOST_TOGETHER] if each[0] is not taken[0][0]] + taken[
                MOST_TOGETHER:
            ]
            _classify(together)
        self._is_asked_for = bool(self._waiting)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)


def _classify(batch: list[Waiting]) -> None:
    found: np.ndarray | Exception
    try:
        found = batch[0][0].predictor.predict([text for _, text, _ in batch])
    except Exception as error:  # whoever waits for it is told, and the next are answered
        found = error
    for index, (_, _, answer) in enumerate(batch):
        if answer.done():  # its request was cancelled
            continue
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found[index])
