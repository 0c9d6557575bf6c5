"""What an EC2 instance type brings to a cluster: vCPUs, memory, GPUs, network interfaces.

Try it:  python -c "from localaws.ecs import instance_types; print(instance_types.resources('g4dn.xlarge'))"
From https://aws.amazon.com/ec2/instance-types/; only the families that a course on deep learning would pick.
"""

import functools
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Resources:
    """vCPUs, memory in MiB, number of GPUs."""

    vcpus: int
    memory_mib: int
    gpus: int = 0


# Of each family: GiB of memory for a vCPU. The size gives the vCPUs.
GIB_PER_VCPU = {"c5": 2, "c6i": 2, "c7i": 2, "m5": 4, "m6i": 4, "m7i": 4, "r5": 8, "r6i": 8}
SIZES = {
    "large": 2,
    "xlarge": 4,
    "2xlarge": 8,
    "4xlarge": 16,
    "8xlarge": 32,
    "12xlarge": 48,
    "16xlarge": 64,
    "24xlarge": 96,
}
BURSTABLE = {
    "nano": (2, 0.5),
    "micro": (2, 1),
    "small": (2, 2),
    "medium": (2, 4),
    "large": (2, 8),
    "xlarge": (4, 16),
    "2xlarge": (8, 32),
}
# (GiB of memory for a vCPU, GPUs by size); sizes not named have one GPU.
GPU_FAMILIES: dict[str, tuple[int, dict[str, int]]] = {
    "g4dn": (4, {"12xlarge": 4}),
    "g5": (4, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
    "g6": (4, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
}
EXCEPTIONS = {
    "p3.2xlarge": Resources(8, 61 * 1024, 1),
    "p3.8xlarge": Resources(32, 244 * 1024, 4),
    "g5.48xlarge": Resources(192, 768 * 1024, 8),
    "g6.48xlarge": Resources(192, 768 * 1024, 8),
}
# The operating system and the agent keep some of an instance's memory, and the agent registers the rest.
REGISTERED_SHARE = 0.96


def resources(instance_type: str) -> Resources | None:
    """What the type has, None for a type that is not in the table."""
    if instance_type in EXCEPTIONS:
        return EXCEPTIONS[instance_type]
    family, _, size = instance_type.partition(".")
    if family in ("t2", "t3", "t3a") and size in BURSTABLE:
        vcpus, gib = BURSTABLE[size]
        return Resources(vcpus, int(gib * 1024))
    if size not in SIZES:
        return None
    if family in GPU_FAMILIES:
        gib_per_vcpu, gpus = GPU_FAMILIES[family]
        return Resources(SIZES[size], SIZES[size] * gib_per_vcpu * 1024, gpus.get(size, 1))
    if family in GIB_PER_VCPU:
        return Resources(SIZES[size], SIZES[size] * GIB_PER_VCPU[family] * 1024)
    return None


# Network interfaces at most, without trunking: https://docs.aws.amazon.com/ec2/latest/instancetypes/ (each family's
# network specifications). By size, and where a family has others.
INTERFACES = {
    "nano": 2,
    "micro": 2,
    "small": 3,
    "medium": 3,
    "large": 3,
    "xlarge": 4,
    "2xlarge": 4,
    "4xlarge": 8,
    "8xlarge": 8,
    "12xlarge": 8,
    "16xlarge": 15,
    "24xlarge": 15,
    "48xlarge": 15,
}
OTHER_INTERFACES = {
    "g4dn": {"xlarge": 3, "2xlarge": 3, "4xlarge": 3, "8xlarge": 4, "16xlarge": 4},
    "g5": {"12xlarge": 15, "16xlarge": 8, "48xlarge": 7},
    "g6": {"16xlarge": 8},
}


def interfaces_for_tasks(instance_type: str) -> int:
    """How many awsvpc tasks an instance takes: one interface each, and the first is the instance's own."""
    family, _, size = instance_type.partition(".")
    return (OTHER_INTERFACES.get(family, {}).get(size) or INTERFACES.get(size, 2)) - 1


@functools.cache
def gpus_here() -> tuple[str, ...]:
    """Identifiers of the NVIDIA GPUs that this machine really has."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True)
        return tuple(re.findall(r"UUID: (GPU-[0-9a-f-]+)", listed.stdout))
    except (OSError, subprocess.SubprocessError):
        # Without the tool the driver still lists its devices; their numbers serve as identifiers.
        devices = sorted(Path("/proc/driver/nvidia/gpus").glob("*"))
        return tuple(str(number) for number, _ in enumerate(devices))
