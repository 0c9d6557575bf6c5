"""Say what happens, in the lines that the built-in algorithm writes.

Try it:  python -c "from linearlearner.log_lines import Log; Log('algo-1').quality('test', {'recall': 0.5})"
SageMaker reads metrics from these lines, by expressions that AWS shows in AlgorithmSpecification of every training job
with this algorithm: https://docs.aws.amazon.com/sagemaker/latest/dg/linear-learner-tuning.html has their names.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

LOSS_ENDINGS = ("_objective", "mse", "absolute_loss")


class Log:
    """Writes lines as the algorithm on one host does."""

    def __init__(self, host: str, out: TextIO | None = None, clock: Callable[[], float] = time.time) -> None:
        self._host = host
        self._out = sys.stdout if out is None else out
        self._clock = clock

    def plain(self, text: str) -> None:
        """A line without a time."""
        print(text, file=self._out, flush=True)

    def info(self, text: str, level: str = "INFO") -> None:
        """A line with time and level."""
        self.plain(f"[{time.strftime('%m/%d/%Y %H:%M:%S', time.gmtime(self._clock()))} {level} 1] {text}")

    def quality(self, channel: str, values: Mapping[str, float], epoch: int | None = None) -> None:
        """#quality_metric lines: of an epoch, or of the final model."""
        where = "" if epoch is None else f" epoch={epoch},"
        for name, value in values.items():
            self.info(f"#quality_metric: host={self._host},{where} {channel} {name} {_kind(name)}={value!r}")

    def final(self, channel: str, values: Mapping[str, float]) -> None:
        """How the final model does on a channel."""
        for name, value in values.items():
            self.info(f"#{channel}_score ({self._host}) : ({name!r}, {value!r})")
        self.quality(channel, values)

    def models(self, name: str, values: Sequence[float], epoch: int, began: float) -> None:
        """One #metrics line a model, with its value of an epoch."""
        for model, value in enumerate(values):
            self.metrics({name: float(value)}, began, {"epoch": epoch, "model": model})

    def metrics(self, values: Mapping[str, float], began: float, dimensions: Mapping[str, Any]) -> None:
        """A #metrics line: values with their times and dimensions, as JSON."""
        document = {
            "StartTime": began,
            "EndTime": self._clock(),
            "Dimensions": {
                "Algorithm": "Linear Learner",
                "Host": self._host,
                "Operation": "training",
                **dimensions,
            },
            "Metrics": {
                name: {"sum": value, "count": 1, "min": value, "max": value} for name, value in values.items()
            },
        }
        self.plain(f"#metrics {json.dumps(document)}\n")

    def stopping(self, epoch: int, name: str, value: float) -> None:
        """What early stopping looks at."""
        text = f"#early_stopping_criteria_metric: host={self._host}, epoch={epoch}, criteria={name}, value={value!r}"
        self.info(text)

    def progress(self, percent: float) -> None:
        """How much of the epochs is done."""
        self.info(f"#progress_metric: host={self._host}, completed {percent:g} % of epochs")

    def throughput(self, rows_a_second: float) -> None:
        """How fast it was."""
        self.info(f"#throughput_metric: host={self._host}, train throughput={rows_a_second!r} records/second")


def _kind(name: str) -> str:
    return "<loss>" if name.endswith(LOSS_ENDINGS) else "<score>"
