"""Templates refused before anything is made, as AWS refuses them.

Try it:  aws cloudformation validate-template --template-body 'Resources: {}'
ministack makes stacks of templates with unresolved references, unknown properties, no resources at all.
Here its front door for CloudFormation is ours: the template is checked first, and only then given on.
Knows nothing of single resource types; cfn-lint does, from AWS's own schemas.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

from localaws.cloudformation import provisioning
from localaws.cloudformation.lint import Linter, Problem

CHECKED = frozenset({"CreateStack", "UpdateStack", "CreateChangeSet", "ValidateTemplate"})
# What ministack itself says, in AWS's words, or what needs values that only it has.
LEFT_TO_MINISTACK = frozenset({"E3006", "E0000"})
MOST_PROBLEMS = 10
TELLS_PARAMETERS = ("ValidateTemplate", "GetTemplateSummary")

Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[..., Any]


def install(linter: Linter, load: Callable[[], None]) -> None:
    """Stand before ministack's CloudFormation, which `load` loads, off the event loop, at the first
    request."""
    import ministack.app

    inner: Handler = ministack.app.SERVICE_HANDLERS["cloudformation"]
    loading: list[asyncio.Task[None]] = []

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        if not loading:
            linter.warm()
            loading.append(asyncio.ensure_future(asyncio.to_thread(load)))
        await asyncio.shield(loading[0])
        form = {**query, **parse_qs(body.decode("utf-8", errors="replace"), keep_blank_values=True)}
        if _one(form, "Action") in CHECKED:
            refused = await asyncio.to_thread(_refusal, form, linter, _region())
            if refused:
                return refused
        answer = await inner(method, path, headers, body, query)
        return _without_made_up_defaults(form, answer) if _one(form, "Action") in TELLS_PARAMETERS else answer

    ministack.app.SERVICE_HANDLERS["cloudformation"] = handle


def _without_made_up_defaults(form: dict[str, Any], answer: Answer) -> Answer:
    """A parameter without a default has no DefaultValue at all; ministack gives it an empty one."""
    from ministack.services.cloudformation import engine

    status, headers, body = answer
    if status >= 400:
        return answer
    text = _one(form, "TemplateBody")
    declared = engine._parse_template(text).get("Parameters") or {} if text else {}
    empty = {name for name, each in declared.items() if each.get("Default") == ""}
    made_up = re.compile(rb"<ParameterKey>([^<]*)</ParameterKey><DefaultValue></DefaultValue>")

    def key_alone(found: re.Match[bytes]) -> bytes:
        kept: bytes = found.group(0)
        return (
            kept if found.group(1).decode() in empty else kept.removesuffix(b"<DefaultValue></DefaultValue>")
        )

    return status, headers, made_up.sub(key_alone, body)


def enforce_capabilities() -> None:
    """Ask for CAPABILITY_IAM where AWS does; ministack does so only where it also checks every signature."""
    from ministack.services.cloudformation import handlers

    handlers._capabilities_enforced = lambda: True


def _refusal(form: dict[str, Any], linter: Linter, region: str) -> Answer | None:
    """The error to answer, or None if the template may pass or is one that ministack must find."""
    from ministack.services.cloudformation import engine, helpers

    text, error = helpers._resolve_template(form)
    if error or not text:
        return None
    try:
        template = engine._parse_template(text)
    except Exception:
        return None
    problems = wrong_references(template) + wrong_values(template, form) + types_not_emulated(template)
    if not problems:
        found = [item for item in linter.problems(text, region) if item.rule not in LEFT_TO_MINISTACK]
        problems = [worded(item) for item in found]
    if not problems:
        return None
    more = f" (and {len(problems) - MOST_PROBLEMS} more)" if len(problems) > MOST_PROBLEMS else ""
    message = "; ".join(problems[:MOST_PROBLEMS]) + more
    answer: Answer = helpers._error("ValidationError", message)
    return answer


def wrong_references(template: Any) -> list[str]:
    """No resources, and references to what is not in the template, in AWS's words."""
    resources = template.get("Resources") if isinstance(template, dict) else None
    if not isinstance(resources, dict) or not resources:
        return ["Template format error: At least one Resources member must be defined."]
    if template.get("Transform"):
        return []  # a transform may add what is referred to
    names = {*resources, *(template.get("Parameters") or {})}
    problems = []
    for section in ("Resources", "Outputs"):
        missing = sorted({name for name in _references(template.get(section)) if name not in names})
        if missing:
            problems.append(
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] "
                f"in the {section} block of the template"
            )
    return problems


