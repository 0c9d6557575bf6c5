"""Actions and conditions of rules: what AWS refuses of them, and the form in which they are kept.

Try it:  aws elbv2 create-rule --listener-arn ARN --priority 1 --conditions … --actions …
Copied from "Listener rules" and "Quotas" in the user guide. Authentication and stickiness are not emulated.
"""

import ipaddress
import re

from localaws.loadbalancer import records
from localaws.loadbalancer.records import Record
from localaws.loadbalancer.wire import Refused, not_emulated

REDIRECT = {
    "Protocol": "#{protocol}",
    "Port": "#{port}",
    "Host": "#{host}",
    "Path": "/#{path}",
    "Query": "#{query}",
}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,40}")  # API reference, HttpHeaderConditionConfig
MOST_GROUPS = 5
MOST_VALUES = 5  # in all conditions of a rule together
FIELDS = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "http-header": "HttpHeaderConfig",
    "query-string": "QueryStringConfig",
    "source-ip": "SourceIpConfig",
}


def checked_actions(given: list[Record], balancer_arn: str) -> list[Record]:
    """A rule's actions as they are kept: one that forwards, answers or redirects.

    Errors: Refused.
    """
    for action in given:
        if action["Type"] not in ("forward", "fixed-response", "redirect"):
            raise not_emulated(f"actions of type {action['Type']}")
    if len(given) != 1:
        raise Refused(
            "InvalidLoadBalancerAction",
            "You must specify exactly one action that forwards, redirects or returns a fixed response",
        )
    action = given[0]
    kind = {"forward": _forward, "fixed-response": _fixed, "redirect": _redirect}[action["Type"]]
    return [{"Type": action["Type"], "Order": action.get("Order", 1), **kind(action, balancer_arn)}]


def _forward(action: Record, balancer_arn: str) -> Record:
    configuration = action.get("ForwardConfig") or {}
    groups = [dict(each) for each in configuration.get("TargetGroups") or []]
    if not groups and action.get("TargetGroupArn"):
        groups = [{"TargetGroupArn": action["TargetGroupArn"]}]
    if not groups:
        raise Refused("ValidationError", "A target group ARN must be specified")
    if len(groups) > MOST_GROUPS:
        raise Refused(
            "TooManyTargetGroups", f"At most {MOST_GROUPS} target groups can be specified in a forward action"
        )
    if (configuration.get("TargetGroupStickinessConfig") or {}).get("Enabled"):
        raise not_emulated("stickiness of target groups")
    for each in groups:
        each["Weight"] = each.get("Weight", 1)
        if not 0 <= each["Weight"] <= 999:
            raise Refused("ValidationError", f"Weight '{each['Weight']}' must be from 0 to 999")
        arn = each["TargetGroupArn"]
        records.find("targetgroup", arn)
        others = [other for other in records.balancers_using(arn) if other != balancer_arn]
        if others:
            raise Refused(
                "TargetGroupAssociationLimit",
                f"The following target groups cannot be associated with more than one load balancer: {arn}",
            )
    kept: Record = {
        "ForwardConfig": {"TargetGroups": groups, "TargetGroupStickinessConfig": {"Enabled": False}}
    }
    if len(groups) == 1:
        kept["TargetGroupArn"] = groups[0]["TargetGroupArn"]
    return kept


def _fixed(action: Record, balancer_arn: str) -> Record:
    given = action.get("FixedResponseConfig") or {}
    status = str(given.get("StatusCode") or "")
    if not re.fullmatch(r"[245]\d\d", status):
        raise Refused(
            "ValidationError", f"Status code '{status}' of a fixed response must be 2XX, 4XX or 5XX"
        )
    if len(given.get("MessageBody") or "") > 1024:
        raise Refused(
            "ValidationError", "The message body of a fixed response can have at most 1024 characters"
        )
    types = ("text/plain", "text/css", "text/html", "application/javascript", "application/json")
    if given.get("ContentType") and given["ContentType"] not in types:
        raise Refused(
            "ValidationError", f"The content type of a fixed response must be one of {', '.join(types)}"
        )
    return {"FixedResponseConfig": dict(given)}


def _redirect(action: Record, balancer_arn: str) -> Record:
    given = action.get("RedirectConfig") or {}
    if given.get("StatusCode") not in ("HTTP_301", "HTTP_302"):
        raise Refused("ValidationError", "A redirect's status code must be HTTP_301 or HTTP_302")
    kept = REDIRECT | {key: value for key, value in given.items() if value is not None}
    if any(not "!" <= letter <= "~" for value in kept.values() for letter in value):
        raise Refused("ValidationError", "A redirect's parts can have visible ASCII characters alone")
    if all(kept[key] == REDIRECT[key] for key in ("Protocol", "Port", "Host", "Path")):
        raise Refused(
            "InvalidLoadBalancerAction", "The redirect configuration is not valid because it creates a loop"
        )
    return {"RedirectConfig": kept}


def checked_conditions(given: list[Record]) -> list[Record]:
    """A rule's conditions as they are kept: the values in the field's own structure, and flat where AWS has both.

    Errors: Refused.
    """
    if not given:
        raise Refused("ValidationError", "A condition must be specified")
    kept = [_condition(each) for each in given]
    count = sum(len(each[FIELDS[each["Field"]]]["Values"]) for each in kept)
    if count > MOST_VALUES:
        raise Refused("ValidationError", f"A rule can have at most {MOST_VALUES} condition values")
    for single in ("host-header", "path-pattern", "http-request-method", "source-ip"):
        if sum(each["Field"] == single for each in kept) > 1:
            raise Refused("InvalidConfigurationRequest", f"A rule can have only one '{single}' condition")
    return kept


def _condition(given: Record) -> Record:
    field = given.get("Field", "")
    if field not in FIELDS:
        raise Refused("ValidationError", f"Condition field '{field}' must be one of '[{', '.join(FIELDS)}]'")
    config = dict(given.get(FIELDS[field]) or {})
    if config.get("RegexValues") or given.get("RegexValues"):
        raise not_emulated("regular expressions in rule conditions")
    config["Values"] = config.get("Values") or given.get("Values") or []
    if not config["Values"]:
        raise Refused("ValidationError", "A condition value must be specified")
    if field == "http-header" and not _HEADER_NAME.fullmatch(config.get("HttpHeaderName") or ""):
        name = config.get("HttpHeaderName") or ""
        raise Refused(
            "ValidationError", f"HttpHeaderName '{name}' must be 1 to 40 characters of a header's name"
        )
    if field == "source-ip":
        _check_networks(config["Values"])
    if field == "query-string":
        config["Values"] = [each for each in config["Values"] if isinstance(each, dict) and each.get("Value")]
        if not config["Values"]:
            raise Refused("ValidationError", "A query-string condition must have values")
    kept = {"Field": field, FIELDS[field]: config}
    if field in ("host-header", "path-pattern"):
        kept["Values"] = config["Values"]
    return kept


def _check_networks(values: list[str]) -> None:
    for each in values:
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError as error:
            raise Refused(
                "ValidationError", f"The CIDR block '{each}' of a source-ip condition is not valid"
            ) from error
