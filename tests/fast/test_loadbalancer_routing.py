"""What a load balancer decides without a socket: rules, turns, header fields, framing of bodies, counts."""

import re
from pathlib import Path

import botocore.session
import pytest

from localaws.loadbalancer import wire
from localaws.loadbalancer.addresses import address_for
from localaws.loadbalancer.proxy import heads
from localaws.loadbalancer.proxy.checks import Check
from localaws.loadbalancer.proxy.counts import Counts, Times
from localaws.loadbalancer.proxy.groups import DRAINING, HEALTHY, UNHEALTHY, Group
from localaws.loadbalancer.proxy.routing import Asked, Fixed, Forward, Redirect, Rules
from localaws.loadbalancer.records import KINDS

PACKAGE = Path(wire.__file__).parent
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/1"


def asked(target="/", host="web.example.org:8080", method="GET", headers=(), source="127.0.0.1"):
    return Asked(method, target, host, list(headers), source)


def rules(*conditions):
    """A rule with these conditions that answers 201, and a default one that forwards."""
    fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "201"}}
    forward = {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "group"}]}}
    first = [{"Conditions": list(conditions), "Actions": [fixed]}] if conditions else []
    return Rules([*first, {"Conditions": [], "Actions": [forward]}])


# ---- rules ---------------------------------------------------------------------------------------------------

