"""The public parameters that name the current machine images, in every region.

Try it:  aws ssm get-parameter --name /aws/service/ecs/optimized-ami/amazon-
         linux-2023/gpu/recommended/image_id
The identifiers are made up, one a variant and the same in every region: nothing boots from them.
"""

import json
from typing import Any

# The families that AWS publishes under /aws/service/ecs/optimized-ami (ECS developer guide, "Retrieving
# Amazon ECS-optimized Linux AMI metadata").
ECS_VARIANTS = {
    "amazon-linux-2023": "ami-0ec52023cafe00001",
    "amazon-linux-2023/gpu": "ami-0ec52023cafe00002",
    "amazon-linux-2023/arm64": "ami-0ec52023cafe00003",
    "amazon-linux-2023/neuron": "ami-0ec52023cafe00004",
    "amazon-linux-2": "ami-0ec52002cafe00001",
    "amazon-linux-2/gpu": "ami-0ec52002cafe00002",
    "amazon-linux-2/arm64": "ami-0ec52002cafe00003",
}


def install() -> None:
    """Add the parameters to those that ministack's SSM answers without their having been put."""
    from ministack.services import ssm

    ssm._PUBLIC_AMI_PARAMETERS.update(ecs_image_parameters())
    original = ssm._get_parameters_by_path
    ssm._get_parameters_by_path = lambda data: (
        _by_path(data) if f"{data.get('Path', '')}/".startswith("/aws/service/") else original(data)
    )


def _by_path(data: dict[str, Any]) -> Any:
    """GetParametersByPath below /aws/service, which ministack answers with nothing."""
    from ministack.services import ssm

    path = str(data["Path"]).rstrip("/") + "/"
    names = [name for name in sorted(ssm._PUBLIC_AMI_PARAMETERS) if name.startswith(path)]
    if not data.get("Recursive"):
        names = [name for name in names if "/" not in name.removeprefix(path)]
    start = ssm._decode_next_token(data["NextToken"]) if data.get("NextToken") else 0
    end = start + int(data.get("MaxResults") or ssm.DEFAULT_PAGE_SIZE)
    found = [ssm._param_out(ssm._public_parameter(name)) for name in names[start:end]]
    more = {"NextToken": ssm._encode_next_token(end)} if end < len(names) else {}
    return ssm.json_response({"Parameters": found, **more})


def ecs_image_parameters() -> dict[str, str]:
    """Parameter name to value, for each variant: the whole record, and its members."""
    found = {}
    for variant, image in ECS_VARIANTS.items():
        system = "Amazon Linux 2023" if "2023" in variant else "Amazon Linux 2"
        name = f"/aws/service/ecs/optimized-ami/{variant}/recommended"
        record = {"schema_version": 1, "image_name": f"local-ecs-{variant.replace('/', '-')}", "os": system}
        record |= {"image_id": image, "ecs_agent_version": "1.0.0", "ecs_runtime_version": "local"}
        found[name] = json.dumps(record)
        found |= {f"{name}/{member}": str(value) for member, value in record.items()}
    return found
