"""Read the CloudFormation templates as they are on disk: parameters, conditions, resources.

Try it:  python -c "from workshop.aws import templates; print(sorted(templates.read('network').resources))"
Only what an estimate or a test asks before anything is deployed: Ref to a parameter, Equals, If and Sub are
computed; what exists only after deployment stays the function it is. CloudFormation itself reads the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from workshop.errors import AwsError


@dataclass(frozen=True)
class Template:
    """One template with values for its parameters; `values` holds those given over the defaults."""

    name: str
    document: Mapping[str, Any]
    values: Mapping[str, Any]

    @property
    def resources(self) -> Mapping[str, Mapping[str, Any]]:
        return self.document.get("Resources", {})

    def resolve(self, value: Any) -> Any:
        """The same value with every function computed that can be computed before deployment."""
        if isinstance(value, list):
            return [self.resolve(each) for each in value]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref":
                return self.values.get(argument, value)
            if function == "Fn::If":
                condition, then, otherwise = argument
                return self.resolve(then if self.condition(condition) else otherwise)
            if function == "Fn::Sub" and isinstance(argument, str):
                return re.sub(
                    r"\$\{(\w+)\}", lambda found: str(self.values.get(found[1], found[0])), argument
                )
        return {name: self.resolve(each) for name, each in value.items()}

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds; only Fn::Equals is known here."""
        left, right = self.document["Conditions"][name]["Fn::Equals"]
        return bool(self.resolve(left) == self.resolve(right))


def read(path: str | Path, root: Path | None = None, **parameters: str) -> Template:
    """Read a template by its path, or by its concern's name.

    parameters: values in place of the defaults. Names that the template does not have are left aside: one set
    may serve several templates.
    """
    path = Path(path)
    if path.suffix != ".yaml":
        if root is None:
            from workshop.settings import load

            root = load().root
        path = root / "cloudformation" / f"{path.name}.yaml"
    if not path.is_file():
        have = ", ".join(sorted(each.stem for each in path.parent.glob("*.yaml"))) or "none"
        raise AwsError(f"there is no template {path} (templates: {have})")
    document = yaml.load(path.read_text(), Loader=_Loader)
    declared = document.get("Parameters", {})
    defaults = {name: entry["Default"] for name, entry in declared.items() if "Default" in entry}
    given = {name: value for name, value in parameters.items() if name in declared}
    return Template(path.stem, document, defaults | given)


class _Loader(yaml.SafeLoader):
    """Safe YAML with CloudFormation's short forms."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    """`!Ref X` is {Ref: X}, `!GetAtt A.B` is {Fn::GetAtt: [A, B]}, `!Name …` is {Fn::Name: …}."""
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
