"""Write a bill of materials in CycloneDX's form, checked against its schema.

Try it:  workshop sbom mxnet
Runs in the environment `audit`, which has CycloneDX's library, and is started by `workshop.aws.bill_of_materials`:
the image's name, digest and packages come in as JSON, the bill goes out. Knows no image.
Form: https://cyclonedx.org/docs/1.6/json/
"""

import json
import sys
import uuid
from typing import Any


def main() -> int:
    """Standard input to standard output; status 1 if what was written is not valid."""
    bill = written(json.load(sys.stdin))
    fault = fault_of(bill)
    print(fault or bill, file=sys.stderr if fault else sys.stdout)
    return 1 if fault else 0


def written(image: dict[str, Any]) -> str:
    """image: name, digest, packages (each kind 'pypi' or 'deb', name, version, and license where it is told)."""
    from cyclonedx.factory.license import LicenseFactory
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    bom, licenses = Bom(), LicenseFactory()
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, image["digest"])  # the same image, the same number
    whole = Component(
        name=image["name"], version=image["digest"], type=ComponentType.CONTAINER, bom_ref="image"
    )
    bom.metadata.component = whole
    for package in image["packages"]:
        kind, name, version = package["kind"], package["name"], package["version"]
        url = PackageURL(type=kind, namespace="debian" if kind == "deb" else None, name=name, version=version)
        part = Component(name=name, version=version, purl=url, bom_ref=url.to_string())
        if package.get("license"):
            part.licenses.add(licenses.make_from_string(package["license"]))
        bom.components.add(part)
    bom.register_dependency(whole, bom.components)
    return str(JsonV1Dot6(bom).output_as_string(indent=1))


def fault_of(bill: str) -> str:
    """What the schema has against it; '' if nothing."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) or "")


if __name__ == "__main__":
    sys.exit(main())
