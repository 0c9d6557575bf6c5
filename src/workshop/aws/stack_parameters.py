"""Find a value for every parameter of a template, or say all that is missing at once.

Try it:  from workshop.aws import stacks; stacks.deploy("cluster", Compute="cpu")
Knows the template by CloudFormation's own reading of it, which is the same here and on AWS.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from workshop.aws import functions
from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.errors import AwsError

LOCAL_SOURCE_CIDR = "127.0.0.1/32"
FUNCTION_OF = {"upload": "classify_upload", "satisfaction": "satisfaction"}
"""Which of functions/ a stack's CodeKey is the package of."""


def fill(
    concern: str,
    body: str,
    given: Mapping[str, str],
    stack: Mapping[str, Any] | None,
    outputs: Mapping[str, str],
    aws: Aws,
) -> list[dict[str, Any]]:
    """Parameters for create_change_set.

    given: what the caller says; stack: the existing one, whose values stay where nobody says otherwise.
    Errors: AwsError that names every unknown and every missing parameter.
    """
    with explained(f"read cloudformation/{concern}.yaml"):
        read = aws.client("cloudformation").validate_template(TemplateBody=body).get("Parameters", [])
    declared = {entry["ParameterKey"]: entry for entry in read}
    problems = [_unknown(name, list(declared)) for name in given if name not in declared]
    kept = {entry["ParameterKey"] for entry in (stack or {}).get("Parameters", [])}
    settings = _from_settings(concern, set(declared) - set(given), outputs, aws)
    filled: list[dict[str, Any]] = []
    for name, entry in declared.items():
        value = next((str(source[name]) for source in (given, outputs, settings) if name in source), None)
        if value is not None:
            filled.append({"ParameterKey": name, "ParameterValue": value})
        elif name in kept:
            filled.append({"ParameterKey": name, "UsePreviousValue": True})
        elif "DefaultValue" not in entry:
            problems.append(_missing(name))
    if problems:
        raise AwsError(f"cloudformation/{concern}.yaml: {'; '.join(problems)}", _remedy(problems))
    return filled


def _from_settings(concern: str, wanted: set[str], outputs: Mapping[str, str], aws: Aws) -> dict[str, str]:
    values = {}
    if "WorkshopName" in wanted:
        values["WorkshopName"] = aws.name
    if "SourceCidr" in wanted and (aws.settings.source_cidr or aws.is_local):
        values["SourceCidr"] = aws.settings.source_cidr or LOCAL_SOURCE_CIDR
    if "AllowShell" in wanted and aws.is_local:
        values["AllowShell"] = (
            "yes"  # nobody else is there; on AWS it is the template's "no" unless asked for
        )
    if "CodeKey" in wanted:
        values["CodeKey"] = functions.publish(FUNCTION_OF[concern], outputs, aws)
    if "EndpointName" in wanted:
        values["EndpointName"] = f"{aws.name}-{concern}"
    return values


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    return f"there is no parameter '{name}' (parameters: {', '.join(sorted(known)) or 'none'}{hint})"


def _missing(name: str) -> str:
    if name == "SourceCidr":
        return "SourceCidr is not set, and the instances are never opened to the whole internet by default"
    return f"{name} has no value: no course stack has an output of that name"


def _remedy(problems: list[str]) -> str:
    if any("SourceCidr" in problem for problem in problems):
        return "export WORKSHOP_SOURCE_CIDR=<your public address>/32"
    return "workshop prepare 4 makes the stacks in order"
