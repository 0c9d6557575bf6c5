"""ECR's images as its API has them: an image is a manifest, and any number of tags point to it.

Try it:  aws ecr list-images --repository-name REPOSITORY
ministack takes an image away with any one of its tags, lists one tag of each, and finds nothing wrong with an
image that is not there. Knows the records of images; layers and uploads are `calls`'.
"""

import json
from collections.abc import Iterator
from typing import Any

Request = dict[str, Any]
Image = dict[str, Any]
USUAL_PAGE = 100


def install() -> None:
    """Take the place of ministack's calls; before `calls`, which adds what is about layers."""
    from ministack.services import ecr

    ecr._list_images = list_images
    ecr._batch_delete_image = delete
    put, describe, get = ecr._put_image, ecr._describe_images, ecr._batch_get_image
    repositories, handle = ecr._describe_repositories, ecr.handle_request
    ecr._put_image = lambda data: _already_there(data) or put(data)
    ecr._describe_images = lambda data: _describe(describe, data)
    ecr._batch_get_image = lambda data: _with_asked_tags(get(data), data)
    ecr._describe_repositories = lambda data: _paged(
        repositories({**data, "maxResults": None}), data, "repositories"
    )

    async def handle_request(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        if str(headers.get("x-amz-target", "")).endswith(".DescribeImageScanFindings"):
            return _never_scanned(json.loads(body or b"{}"))
        return await handle(method, path, headers, body, query)

    ecr.handle_request = handle_request


def list_images(data: Request) -> Any:
    """ListImages: one entry for each tag, one without for an image that has none."""
    from ministack.services import ecr

    name = data.get("repositoryName", "")
    if name not in ecr._repositories:
        return no_repository(name)
    images = _with_status(ecr._images.get(name, []), data)
    ids = [identifier for image in images for identifier in _identifiers(image)]
    return _paged(ecr.json_response({"imageIds": ids}), data, "imageIds")


def delete(data: Request) -> Any:
    """BatchDeleteImage: a tag takes itself away, and with the last tag goes the image; a digest takes all."""
    from ministack.services import ecr

    name = data.get("repositoryName", "")
    if name not in ecr._repositories:
        return no_repository(name)
    deleted: list[Request] = []
    failures: list[Request] = []
    for wanted in data.get("imageIds") or []:
        image = ecr._find_image(name, wanted)
        digest, tag = wanted.get("imageDigest"), wanted.get("imageTag")
        if image is None:
            failures.append(_failure(wanted, "ImageNotFound", "Requested image not found"))
        elif digest and tag and tag not in image.get("imageTags", []):
            why = "The image tag and digest do not match"
            failures.append(_failure(wanted, "ImageTagDoesNotMatchDigest", why))
        else:
            deleted += _delete(name, image, tag)
    return ecr.json_response({"imageIds": deleted, "failures": failures})


def _delete(repository: str, image: Image, tag: str | None) -> list[Request]:
    from ministack.services import ecr

    gone = [{"imageDigest": image["imageDigest"], "imageTag": tag}] if tag else list(_identifiers(image))
    image["imageTags"] = [each for each in image.get("imageTags", []) if tag and each != tag]
    image["imageId"] = next(_identifiers(image))
    if not image["imageTags"]:
        ecr._images[repository].remove(image)
    return gone


def _identifiers(image: Image) -> Iterator[Request]:
    tags = image.get("imageTags") or []
    for tag in tags:
        yield {"imageDigest": image["imageDigest"], "imageTag": tag}
    if not tags:
        yield {"imageDigest": image["imageDigest"]}


def _failure(wanted: Request, code: str, reason: str) -> Request:
    return {"imageId": wanted, "failureCode": code, "failureReason": reason}


def _with_status(images: list[Image], data: Request) -> list[Image]:
    status = (data.get("filter") or {}).get("tagStatus", "ANY")
    return [each for each in images if status == "ANY" or bool(each.get("imageTags")) == (status == "TAGGED")]


def _already_there(data: Request) -> Any:
    """What PutImage answers when the tag points to this manifest already; None when it does not."""
    from ministack.services import ecr

    name, tag = data.get("repositoryName", ""), data.get("imageTag")
    digest = data.get("imageDigest") or ecr._image_digest(data.get("imageManifest", ""))
    found = ecr._find_image(name, {"imageDigest": digest})
    if found is None or (tag and tag not in found.get("imageTags", [])):
        return None
    message = (
        f"Image with digest '{digest}' and tag '{tag}' already exists in the repository with name '{name}' "
        f"in registry with id '{ecr._registry_id()}'"
    )
    return ecr.error_response_json("ImageAlreadyExistsException", message, 400)


def _describe(original: Any, data: Request) -> Any:
    """DescribeImages: an image that is named and not there is an error."""
    from ministack.services import ecr

    name = data.get("repositoryName", "")
    for wanted in data.get("imageIds") or []:
        if name in ecr._repositories and ecr._find_image(name, wanted) is None:
            return _no_image(name, wanted)
    status, _, body = answer = original(data)
    if status >= 400:
        return answer
    details = _with_status(json.loads(body)["imageDetails"], data)
    for each in details:
        if not each.get("imageTags"):
            each.pop("imageTags", None)
    return _paged(ecr.json_response({"imageDetails": details}), data, "imageDetails")


def _no_image(name: str, wanted: Request) -> Any:
    from ministack.services import ecr

    digest, tag = wanted.get("imageDigest", "null"), wanted.get("imageTag", "null")
    message = (
        f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within the "
        f"repository with name '{name}' in the registry with id '{ecr._registry_id()}'"
    )
    return ecr.error_response_json("ImageNotFoundException", message, 400)


def _with_asked_tags(answer: Any, data: Request) -> Any:
    """BatchGetImage gives each image by the name that it was asked for, not by its newest tag."""
    from ministack.services import ecr

    status, _, body = answer
    if status >= 400:
        return answer
    document = json.loads(body)
    name = data.get("repositoryName", "")
    found = [each for each in data.get("imageIds") or [] if ecr._find_image(name, each)]
    for image, wanted in zip(document["images"], found, strict=True):
        tag = {"imageTag": wanted["imageTag"]} if wanted.get("imageTag") else {}
        image["imageId"] = {"imageDigest": image["imageId"]["imageDigest"], **tag}
    return ecr.json_response(document)


def _paged(answer: Any, data: Request, member: str) -> Any:
    from ministack.services import ecr

    status, _, body = answer
    if status >= 400:
        return answer
    document = json.loads(body)
    token = str(data.get("nextToken") or "0")
    if not token.isdecimal():
        return ecr.error_response_json("InvalidParameterException", "Invalid nextToken.", 400)
    end = int(token) + int(data.get("maxResults") or USUAL_PAGE)
    more = {"nextToken": str(end)} if end < len(document[member]) else {}
    return ecr.json_response({**document, member: document[member][int(token) : end], **more})


def _never_scanned(data: Request) -> Any:
    from ministack.services import ecr

    name, wanted = data.get("repositoryName", ""), data.get("imageId") or {}
    if name not in ecr._repositories:
        return no_repository(name)
    if ecr._find_image(name, wanted) is None:
        return _no_image(name, wanted)
    message = f"Image scan does not exist for the image with '{wanted}' in '{name}': the local AWS scans none"
    return ecr.error_response_json("ScanNotFoundException", message, 400)


def no_repository(name: str) -> Any:
    """The answer to any call about a repository that is not there."""
    from ministack.services import ecr

    message = (
        f"The repository with name '{name}' does not exist in the registry with id '{ecr._registry_id()}'"
    )
    return ecr.error_response_json("RepositoryNotFoundException", message, 400)
