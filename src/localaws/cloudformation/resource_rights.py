"""CloudFormation acts with the rights of whoever called it, or of the role that it was given.

Try it:  aws cloudformation deploy with a policy that lacks s3:CreateBucket, then describe-stack-events
Before a resource is made, changed or deleted, every action that AWS would need for it is asked of IAM; what is
denied fails the resource in AWS's words. A role given to a stack stays with it
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html). Which actions a
resource needs `resource_rights_table` knows, who may do what `identity`.
"""

import contextlib
import contextvars
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

from localaws import identity
from localaws.cloudformation import provisioning, resource_rights_launch, resource_rights_template
from localaws.cloudformation import resource_rights_table as rights
from localaws.cloudformation.resource_rights_table import Needed, Subject, Verb
from localaws.identity import roles as identity_roles

Answer = tuple[int, dict[str, str], bytes]
SESSION = "AWSCloudFormation"
SERVICE = "cloudformation.amazonaws.com"
NESTED_STACK = "AWS::CloudFormation::Stack"

# Whom the running stack operation acts for: it is set while the request is answered, and the work that goes
# on afterwards has a copy. Empty outside of one: our own server's work, which nobody's rights limit.
_acting: contextvars.ContextVar[str] = contextvars.ContextVar("localaws_cloudformation_acting", default="")
# A handler that calls another for its own resource has been asked already.
_asked: contextvars.ContextVar[bool] = contextvars.ContextVar("localaws_rights_asked", default=False)


def install() -> None:
    """Remember who calls CloudFormation; before `templates` stands in front of it, so that this comes after."""
    import ministack.app

    inner: Callable[..., Awaitable[Any]] = ministack.app.SERVICE_HANDLERS["cloudformation"]

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        from ministack.core import iam_evaluator

        form = {**query, **parse_qs(body.decode("utf-8", errors="replace"), keep_blank_values=True)}
        role = _one(form, "RoleARN")
        if role and not identity_roles.trusts(role, SERVICE):
            return _error(f"Role {role} is invalid or cannot be assumed")
        given = role or _role_of(form)
        with _acting_as(identity.session_arn(given, SESSION) if given else iam_evaluator.caller_arn()):
            refused = _first_denied(resource_rights_template.needed(form, *_place()))
            if refused:
                return _error(refused.message)
            answer = await inner(method, path, headers, body, query)
        if answer[0] < 400:
            _keep_role(form, role, answer)
        return answer

    ministack.app.SERVICE_HANDLERS["cloudformation"] = handle


