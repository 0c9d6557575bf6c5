"""What an EC2 launch template says, in the version that is asked for.

Try it:  aws ec2 describe-launch-template-versions --launch-template-id ID
Knows ministack's records of templates; starts nothing.
"""

from collections.abc import Mapping
from typing import Any


def data(reference: Mapping[str, Any]) -> dict[str, Any]:
    """The template's data; empty if there is none.

    reference: LaunchTemplateId or LaunchTemplateName, and Version, `$Default` where it is left out.
    """
    from ministack.services import ec2

    name = reference.get("LaunchTemplateName")
    named = (each for each in ec2._launch_templates.values() if name and each["LaunchTemplateName"] == name)
    by_id = ec2._launch_templates.get(reference.get("LaunchTemplateId", ""))
    template: dict[str, Any] = by_id or next(named, {})
    number = str(reference.get("Version") or "$Default")
    if number == "$Latest":
        number = str(template.get("LatestVersionNumber", 1))
    elif number == "$Default":
        number = str(template.get("DefaultVersionNumber", 1))
    for version in template.get("Versions") or []:
        if str(version.get("VersionNumber")) == number:
            return dict(version.get("LaunchTemplateData") or {})
    return {}
