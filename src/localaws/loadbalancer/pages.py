"""Long lists come in pages: PageSize and Marker of the Describe calls.

Try it:  aws elbv2 describe-rules --listener-arn ARN --page-size 1
A marker is how many were given, and good while nothing is added before. Knows the lists' names alone.
"""

from localaws.loadbalancer.wire import Document, Refused

LISTS = {
    "DescribeLoadBalancers": "LoadBalancers",
    "DescribeTargetGroups": "TargetGroups",
    "DescribeListeners": "Listeners",
    "DescribeRules": "Rules",
}
MOST = 400


def paged(operation: str, given: Document, output: Document) -> Document:
    """One page of the output; the whole of it for calls without lists."""
    name = LISTS.get(operation)
    if not name:
        return output
    marker, size = given.get("Marker") or "0", given.get("PageSize") or MOST
    if not marker.isdecimal():
        raise Refused("ValidationError", f"Invalid marker '{marker}'")
    end = int(marker) + size
    page: Document = {name: output[name][int(marker) : end]}
    if end < len(output[name]):
        page["NextMarker"] = str(end)
    return page