def guard() -> None:
    """Ask before each resource; once CloudFormation is loaded."""
    from ministack.services.cloudformation import provisioners, stacks

    update, delete = provisioners._update_resource, provisioners._delete_resource
    create = provisioners._provision_resource

    def guarded_create(type_name: str, logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        subject = _subject(type_name, properties, stack_name, logical_id)
        with _checked("create", subject):
            return create(type_name, logical_id, properties, stack_name)

    def guarded_update(
        type_name: str,
        physical_id: str,
        before: dict[str, Any],
        after: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> Any:
        if before == after:
            return update(type_name, physical_id, before, after, stack_name, logical_id, attributes)
        # A replacement is a resource made anew; the old one's deletion comes later and is asked for then.
        anew = stacks._replacing_change(type_name, before, after)
        known = "" if anew else physical_id
        subject = _subject(type_name, after, stack_name, logical_id or "", known, before)
        with _checked("create" if anew else "update", subject):
            return update(type_name, physical_id, before, after, stack_name, logical_id, attributes)

    def guarded_delete(
        type_name: str,
        physical_id: str,
        properties: dict[str, Any],
        stack_name: str | None = None,
        logical_id: str | None = None,
    ) -> Any:
        subject = _subject(type_name, properties, stack_name or "", logical_id or "", physical_id)
        with _checked("delete", subject):
            return delete(type_name, physical_id, properties, stack_name, logical_id)

    for module in (provisioners, stacks):
        module._provision_resource = guarded_create
        module._update_resource = guarded_update
        module._delete_resource = guarded_delete


@contextlib.contextmanager
def _checked(verb: Verb, subject: Subject) -> Iterator[None]:
    """Ask for every right; the resource's own handler runs inside."""
    if _acting.get() and not _asked.get():
        needed = rights.needed(verb, subject)
        if rights.launches(verb, subject):
            needed += resource_rights_launch.needed(subject.properties, subject.account, subject.region)
        denied = _first_denied(needed)
        if denied:
            raise provisioning.failed(denied.message, "AccessDenied")
    token = _asked.set(subject.type_name != NESTED_STACK)
    try:
        yield
    finally:
        _asked.reset(token)


def _first_denied(needed: list[Needed]) -> identity.Denied | None:
    for each in needed:
        denied = identity.authorize(_acting.get(), each.action, each.resource_arn, each.context)
        if denied:
            return denied
    return None


def _subject(
    type_name: str,
    properties: dict[str, Any],
    stack_name: str,
    logical_id: str,
    physical_id: str = "",
    before: dict[str, Any] | None = None,
) -> Subject:
    account, region = _place()
    return Subject(
        type_name,
        _own_tags(properties),
        stack_name,
        logical_id,
        physical_id,
        _own_tags(before or {}),
        account,
        region,
    )


def _own_tags(properties: dict[str, Any]) -> dict[str, Any]:
    """Without the tags that CloudFormation adds by itself (aws:cloudformation:…): they need no right."""
    tags = properties.get("Tags")
    if isinstance(tags, dict):
        own: Any = {key: value for key, value in tags.items() if not str(key).startswith("aws:")}
    else:
        own = [tag for tag in tags or [] if not str(tag.get("Key", "")).startswith("aws:")]
    rest = {name: value for name, value in properties.items() if name != "Tags"}
    return {**rest, "Tags": own} if own else rest


def _place() -> tuple[str, str]:
    from ministack.core.responses import get_account_id, get_region

    return str(get_account_id()), str(get_region())


@contextlib.contextmanager
def _acting_as(principal_arn: str) -> Iterator[None]:
    token = _acting.set(principal_arn)
    try:
        yield
    finally:
        _acting.reset(token)


def _role_of(form: dict[str, Any]) -> str:
    """The role that was given for this change set, or earlier to this stack."""
    from ministack.services.cloudformation import changesets, handlers

    name = _one(form, "StackName")
    if _one(form, "Action") == "ExecuteChangeSet":
        _, change_set = changesets._find_change_set(_one(form, "ChangeSetName"), name)
        if change_set:
            name = change_set["StackName"]
            if change_set.get("RoleARN"):
                return str(change_set["RoleARN"])
    stack = handlers._resolve_stack(name) if name else None
    if not stack or stack.get("StackStatus") == "DELETE_COMPLETE":  # a new one of that name begins without
        return ""
    return str(stack.get("RoleARN", ""))


def _keep_role(form: dict[str, Any], role: str, answer: Answer) -> None:
    """Write the role to the change set's or the stack's record, which outlive the server."""
    from ministack.services.cloudformation import changesets, handlers

    action = _one(form, "Action")
    if role and action == "CreateChangeSet":
        found = re.search(rb"<Id>(.*?)</Id>", answer[2])
        _, change_set = changesets._find_change_set(found.group(1).decode() if found else "", "")
        if change_set:
            change_set["RoleARN"] = role
    elif action == "ExecuteChangeSet":
        role = _role_of(form)
    if role and action != "CreateChangeSet":
        stack = handlers._resolve_stack(_one(form, "StackName")) if _one(form, "StackName") else None
        if stack:
            stack["RoleARN"] = role


def _error(message: str) -> Answer:
    from ministack.services.cloudformation import helpers

    answer: Answer = helpers._error("ValidationError", message)
    return answer


def _one(form: dict[str, Any], name: str) -> str:
    value = form.get(name, "")
    return str(value[0] if isinstance(value, list) else value)
