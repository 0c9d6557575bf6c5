"""Calls on listeners and their rules.

Try it:  aws elbv2 create-listener --load-balancer-arn ARN --protocol HTTP --port 8080 --default-actions …
A listener's port is open when CreateListener answers; one that this machine can't open is refused. HTTPS is not
emulated. Knows no HTTP: `data_path` opens ports.
"""

from collections.abc import Callable
from typing import Any, Protocol

from localaws.loadbalancer import attributes, records
from localaws.loadbalancer.actions import checked_actions, checked_conditions
from localaws.loadbalancer.records import Record
from localaws.loadbalancer.wire import Document, Refused, not_emulated

MOST_PRIORITY = 50_000
Call = Callable[[Document], Document]


class Ports(Protocol):
    """What opens ports."""

    def open(self, listener_arn: str, address: str, port: int) -> None: ...


class Listeners:
    """The calls; ports: opens what a listener listens on."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def calls(self) -> dict[str, Call]:
        return {
            "CreateListener": self.create,
            "DescribeListeners": describe,
            "ModifyListener": self.modify,
            "DeleteListener": delete,
            "DescribeListenerAttributes": describe_attributes,
            "ModifyListenerAttributes": modify_attributes,
            "CreateRule": create_rule,
            "DescribeRules": describe_rules,
            "ModifyRule": modify_rule,
            "DeleteRule": delete_rule,
            "SetRulePriorities": set_priorities,
        }

    def create(self, given: Document) -> Document:
        balancer = records.find("loadbalancer", given["LoadBalancerArn"])
        balancer_arn = balancer["LoadBalancerArn"]
        if not given.get("Port") or not given.get("Protocol"):
            raise Refused("ValidationError", "A listener port and protocol must be specified")
        _check_protocol(given)
        actions = checked_actions(given["DefaultActions"], balancer_arn)
        _check_port(balancer_arn, given["Port"])
        arn = records.new_arn(f"listener/{records.full_name(balancer_arn)}")
        self._open(arn, balancer, given["Port"])
        listener: Record = {
            "ListenerArn": arn,
            "LoadBalancerArn": balancer_arn,
            "Port": given["Port"],
            "Protocol": "HTTP",
            "DefaultActions": actions,
        }
        records.store("listener")[arn] = listener
        records.put_tags(arn, given.get("Tags") or [])
        rule_arn = records.new_arn(arn.rpartition(":")[2].replace("listener/", "listener-rule/", 1))
        records.store("listener-rule")[rule_arn] = {
            "RuleArn": rule_arn,
            "ListenerArn": arn,
            "Priority": "default",
            "Conditions": [],
            "Actions": actions,
            "IsDefault": True,
        }
        return {"Listeners": [listener]}

    def modify(self, given: Document) -> Document:
        listener = records.find("listener", given["ListenerArn"])
        _check_protocol(given)
        actions = listener["DefaultActions"]
        if given.get("DefaultActions"):
            actions = checked_actions(given["DefaultActions"], listener["LoadBalancerArn"])
        port = given.get("Port") or listener["Port"]
        if port != listener["Port"]:
            _check_port(listener["LoadBalancerArn"], port)
            self._open(
                listener["ListenerArn"], records.find("loadbalancer", listener["LoadBalancerArn"]), port
            )
        listener |= {"Port": port, "DefaultActions": actions}
        for rule in records.rules_of(listener["ListenerArn"]):
            if rule["IsDefault"]:
                rule["Actions"] = actions
        return {"Listeners": [listener]}

    def _open(self, arn: str, balancer: Record, port: int) -> None:
        try:
            self._ports.open(arn, balancer["DNSName"], port)
        except OSError as error:
            hint = "; use a port above 1023" if isinstance(error, PermissionError) else ""
            raise Refused(
                "InvalidConfigurationRequest",
                f"the local AWS can't listen on {balancer['DNSName']}:{port}: {error.strerror}{hint}",
            ) from error


def _check_protocol(given: Document) -> None:
    if given.get("Protocol", "HTTP") != "HTTP":
        raise not_emulated(f"listeners of protocol {given['Protocol']}; use HTTP")
    if (
        given.get("Certificates")
        or given.get("SslPolicy")
        or given.get("AlpnPolicy")
        or given.get("MutualAuthentication")
    ):
        raise Refused("ValidationError", "Certificates and security policies are for HTTPS listeners")


def _check_port(balancer_arn: str, port: int) -> None:
    if any(each["Port"] == port for each in records.listeners_of(balancer_arn)):
        raise Refused(
            "DuplicateListener",
            f"A listener already exists on this port for this load balancer '{balancer_arn}'",
        )


def describe(given: Document) -> Document:
    arns, balancer_arn = given.get("ListenerArns") or [], given.get("LoadBalancerArn")
    if arns:
        return {"Listeners": [records.find("listener", each) for each in arns]}
    if not balancer_arn:
        raise Refused("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
    return {"Listeners": records.listeners_of(records.find("loadbalancer", balancer_arn)["LoadBalancerArn"])}


def delete(given: Document) -> Document:
    arn = records.find("listener", given["ListenerArn"])["ListenerArn"]
    for rule in records.rules_of(arn):
        records.remove("listener-rule", rule["RuleArn"])
    records.remove("listener", arn)
    return {}


def describe_attributes(given: Document) -> Document:
    return {"Attributes": attributes.listed(records.find("listener", given["ListenerArn"])["ListenerArn"])}


def modify_attributes(given: Document) -> Document:
    arn = records.find("listener", given["ListenerArn"])["ListenerArn"]
    attributes.put(arn, given["Attributes"])
    return {"Attributes": attributes.listed(arn)}


def create_rule(given: Document) -> Document:
    listener = records.find("listener", given["ListenerArn"])
    _refuse_transforms(given)
    conditions = checked_conditions(given["Conditions"])
    actions = checked_actions(given["Actions"], listener["LoadBalancerArn"])
    _check_priority(listener["ListenerArn"], given["Priority"])
    arn = records.new_arn(
        listener["ListenerArn"].rpartition(":")[2].replace("listener/", "listener-rule/", 1)
    )
    rule: Record = {
        "RuleArn": arn,
        "ListenerArn": listener["ListenerArn"],
        "Priority": str(given["Priority"]),
        "Conditions": conditions,
        "Actions": actions,
        "IsDefault": False,
    }
    records.store("listener-rule")[arn] = rule
    records.put_tags(arn, given.get("Tags") or [])
    return {"Rules": [rule]}


def _refuse_transforms(given: Document) -> None:
    if given.get("Transforms"):
        raise not_emulated("transforms of rules")


def _check_priority(listener_arn: str, priority: int, but: str = "") -> None:
    if not 1 <= priority <= MOST_PRIORITY:
        raise Refused("ValidationError", f"Priority '{priority}' must be from 1 to {MOST_PRIORITY}")
    others = [each for each in records.rules_of(listener_arn) if each["RuleArn"] != but]
    if str(priority) in [each["Priority"] for each in others]:
        raise Refused("PriorityInUse", f"Priority '{priority}' is currently in use")


def describe_rules(given: Document) -> Document:
    arns, listener_arn = given.get("RuleArns") or [], given.get("ListenerArn")
    if arns:
        return {"Rules": [records.find("listener-rule", each) for each in arns]}
    if not listener_arn:
        raise Refused("ValidationError", "You must specify either listener rule ARNs or a listener ARN")
    return {"Rules": records.rules_of(records.find("listener", listener_arn)["ListenerArn"])}


def modify_rule(given: Document) -> Document:
    rule = records.find("listener-rule", given["RuleArn"])
    _refuse_transforms(given)
    if rule["IsDefault"]:
        raise Refused("OperationNotPermitted", f"Default rule '{rule['RuleArn']}' cannot be modified")
    if not given.get("Conditions") and not given.get("Actions"):
        raise Refused("ValidationError", "You must provide either conditions or actions")
    after: Record = {}
    if given.get("Conditions"):
        after["Conditions"] = checked_conditions(given["Conditions"])
    if given.get("Actions"):
        listener = records.find("listener", rule["ListenerArn"])
        after["Actions"] = checked_actions(given["Actions"], listener["LoadBalancerArn"])
    rule |= after
    return {"Rules": [rule]}


def delete_rule(given: Document) -> Document:
    rule = records.find("listener-rule", given["RuleArn"])
    if rule["IsDefault"]:
        raise Refused("OperationNotPermitted", f"Default rule '{rule['RuleArn']}' cannot be deleted")
    records.remove("listener-rule", rule["RuleArn"])
    return {}


def set_priorities(given: Document) -> Document:
    """SetRulePriorities: all at once, so that two rules may change places."""
    wanted = {each["RuleArn"]: each["Priority"] for each in given["RulePriorities"]}
    rules = [records.find("listener-rule", each) for each in wanted]
    for rule in rules:
        if rule["IsDefault"]:
            raise Refused("OperationNotPermitted", "The priority of the default rule cannot be changed")
        if not 1 <= wanted[rule["RuleArn"]] <= MOST_PRIORITY:
            raise Refused(
                "ValidationError", f"Priority '{wanted[rule['RuleArn']]}' must be from 1 to {MOST_PRIORITY}"
            )
        for other in records.rules_of(rule["ListenerArn"]):
            after = wanted.get(other["RuleArn"], other["Priority"])
            if other is not rule and str(after) == str(wanted[rule["RuleArn"]]):
                raise Refused("PriorityInUse", f"Priority '{after}' is currently in use")
    for rule in rules:
        rule["Priority"] = str(wanted[rule["RuleArn"]])
    return {"Rules": rules}


def calls(ports: Ports) -> dict[str, Any]:
    return Listeners(ports).calls()
