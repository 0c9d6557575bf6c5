"""A training job's input: what its channels may be, are told of in /opt/ml/input/config, and bring to input/data.

Try it:  aws sagemaker create-training-job … with a channel of a bucket that is empty
What is refused here by name, AWS does. Members and files: https://docs.aws.amazon.com/sagemaker/latest/dg/
your-algorithms-training-algo-running-container.html. Knows S3 and no containers.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localaws.sagemaker import locations, roles
from localaws.sagemaker.context import Context
from localaws.sagemaker.jobfailures import ANSWERS_NOT, of_client, said
from localaws.sagemaker.locations import Location, Object
from localaws.sagemaker.refusals import Refused, invalid, unsupported
from localaws.sagemaker.store import Record

HOST = "algo-1"
GROUP = "homogeneousCluster"  # what AWS calls the instances of a job that names no groups
LEFT_OUT = ("AttributeNames", "InstanceGroupNames", "ModelAccessConfig", "HubAccessConfig")


def check(context: Context, request: Record) -> None:
    """Refuse what can't be read: by its form, because it is left out here, or because there is nothing in S3."""
    names = [each["ChannelName"] for each in _given(request)]
    if len(set(names)) < len(names):
        raise invalid(
            f"Channel names must be unique in a training job, and these are given: {', '.join(names)}"
        )
    for channel in _given(request):
        if not channel["ChannelName"].strip("."):  # AWS's pattern lets it pass, and it is no folder's name
            raise invalid(f"ChannelName {channel['ChannelName']} is not valid")
        _check_form(channel)
    if not _given(request):
        return
    client = roles.client(context, request["RoleArn"])
    for channel in _given(request):
        _check_objects(client, channel, request["RoleArn"])


def _given(request: Record) -> list[Record]:
    return request.get("InputDataConfig") or []


def _check_form(channel: Record) -> None:
    source = channel["DataSource"].get("S3DataSource")
    if source is None:
        raise unsupported("channels but those from S3 (EFS, FSx for Lustre, data sets of hubs)")
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise unsupported(f"S3DataType {source['S3DataType']}")
    for name in LEFT_OUT:
        if source.get(name):
            raise unsupported(f"{name} in a channel")
    if channel.get("InputMode", "File") != "File":
        raise unsupported(f"InputMode {channel['InputMode']}")
    if channel.get("ShuffleConfig"):
        raise unsupported("ShuffleConfig")
    # Both are for the mode Pipe alone (API reference, Channel).
    for name in ("CompressionType", "RecordWrapperType"):
        if channel.get(name, "None") != "None":
            raise invalid(f"{name} {channel[name]} is not allowed for the input mode File: use None")
    if locations.parse(source["S3Uri"]) is None:
        raise invalid(
            f"The S3Uri {source['S3Uri']} of channel {channel['ChannelName']} is not s3://BUCKET/PREFIX"
        )


def _place(channel: Record) -> Location:
    found = locations.parse(channel["DataSource"]["S3DataSource"]["S3Uri"])
    assert found  # as `check` saw
    return found


def _check_objects(client: Any, channel: Record, role_arn: str) -> None:
    place = _place(channel)
    try:
        found = client.list_objects_v2(Bucket=place.bucket, Prefix=place.key, MaxKeys=1).get("KeyCount")
        elsewhere = _region(place.bucket) not in (None, client.meta.region_name)
    except ANSWERS_NOT:
        found, elsewhere = 0, False
    if not found or elsewhere:
        raise nothing_there(place, role_arn, client.meta.region_name)


def nothing_there(place: Location, role_arn: str, region: str) -> Refused:
    """What AWS says of input that is not there, or that the role may not list."""
    return invalid(
        f'No S3 objects found under S3 URL "{place.uri}" given in input data source. Please ensure that the bucket '
        f"exists in the selected region ({region}), that objects exist under that S3 prefix, and that the role "
        f'"{role_arn}" has "s3:ListBucket" permissions on bucket "{place.bucket}".'
    )


def _region(bucket: str) -> str | None:
    from ministack.services import s3

    found: str | None = (s3._buckets.get(bucket) or {}).get("region")
    return found


def write_configuration(folder: Path, record: Record) -> None:
    """The files of /opt/ml/input/config."""
    instance_type = record["ResourceConfig"]["InstanceType"]
    group = {"instance_group_name": GROUP, "instance_type": instance_type, "hosts": [HOST]}
    documents = {
        "hyperparameters": record.get("HyperParameters") or {},
        "inputdataconfig": {each["ChannelName"]: _told(each) for each in _given(record)},
        "resourceconfig": {
            "current_host": HOST,
            "current_instance_type": instance_type,
            "current_group_name": GROUP,
            "hosts": [HOST],
            "instance_groups": [group],
            "network_interface_name": "eth0",
        },
    }
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document, sort_keys=True))


def _told(channel: Record) -> Record:
    """A channel as the container is told of it."""
    source = channel["DataSource"]["S3DataSource"]
    told = {
        "TrainingInputMode": "File",
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
    return told | ({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {})


def download(client: Any, record: Record, folder: Path, stopped: Any) -> None:
    """Put each channel's objects into a folder of its name; ends early when `stopped` is set.

    Errors: JobFailed.
    """
    for channel in _given(record):
        below = folder / channel["ChannelName"]
        below.mkdir(parents=True)
        try:
            count = locations.download(client, _until(_objects(client, channel), stopped), below)
        except ANSWERS_NOT as error:
            raise of_client(f"Data download failed:{_place(channel).uri} ({said(error)})") from error
        if not count and not stopped.is_set():
            raise of_client(f"Data download failed:No objects were found at {_place(channel).uri}")


def _objects(client: Any, channel: Record) -> Iterator[Object]:
    if channel["DataSource"]["S3DataSource"]["S3DataType"] == "ManifestFile":
        return locations.of_manifest(client, _place(channel))
    return locations.objects(client, _place(channel))


def _until(found: Iterator[Object], stopped: Any) -> Iterator[Object]:
    for each in found:
        if stopped.is_set():
            return
        yield each
