"""Which of a listener's rules a request matches, and what that rule does.

Try it:  python -m pytest tests/fast/test_loadbalancer_routing.py
Copied from "Condition types for listener rules"
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html): all conditions
of a rule must hold, of the values of a condition one. Knows no sockets.
"""

import ipaddress
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Asked:
    """What rules look at. target: path and query as sent; host: the Host header, a port included."""

    method: str
    target: str
    host: str
    headers: Headers
    source: str

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@dataclass(slots=True)
class Forward:
    """To one of these target groups, by weight."""

    groups: list[str]
    weights: list[int]

    def choose(self) -> str:
        if len(self.groups) == 1:
            return self.groups[0]
        return random.choices(self.groups, self.weights)[0] if any(self.weights) else ""


@dataclass(slots=True)
class Fixed:
    """An answer that the rule has itself."""

    status: int
    content_type: str
    body: bytes


@dataclass(slots=True)
class Redirect:
    """A redirection; its parts may hold #{host}, #{port}, #{path}, #{protocol} and #{query}."""

    status: int
    parts: dict[str, str]

    def location(self, asked: Asked, port: int) -> str:
        host = asked.host.rpartition(":")[0] if ":" in asked.host else asked.host
        known = {
            "host": host,
            "path": asked.path.removeprefix("/"),
            "port": str(port),
            "protocol": "http",
            "query": asked.query,
        }
        filled = {
            name: re.sub(r"#\{(\w+)\}", lambda found: known.get(found.group(1), found.group(0)), text)
            for name, text in self.parts.items()
        }
        scheme = filled["Protocol"].lower()
        usual = {"http": "80", "https": "443"}.get(scheme)
        place = filled["Host"] if filled["Port"] == usual else f"{filled['Host']}:{filled['Port']}"
        query = f"?{filled['Query']}" if filled["Query"] else ""
        return f"{scheme}://{place}{filled['Path']}{query}"


Action = Forward | Fixed | Redirect
Matches = Callable[[Asked], bool]


class Rules:
    """A listener's rules in their order; the last is the default one, which matches everything."""

    def __init__(self, rules: list[dict[str, Any]]) -> None:
        self._rules = [([_condition(each) for each in rule["Conditions"]], _action(rule)) for rule in rules]

    def action(self, asked: Asked) -> Action:
        for conditions, action in self._rules:
            if all(matches(asked) for matches in conditions):
                return action
        raise LookupError("a listener has a default rule")


def _action(rule: dict[str, Any]) -> Action:
    action = rule["Actions"][-1]
    if action["Type"] == "fixed-response":
        given = action["FixedResponseConfig"]
        body = given.get("MessageBody", "").encode()
        return Fixed(int(given["StatusCode"]), given.get("ContentType", "text/plain; charset=utf-8"), body)
    if action["Type"] == "redirect":
        given = action["RedirectConfig"]
        parts = {name: given[name] for name in ("Protocol", "Port", "Host", "Path", "Query")}
        return Redirect(int(given["StatusCode"].removeprefix("HTTP_")), parts)
    groups = action["ForwardConfig"]["TargetGroups"]
    return Forward([each["TargetGroupArn"] for each in groups], [each.get("Weight", 1) for each in groups])


def _condition(condition: dict[str, Any]) -> Matches:
    return _CONDITIONS[condition["Field"]](condition)


def _host(condition: dict[str, Any]) -> Matches:
    found = _any_of(condition["HostHeaderConfig"]["Values"], re.IGNORECASE)
    return lambda asked: found(asked.host.rpartition(":")[0] if ":" in asked.host else asked.host)


def _path(condition: dict[str, Any]) -> Matches:
    found = _any_of(condition["PathPatternConfig"]["Values"])
    return lambda asked: found(asked.path)


def _method(condition: dict[str, Any]) -> Matches:
    wanted = set(condition["HttpRequestMethodConfig"]["Values"])
    return lambda asked: asked.method in wanted


def _header(condition: dict[str, Any]) -> Matches:
    given = condition["HttpHeaderConfig"]
    name = given["HttpHeaderName"].lower().encode("latin-1")
    found = _any_of(given["Values"], re.IGNORECASE)
    return lambda asked: any(
        key.lower() == name and found(value.decode("latin-1")) for key, value in asked.headers
    )


def _query(condition: dict[str, Any]) -> Matches:
    wanted = [
        (
            _wildcard(each["Key"], re.IGNORECASE) if each.get("Key") else None,
            _wildcard(each["Value"], re.IGNORECASE),
        )
        for each in condition["QueryStringConfig"]["Values"]
    ]

    def matches(asked: Asked) -> bool:
        pairs = parse_qsl(asked.query, keep_blank_values=True)
        return any(
            (key is None or key.fullmatch(name)) and value.fullmatch(text)
            for name, text in pairs
            for key, value in wanted
        )

    return matches


def _source(condition: dict[str, Any]) -> Matches:
    networks = [ipaddress.ip_network(each, strict=False) for each in condition["SourceIpConfig"]["Values"]]
    return lambda asked: any(ipaddress.ip_address(asked.source) in network for network in networks)


_CONDITIONS: dict[str, Callable[[dict[str, Any]], Matches]] = {
    "host-header": _host,
    "path-pattern": _path,
    "http-request-method": _method,
    "http-header": _header,
    "query-string": _query,
    "source-ip": _source,
}


def _any_of(patterns: list[str], flags: int = 0) -> Callable[[str], bool]:
    compiled = [_wildcard(each, flags) for each in patterns]
    return lambda text: any(each.fullmatch(text) for each in compiled)


def _wildcard(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """`*` is any run of characters, `?` one; nothing else is special.

    A run but the last is the shortest that will do, and no other is tried (as in `fnmatch`): with three of them, one
    long path that matches nothing would keep this process for hours.
    """
    first, *others = (re.escape(part).replace(r"\?", ".") for part in pattern.split("*"))
    runs = "".join(f"(?>.*?{part})" for part in others[:-1] if part)
    end = f".*{others[-1]}" if others else ""
    return re.compile(first + runs + end, flags | re.DOTALL)
