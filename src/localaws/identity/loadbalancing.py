"""Which load balancers, listeners, rules and target groups a request to ELBv2 is about.

Try it:  aws elbv2 delete-load-balancer with a policy that asks for a tag
Resources and condition keys of the Service Authorization Reference, "AWS Elastic Load Balancing V2". Knows no
load balancers.
"""

import re
from typing import Any

from localaws.identity.resources import Request, Right

NAME = "elasticloadbalancing"
# What a call makes, whose name AWS knows before and whose id only afterwards.
MADE = {"CreateLoadBalancer": "loadbalancer/app/{}/*", "CreateTargetGroup": "targetgroup/{}/*"}
TAGGED_WITH = {
    "CreateLoadBalancer": "loadbalancer/app/{}/*",
    "CreateTargetGroup": "targetgroup/{}/*",
    "CreateListener": "listener/app/*",
    "CreateRule": "listener-rule/app/*",
}
_ARNS = re.compile(r"ResourceArns\.member\.\d+|RulePriorities\.member\.\d+\.RuleArn")
_TAG = re.compile(r"Tags\.member\.(\d+)\.Key")


def resources(request: Request, found: str) -> list[str]:
    """What a call changes; the ones that only look know no resource."""
    if request.operation.startswith("Describe"):
        return ["*"]
    if request.operation in MADE:
        return [request.arn(NAME, MADE[request.operation].format(request.param("Name") or "*"))]
    several = [request.param(name) for name in request.params if _ARNS.fullmatch(name)]
    if several:
        return several
    names = ("RuleArn", "ListenerArn", "TargetGroupArn", "LoadBalancerArn")
    return [next((request.param(name) for name in names if request.param(name)), found)]


def _tags(request: Request) -> dict[str, str]:
    numbers = (matched.group(1) for name in request.params if (matched := _TAG.fullmatch(name)))
    return {
        request.param(f"Tags.member.{each}.Key"): request.param(f"Tags.member.{each}.Value")
        for each in numbers
    }


def context(request: Request) -> dict[str, Any]:
    """The condition keys of the tags that a call gives."""
    tags = _tags(request)
    keys: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return keys | ({"aws:TagKeys": list(tags)} if tags else {})


def further(request: Request) -> list[Right]:
    """Who makes something with tags must be allowed to tag it."""
    if request.service != NAME or request.operation not in TAGGED_WITH or not _tags(request):
        return []
    made = request.arn(NAME, TAGGED_WITH[request.operation].format(request.param("Name") or "*"))
    return [Right(f"{NAME}:AddTags", made, {**context(request), f"{NAME}:CreateAction": request.operation})]
