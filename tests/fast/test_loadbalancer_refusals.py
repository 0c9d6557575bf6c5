"""Rules and forms that the load balancers' process could not carry out: refused before it is told of them."""

import pytest

from localaws import forms
from localaws.loadbalancer import actions
from localaws.loadbalancer.wire import Refused


@pytest.mark.parametrize("name", ["", "\u20ac", "X Y", "X:", "x" * 41])
def test_a_condition_on_what_is_no_header_is_refused(name):
    config = {"HttpHeaderName": name, "Values": ["*"]}
    with pytest.raises(Refused, match="HttpHeaderName"):
        actions.checked_conditions([{"Field": "http-header", "HttpHeaderConfig": config}])


@pytest.mark.parametrize("path", ["/\u20ac", "/\r\nX: y", "/a b", "/\x7f"])
def test_a_redirect_to_what_is_no_address_is_refused(path):
    config = {"StatusCode": "HTTP_301", "Path": path}
    with pytest.raises(Refused, match="ASCII"):
        actions.checked_actions([{"Type": "redirect", "RedirectConfig": config}], "balancer")


@pytest.mark.parametrize("number", ["01", "\u0663", "\u00b2", "x"])
def test_a_list_in_a_form_is_read_however_its_items_are_numbered(number):
    read = forms.read("elbv2", "DescribeLoadBalancers", {f"Names.member.{number}": "a"})
    assert read["Names"] in (["a"], [])


def test_a_list_that_is_no_list_is_empty():
    assert forms.read("elbv2", "DescribeLoadBalancers", {"Names.member": "12"})["Names"] == []