def wrong_values(template: Any, form: dict[str, Any]) -> list[str]:
    """Values for parameters that the template doesn't have, and parameters left without one."""
    if _one(form, "Action") == "ValidateTemplate":
        return []
    parameters = template.get("Parameters") or {}
    keys = (name for name in form if re.fullmatch(r"Parameters\.member\.\d+\.ParameterKey", name))
    given = {_one(form, name) for name in keys}
    unknown = sorted(given - set(parameters))
    missing = sorted(name for name, item in parameters.items() if "Default" not in item and name not in given)
    problems = []
    if unknown:
        problems.append(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    if missing:
        problems.append(f"Parameters: [{', '.join(missing)}] must have values")
    return problems


def types_not_emulated(template: Any) -> list[str]:
    """Types that nothing here can make; AWS's words for a type that is not one, and where to read more."""
    resources = template.get("Resources") if isinstance(template, dict) else None
    if not isinstance(resources, dict) or template.get("Transform"):
        return []
    # One under a condition may never be made; ministack decides it with the parameters' values.
    made = (item for item in resources.values() if isinstance(item, dict) and not item.get("Condition"))
    known = provisioning.table()
    used = {str(item.get("Type", "")) for item in made}
    missing = sorted(name for name in used if name not in known and not name.startswith("Custom::"))
    if not missing:
        return []
    listed = ", ".join(missing)
    hint = "help('localaws') says what is emulated"
    return [f"Template format error: Unrecognized resource types: [{listed}] ({hint})"]


def worded(problem: Problem) -> str:
    """A cfn-lint error as the sentence that CloudFormation has for it, with the place, which AWS leaves
    out."""
    place = "/".join(problem.path)
    quoted = re.search(r"'([^']+)'", problem.message)
    name = quoted.group(1) if quoted else ""
    if problem.rule == "E3002" and "Additional properties" in problem.message:
        return f"Encountered unsupported property {name} (at {place})"
    if problem.rule == "E3003" and "required property" in problem.message:
        return f"Property {name} cannot be empty (at {place})"
    return f"Template format error: {problem.message} (at {place}, {problem.rule})"


def _references(node: Any) -> Iterator[str]:
    """Logical names that Ref, Fn::GetAtt, Fn::Sub and DependsOn refer to, pseudo parameters left out."""
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "Ref" and isinstance(value, str):
            yield from (name for name in [value] if not name.startswith("AWS::"))
        elif key == "Fn::GetAtt":
            yield str(value[0] if isinstance(value, list) else value).partition(".")[0]
            yield from _references(value[1:] if isinstance(value, list) else [])
        elif key == "Fn::Sub":
            yield from _substituted(value)
        else:
            yield from _references(value)


def _substituted(value: Any) -> Iterator[str]:
    text, own = (value[0], value[1]) if isinstance(value, list) and len(value) == 2 else (value, {})
    for name in re.findall(r"\$\{([^!}][^}]*)\}", str(text)):
        name = name.strip().partition(".")[0]
        if not name.startswith("AWS::") and name not in own:
            yield name
    yield from _references(own)


def _one(form: dict[str, Any], name: str) -> str:
    value = form.get(name, "")
    return str(value[0] if isinstance(value, list) else value)


def _region() -> str:
    from ministack.core.responses import get_region

    return str(get_region())
