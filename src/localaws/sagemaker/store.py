"""What SageMaker holds, by kind and name, in each account and region; also over restarts.

Try it:  workshop up; aws sagemaker create-model-package-group …; workshop down; workshop up; list them
A kind is what a resource's ARN has before the slash. Members of records that begin with an underscore are notes of
ours, and in no answer. Knows no rules.
"""

import copy
import threading
from collections.abc import Iterator
from typing import Any

from localaws.sagemaker import arns

STATE_NAME = "sagemaker"
KINDS = (
    "training-job",
    "model",
    "endpoint-config",
    "endpoint",
    "transform-job",
    "model-package-group",
    "model-package",
)
Record = dict[str, Any]


class Store:
    """Records by kind. `changing` guards every change of a record and is never held over a call to AWS.

    A snapshot takes it on the event loop: who held it and waited for an answer of this server would wait for ever.
    """

    def __init__(self) -> None:
        from ministack.core.responses import AccountRegionScopedDict

        self.changing = threading.RLock()
        self._kinds: dict[str, Any] = {kind: AccountRegionScopedDict() for kind in KINDS}

    def get(self, kind: str, name: str) -> Record | None:
        """The record of that name, in any case of letters."""
        found: Record | None = self._kinds[kind].get(arns.key(name))
        return found

    def of(self, kind: str) -> list[Record]:
        """All records of a kind in this account and region, in the order in which they were made."""
        return list(self._kinds[kind].values())

    def add(self, kind: str, name: str, record: Record) -> bool:
        """Keep a new record; False if there is one of that name."""
        with self.changing:
            if arns.key(name) in self._kinds[kind]:
                return False
            self._kinds[kind][arns.key(name)] = record
            return True

    def remove(self, kind: str, name: str) -> Record | None:
        """Forget a record, and return it."""
        with self.changing:
            found: Record | None = self._kinds[kind].pop(arns.key(name), None)
            return found

    def everywhere(self, kind: str) -> Iterator[tuple[str, str, Record]]:
        """(account, region, record) of all accounts and regions; set the scope with ministack's request_scope."""
        for (account, region, _), record in self._kinds[kind].all_items():
            yield account, region, record

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        with self.changing:
            return copy.deepcopy(self._kinds)

    def restore(self, state: dict[str, Any] | None) -> None:
        """Take over what a former server kept."""
        for kind in KINDS:
            self._kinds[kind].update((state or {}).get(kind, {}))

    def install(self) -> None:
        """Have snapshots keep it, beside ministack's services'."""
        import ministack.app
        from ministack.core import persistence

        of_services = ministack.app._build_persistence_save_dict
        ministack.app._build_persistence_save_dict = lambda: {**of_services(), STATE_NAME: self.state}
        self.restore(persistence.load_state(STATE_NAME))
