"""What all areas of the local SageMaker share.

Try it:  grep -rn context.store src/localaws/sagemaker
What is not there is refused here, in AWS's words for most kinds; packages and jobs have words of their own. Knows no
area.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localaws.engine import Engine
from localaws.sagemaker import arns, refusals
from localaws.sagemaker.store import Record, Store


@dataclass(frozen=True)
class Context:
    """Collaborators, handed to each `Area`.

    endpoint: this server's address as this machine sees it. metric_seconds: CloudWatch's minute. algorithms: files
    that describe the images of built-in algorithms, by name. changed: says that a record changed without a request.
    """

    engine: Engine
    endpoint: str
    region: str
    metric_seconds: float = 60.0
    algorithms: Mapping[str, Path] = field(default_factory=dict)
    changed: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.time
    store: Store = field(default_factory=Store)

    def now(self) -> float:
        """The time as SageMaker writes it: seconds since the epoch, to the millisecond."""
        return round(self.clock(), 3)

    def find(self, kind: str, name: str) -> Record:
        """The record of that name. Errors: Refused if there is none."""
        return self._there(self.store.get(kind, name), kind, name)

    def take_out(self, kind: str, name: str) -> Record:
        """Forget the record of that name, and return it. Errors: Refused if there is none."""
        return self._there(self.store.remove(kind, name), kind, name)

    def _there(self, record: Record | None, kind: str, name: str) -> Record:
        if record is None:
            raise refusals.not_found(kind, arns.arn(kind, name))
        return record
