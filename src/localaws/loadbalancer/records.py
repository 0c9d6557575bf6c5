"""The records of load balancers, in ministack's stores, and what hangs together among them.

Try it:  python -m pytest tests/local/test_loadbalancer_api.py
Records are written as the API gives them, so that ministack keeps and restores them; what is ours begins with an
underscore. Knows no operation and no socket.
"""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from localaws.loadbalancer.wire import Refused

Record = dict[str, Any]
changing = threading.RLock()  # held while records change, or several are read that must fit together
# Called after a change; what it does it does later.
on_change: list[Callable[[], None]] = []
KINDS = {
    "loadbalancer": ("_lbs", "LoadBalancerNotFound", "Load balancer"),
    "targetgroup": ("_tgs", "TargetGroupNotFound", "Target group"),
    "listener": ("_listeners", "ListenerNotFound", "Listener"),
    "listener-rule": ("_rules", "RuleNotFound", "Rule"),
}


def changed() -> None:
    """Tell the data path."""
    for call in on_change:
        call()


def store(kind: str) -> Any:
    """One of ministack's stores, which show the records of the request's account and region."""
    from ministack.services import alb

    return getattr(alb, KINDS[kind][0])


def attributes_of(arn: str) -> list[Record]:
    """The attributes that were set; absent ones have their defaults."""
    return _satellite(
        arn, {"loadbalancer": "_lb_attrs", "targetgroup": "_tg_attrs", "listener": "_listener_attrs"}
    )


def tags_of(arn: str) -> list[Record]:
    return _satellite(arn, dict.fromkeys(KINDS, "_tags"))


def targets_of(arn: str) -> list[Record]:
    return _satellite(arn, {"targetgroup": "_targets"})


def _satellite(arn: str, stores: dict[str, str]) -> list[Record]:
    """What is kept by a record's ARN beside it. ministack scopes it by account, which is the ARN's here."""
    from ministack.services import alb

    with scope(arn):
        found: list[Record] = getattr(alb, stores[kind_of(arn)]).setdefault(arn, [])
    return found


def kind_of(arn: str) -> str:
    """What an ARN is of; '' if of nothing that is here."""
    parts = arn.split(":", 5)
    kind = parts[5].partition("/")[0] if len(parts) == 6 and parts[2] == "elasticloadbalancing" else ""
    return kind if kind in KINDS else ""


@contextlib.contextmanager
def scope(arn: str) -> Iterator[None]:
    """Work in the ARN's account and region."""
    from ministack.core.responses import request_scope

    region, account = arn.split(":")[3:5]
    with request_scope(account, region):
        yield


def find(kind: str, arn: str) -> Record:
    """One record of the request's account and region.

    Errors: Refused with the kind's NotFound code.
    """
    found: Record | None = store(kind).get(arn)
    if found is None:
        _, code, words = KINDS[kind]
        if kind_of(arn) != kind:
            raise Refused("ValidationError", f"'{arn}' is not a valid {words.lower()} ARN")
        message = f"{words}s '[{arn}]' not found" if kind != "loadbalancer" else f"{words} '{arn}' not found"
        raise Refused(code, message)
    return found


def everywhere(kind: str) -> list[Record]:
    """The records of all accounts and regions."""
    return list(store(kind).all_values())


def remove(kind: str, arn: str) -> None:
    """Take a record away with all that is kept by its ARN."""
    from ministack.services import alb

    store(kind).pop(arn, None)
    with scope(arn):
        for name in ("_tags", "_lb_attrs", "_tg_attrs", "_listener_attrs", "_targets"):
            getattr(alb, name).pop(arn, None)


def listeners_of(balancer_arn: str) -> list[Record]:
    return [each for each in store("listener").values() if each["LoadBalancerArn"] == balancer_arn]


def rules_of(listener_arn: str) -> list[Record]:
    """A listener's rules by priority; the default one is the last."""
    found = [each for each in store("listener-rule").values() if each["ListenerArn"] == listener_arn]
    return sorted(
        found, key=lambda each: (each["IsDefault"], 0 if each["IsDefault"] else int(each["Priority"]))
    )


def groups_in(actions: list[Record]) -> list[str]:
    """The target groups that actions forward to."""
    groups: list[str] = []
    for action in actions:
        groups += [
            each["TargetGroupArn"] for each in (action.get("ForwardConfig") or {}).get("TargetGroups") or []
        ]
    return groups


def balancers_using(group_arn: str) -> list[str]:
    """The load balancers with a rule that forwards to the group."""
    found = []
    for rule in store("listener-rule").values():
        if group_arn in groups_in(rule["Actions"]):
            listener = store("listener").get(rule["ListenerArn"])
            if listener and listener["LoadBalancerArn"] not in found:
                found.append(listener["LoadBalancerArn"])
    return found


def new_arn(resource: str) -> str:
    """An ARN in the request's account and region, ending in an id of its own."""
    import secrets

    from ministack.core.responses import get_account_id, get_region

    return f"arn:aws:elasticloadbalancing:{get_region()}:{get_account_id()}:{resource}/{secrets.token_hex(8)}"


def full_name(arn: str) -> str:
    """What CloudWatch calls it: app/NAME/ID, targetgroup/NAME/ID."""
    return arn.rpartition(":")[2].removeprefix("loadbalancer/")


_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")


def check_name(name: str, words: str) -> None:
    """AWS's rules for the names of load balancers and target groups.

    Errors: Refused with ValidationError.
    """
    if len(name) > 32:
        raise Refused("ValidationError", f"{words} name '{name}' cannot be longer than '32' characters")
    if not _NAME.fullmatch(name):
        raise Refused(
            "ValidationError",
            f"{words} name '{name}' can only contain characters that are alphanumeric characters and hyphens(-), "
            "and cannot begin or end with a hyphen",
        )
    if words.startswith("The load") and name.startswith("internal-"):
        raise Refused("ValidationError", f"{words} name '{name}' cannot begin with 'internal-'")


def put_tags(arn: str, tags: list[Record]) -> None:
    """Add tags, or give those that are there new values."""
    kept = tags_of(arn)
    for tag in tags:
        kept[:] = [each for each in kept if each["Key"] != tag["Key"]]
        kept.append({"Key": tag["Key"], "Value": str(tag.get("Value", ""))})
