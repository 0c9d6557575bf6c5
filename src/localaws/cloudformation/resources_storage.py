"""CloudFormation types that keep data: what ministack leaves out of buckets and tables, and refuses on
deletion.

Try it:  tests/local/test_localaws_resources.py -k bucket
Knows S3's and DynamoDB's own calls; each property is sent through the call that an API client would make.
"""

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from localaws.cloudformation import provisioning
from localaws.cloudformation.provisioning import Properties


def install() -> None:
    """Amend the types in ministack's table."""
    provisioning.amend("AWS::S3::Bucket", _bucket_properties)
    provisioning.table()["AWS::S3::Bucket"]["delete"] = _delete_bucket
    provisioning.amend("AWS::DynamoDB::Table", _time_to_live)
    provisioning.tagged("AWS::S3::Bucket")
    _name_log_groups()


def _name_log_groups() -> None:
    """As on AWS: <stack>-<logical id>-<suffix>. By ministack's names no policy could tell them by their stack."""
    entry = provisioning.table()["AWS::Logs::LogGroup"]
    create, update = entry["create"], entry["update"]

    def named_create(logical_id: str, properties: Properties, stack_name: str) -> provisioning.Made:
        name = properties.get("LogGroupName") or provisioning.physical_name(stack_name, logical_id, 512)
        made: provisioning.Made = create(logical_id, {**properties, "LogGroupName": name}, stack_name)
        return made

    def named_update(
        physical_id: str, before: Properties, after: Properties, *rest: str
    ) -> provisioning.Made:
        kept = {"LogGroupName": physical_id}
        made: provisioning.Made = update(physical_id, {**kept, **before}, {**kept, **after}, *rest)
        return made

    entry |= {"create": named_create, "update": named_update}


def _delete_bucket(name: str, properties: Properties) -> None:
    """Through DeleteBucket, which refuses a bucket with objects or versions in it."""
    from ministack.services import s3

    status, _, body = s3._delete_bucket(name)
    if status == 409:
        raise provisioning.failed(
            "The bucket you tried to delete is not empty "
            "(Service: S3, Status Code: 409, Error Code: BucketNotEmpty)"
        )
    if status >= 400 and status != 404:
        raise provisioning.failed(body.decode())


def _bucket_properties(name: str, properties: Properties, before: Properties) -> dict[str, Any]:
    from ministack.services import s3

    calls: dict[str, tuple[Callable[[Any], bytes], Callable[..., Any], Callable[..., Any]]] = {
        "Tags": (_tags_xml, s3._put_bucket_tagging, s3._delete_bucket_tagging),
        "BucketEncryption": (_encryption_xml, s3._put_bucket_encryption, s3._delete_bucket_encryption),
        "LifecycleConfiguration": (_lifecycle_xml, s3._put_bucket_lifecycle, s3._delete_bucket_lifecycle),
        "OwnershipControls": (
            _ownership_xml,
            s3._put_bucket_ownership_controls,
            s3._delete_bucket_ownership_controls,
        ),
    }
    for wanted, (document, put, delete) in calls.items():
        if wanted in properties:
            _expect(put(name, document(properties[wanted])))
        elif wanted in before:
            _expect(delete(name))
    versioning = (properties.get("VersioningConfiguration") or {}).get("Status")
    if versioning:
        _expect(s3._put_bucket_versioning(name, _xml("VersioningConfiguration", {"Status": versioning})))
    return {"DualStackDomainName": f"{name}.s3.dualstack.{_region()}.amazonaws.com"}


def _time_to_live(table: str, properties: Properties, before: Properties) -> None:
    """ministack makes the table and forgets the specification: the table's TTL stays DISABLED."""
    from ministack.services import dynamodb

    wanted, was = properties.get("TimeToLiveSpecification"), before.get("TimeToLiveSpecification")
    if wanted and wanted != was:
        enabled = str(wanted.get("Enabled", "")).lower() == "true"
        specification = {"AttributeName": wanted.get("AttributeName", ""), "Enabled": enabled}
        _expect(dynamodb._update_ttl({"TableName": table, "TimeToLiveSpecification": specification}))
    elif was and not wanted:
        specification = {"AttributeName": was["AttributeName"], "Enabled": False}
        _expect(dynamodb._update_ttl({"TableName": table, "TimeToLiveSpecification": specification}))


def _expect(answer: tuple[int, Any, bytes]) -> None:
    if answer[0] >= 400:
        raise provisioning.failed(answer[2].decode() if isinstance(answer[2], bytes) else str(answer[2]))


def _region() -> str:
    from ministack.core.responses import get_region

    return str(get_region())


def _xml(root: str, content: Any) -> bytes:
    """A document in S3's namespace: dicts are elements, lists repeat their element."""
    element = Element(root, xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
    _fill(element, content)
    return tostring(element, encoding="utf-8")


def _fill(element: Element, content: Any) -> None:
    if not isinstance(content, dict):
        element.text = str(content).lower() if isinstance(content, bool) else str(content)
        return
    for name, value in content.items():
        for item in value if isinstance(value, list) else [value]:
            _fill(SubElement(element, name), item)


def _tags_xml(tags: list[dict[str, str]]) -> bytes:
    pairs = [{"Key": tag["Key"], "Value": tag.get("Value", "")} for tag in tags]
    return _xml("Tagging", {"TagSet": {"Tag": pairs}})


def _encryption_xml(encryption: dict[str, Any]) -> bytes:
    rules = []
    for rule in encryption["ServerSideEncryptionConfiguration"]:
        document: dict[str, Any] = {}
        if rule.get("ServerSideEncryptionByDefault"):
            document["ApplyServerSideEncryptionByDefault"] = rule["ServerSideEncryptionByDefault"]
        if "BucketKeyEnabled" in rule:
            document["BucketKeyEnabled"] = rule["BucketKeyEnabled"]
        rules.append(document)
    return _xml("ServerSideEncryptionConfiguration", {"Rule": rules})


def _ownership_xml(controls: dict[str, Any]) -> bytes:
    return _xml("OwnershipControls", {"Rule": controls["Rules"]})


def _lifecycle_xml(lifecycle: dict[str, Any]) -> bytes:
    """CloudFormation spells some rules flat (ExpirationInDays) where the API nests them."""
    rules = []
    for rule in lifecycle["Rules"]:
        document: dict[str, Any] = {"ID": rule["Id"]} if rule.get("Id") else {}
        document |= {"Filter": {"Prefix": rule.get("Prefix", "")}, "Status": rule["Status"]}
        if "ExpirationInDays" in rule:
            document["Expiration"] = {"Days": rule["ExpirationInDays"]}
        for name in ("AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration"):
            if rule.get(name):
                document[name] = rule[name]
        if "NoncurrentVersionExpirationInDays" in rule:
            document["NoncurrentVersionExpiration"] = {
                "NoncurrentDays": rule["NoncurrentVersionExpirationInDays"]
            }
        rules.append(document)
    return _xml("LifecycleConfiguration", {"Rule": rules})