PATH = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/img/*.p?g"]}}
HOST = {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.Example.org"]}}
METHOD = {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["POST"]}}
HEADER = {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "User-Agent", "Values": ["*curl*"]}}
QUERY = {
    "Field": "query-string",
    "QueryStringConfig": {"Values": [{"Key": "v", "Value": "2*"}, {"Value": "x"}]},
}
SOURCE = {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8", "127.0.0.1/32"]}}


@pytest.mark.parametrize(
    ("condition", "request_", "matches"),
    [
        (PATH, asked("/img/a/b.png?x=/"), True),
        (PATH, asked("/IMG/a.png"), False),
        (PATH, asked("/img/a.jpeg"), False),
        (HOST, asked(host="WEB.example.ORG"), True),
        (HOST, asked(host="example.org:80"), False),
        (METHOD, asked(method="POST"), True),
        (METHOD, asked(method="GET"), False),
        (HEADER, asked(headers=[(b"user-agent", b"Curl/8")]), True),
        (HEADER, asked(), False),
        (QUERY, asked("/?V=2.1"), True),
        (QUERY, asked("/?any=X"), True),
        (QUERY, asked("/?v=1"), False),
        (SOURCE, asked(source="10.9.8.7"), True),
        (SOURCE, asked(source="192.168.0.1"), False),
    ],
)
def test_condition_matches_what_aws_says_it_matches(condition, request_, matches):
    assert isinstance(rules(condition).action(request_), Fixed) is matches


def test_all_conditions_of_a_rule_must_hold():
    both = rules(PATH, METHOD)
    assert isinstance(both.action(asked("/img/a.png", method="POST")), Fixed)
    assert isinstance(both.action(asked("/img/a.png")), Forward)


def test_forward_goes_by_weight_and_nowhere_without_one():
    picked = {Forward(["a", "b"], [1, 3]).choose() for _ in range(200)}
    assert picked == {"a", "b"}
    assert {Forward(["a", "b"], [0, 1]).choose() for _ in range(50)} == {"b"}
    assert Forward(["a", "b"], [0, 0]).choose() == ""


def test_redirect_fills_in_what_was_asked_for():
    parts = {
        "Protocol": "HTTPS",
        "Port": "443",
        "Host": "#{host}",
        "Path": "/new/#{path}",
        "Query": "#{query}&z=1",
    }
    location = Redirect(301, parts).location(asked("/a/b?q=1"), 8080)
    assert location == "https://web.example.org/new/a/b?q=1&z=1"
    kept = {**parts, "Protocol": "#{protocol}", "Port": "#{port}", "Query": ""}
    assert Redirect(302, kept).location(asked("/a"), 8080) == "http://web.example.org:8080/new/a"


# ---- targets -------------------------------------------------------------------------------------------------


def group_of(*states, algorithm="round_robin"):
    group = Group("arn:aws:elasticloadbalancing:r:1:targetgroup/g/1")
    given = [
        {
            "address": "127.64.0.1",
            "port": 8000 + number,
            "host": "127.64.0.1",
            "draining": state == DRAINING,
            "since": 1,
        }
        for number, state in enumerate(states)
    ]
    group.update(given, algorithm)
    for target, state in zip(group.targets.values(), states, strict=True):
        target.state = HEALTHY if state == DRAINING else state
    group.refresh()
    return group


def ports(group, count=12):
    return [group.choose((), 0.0).port - 8000 for _ in range(count)]


def test_target_that_is_unhealthy_or_draining_gets_nothing_while_another_is_healthy():
    assert set(ports(group_of(HEALTHY, UNHEALTHY, DRAINING, HEALTHY))) == {0, 3}


def test_targets_take_turns():
    given = ports(group_of(HEALTHY, HEALTHY, HEALTHY), 9)
    assert [given.count(each) for each in (0, 1, 2)] == [3, 3, 3]


def test_group_without_a_healthy_target_fails_open_but_not_to_draining_ones():
    assert set(ports(group_of(UNHEALTHY, UNHEALTHY, DRAINING))) == {0, 1}
    assert group_of(DRAINING).choose((), 0.0) is None
    assert group_of().choose((), 0.0) is None


def test_target_that_was_tried_or_has_just_refused_is_passed_over():
    group = group_of(HEALTHY, HEALTHY)
    first, second = group.targets.values()
    first.not_before = 10.0
    assert {group.choose((), 9.0) for _ in range(6)} == {second}
    assert {group.choose((), 11.0) for _ in range(6)} == {first, second}
    assert group.choose((second,), 9.0) is first  # the only one left
    assert group.choose((first, second), 9.0) is None


def test_target_with_the_fewest_requests_is_next_where_the_group_says_so():
    group = group_of(HEALTHY, HEALTHY, algorithm="least_outstanding_requests")
    first, second = group.targets.values()
    first.in_flight, second.in_flight = 3, 1
    assert {group.choose((), 0.0) for _ in range(4)} == {second}


def test_target_keeps_its_state_when_others_come_and_one_address_may_have_two_ports():
    group = group_of(HEALTHY, UNHEALTHY)
    before = dict(group.targets)
    more = [
        {"address": a, "port": p, "host": a, "draining": False, "since": 1}
        for a, p in [*before, ("127.64.0.2", 8000)]
    ]
    group.update(more, "round_robin")
    assert [group.targets[key] is before[key] for key in before] == [True, True] and len(group.targets) == 3


@pytest.mark.parametrize(
    ("matcher", "status", "accepted"),
    [
        ("200", 200, True),
        ("200", 204, False),
        ("200-299", 204, True),
        ("200,301-302", 302, True),
        ("200,301", 302, False),
    ],
)
def test_matcher_says_which_statuses_are_healthy(matcher, status, accepted):
    assert Check("/", "traffic-port", 5, 2, 2, 2, matcher).accepts(status) is accepted


# ---- header fields -------------------------------------------------------------------------------------------


def head_of(headers, framing=None, **policy):
    given = heads.Policy("127.20.0.1", policy.pop("port", 8080), **policy)
    text = heads.to_target(b"GET", b"/a?b", headers, framing or heads.Framing(), given, "127.0.0.9", False)
    first, *lines = text.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert first == "GET /a?b HTTP/1.1"
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, lines


def test_head_tells_the_target_who_asked_and_how():
    head, _ = head_of([(b"Host", b"web:1234")])
    assert head["host"] == "web:8080"
    assert (head["x-forwarded-for"], head["x-forwarded-proto"], head["x-forwarded-port"]) == (
        "127.0.0.9",
        "http",
        "8080",
    )
    assert head["x-amzn-trace-id"].startswith("Root=1-")


def test_head_appends_to_what_proxies_before_have_said():
    came = [(b"Host", b"w"), (b"X-Forwarded-For", b"1.1.1.1"), (b"X-Forwarded-For", b"2.2.2.2")]
    assert head_of(came)[0]["x-forwarded-for"] == "1.1.1.1, 2.2.2.2, 127.0.0.9"
    assert head_of(came, forwarded_for="preserve")[0]["x-forwarded-for"] == "1.1.1.1, 2.2.2.2"
    assert "x-forwarded-for" not in head_of(came, forwarded_for="remove")[0]
    traced = head_of([(b"Host", b"w"), (b"X-Amzn-Trace-Id", b"Self=1-0-0;Root=1-a-b")])[0]["x-amzn-trace-id"]
    assert traced.endswith(";Root=1-a-b") and traced.startswith("Self=1-") and "1-0-0" not in traced


def test_head_keeps_the_clients_host_where_the_attribute_says_so():
    assert head_of([(b"Host", b"web:1")], preserve_host=True)[0]["host"] == "web:1"
    assert head_of([(b"Host", b"web:80")], port=80)[0]["host"] == "web"


def test_head_has_the_load_balancers_own_framing_and_nothing_of_the_clients_connection():
    came = [(b"Host", b"w"), (b"Connection", b"x"), (b"Keep-Alive", b"1"), (b"Transfer-Encoding", b"chunked")]
    _, lines = head_of(came, heads.framing(came))
    assert [line for line in lines if line.split(":")[0].lower() in ("connection", "keep-alive")] == []
    assert lines.count("Transfer-Encoding: chunked") == 1


def test_head_loses_names_that_are_not_valid_where_the_attribute_says_so():
    came = [(b"Host", b"w"), (b"X_Odd", b"1"), (b"X-Even", b"2")]
    assert "x_odd" in head_of(came)[0]
    assert (
        "x_odd" not in head_of(came, drop_invalid=True)[0] and "x-even" in head_of(came, drop_invalid=True)[0]
    )


# ---- counts and addresses ------------------------------------------------------------------------------------


def test_count_is_taken_once():
    counts = Counts()
    counts.balancer("b").requests += 1
    counts.group("b", "g").answered(404, 0.25)
    taken = counts.take()
    assert taken["balancers"] == [{"balancer": "b", "requests": 1, "codes": {}}]
    assert (taken["groups"][0]["codes"], taken["groups"][0]["times"]) == ({4: 1}, [(0.25, 1)])
    assert counts.take() == {"balancers": [], "groups": []}


def test_count_of_many_times_keeps_their_mean_and_nearly_their_percentiles():
    times = Times()
    for number in range(1, 100_001):
        times.add(number / 100_000)
    pairs = sorted(times.taken())
    assert len(pairs) < 200
    assert sum(time * count for time, count in pairs) / 100_000 == pytest.approx(0.500005)
    below = 0
    p99 = next(time for time, count in pairs if (below := below + count) >= 99_000)
    assert p99 == pytest.approx(0.99, rel=0.1)


def test_address_follows_from_the_arn_and_is_no_tasks_and_nobody_elses():
    address = address_for(ARN, set())
    assert address == address_for(ARN, set())
    numbers = [int(part) for part in address.split(".")]
    assert numbers[0] == 127 and 16 <= numbers[1] < 64
    assert address_for(ARN, {address}) != address


# ---- the API's words -----------------------------------------------------------------------------------------


def test_every_error_of_the_api_is_one_that_aws_has():
    model = botocore.session.get_session().get_service_model("elbv2")
    known = {shape.error_code for shape in model.error_shapes} | {"ValidationError", "InvalidAction"}
    ours = "UnsupportedOperation"  # the refusal by name
    source = "\n".join(path.read_text() for path in PACKAGE.glob("*.py"))
    raised = set(re.findall(r'Refused\(\s*"(\w+)"', source)) | {code for _, code, _ in KINDS.values()}
    assert len(raised) > 12
    assert raised - known == {ours}


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({}, "Value null at 'name' failed to satisfy constraint: Member must not be null"),
        (
            {"Name": "n", "Scheme": "public"},
            "Member must satisfy enum value set: [internal, internet-facing]",
        ),
    ],
)
def test_form_that_the_model_forbids_is_refused_in_awss_words(form, problem):
    with pytest.raises(wire.Refused) as caught:
        wire.read("CreateLoadBalancer", form)
    assert caught.value.code == "ValidationError" and problem in caught.value.message


def test_form_becomes_what_the_model_says_it_is():
    form = {
        "TargetGroupArn": "arn",
        "Targets.member.1.Id": "10.0.0.1",
        "Targets.member.1.Port": "80",
        "Targets.member.2.Id": "10.0.0.2",
    }
    given = wire.read("RegisterTargets", form)
    assert given == {"TargetGroupArn": "arn", "Targets": [{"Id": "10.0.0.1", "Port": 80}, {"Id": "10.0.0.2"}]}
    with pytest.raises(wire.Refused):
        wire.read("RegisterTargets", form | {"Targets.member.1.Port": "eighty"})


def test_answer_hides_what_is_ours_and_escapes_what_is_the_users():
    rule = {"RuleArn": "a", "_ours": 1, "Conditions": [{"Field": "path-pattern", "Values": ["/<&>"]}]}
    text = wire.answer("DescribeRules", {"Rules": [rule]}, "id").decode()
    assert "_ours" not in text and "<member>/&lt;&amp;&gt;</member>" in text
