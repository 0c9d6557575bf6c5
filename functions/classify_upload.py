"""Start the classify task for a picture that was put into the input bucket.

Try it:  copy a picture into the input bucket and look into the function's log group
EventBridge delivers an event at least once, so the same one may come twice. Everything that a task is started
with is derived from the object's version: the second delivery has the same client token, and ECS answers with
the task of the first. Another upload under the same key is another version, hence another task.
Knows nothing of pictures: whether the file really is one, the task finds out.
"""

import hashlib
import json
import os

import boto3

PICTURES = (".jpg", ".jpeg", ".png")
JOB = "classify-images"
TOKEN_CHARACTERS = 64  # the longest client token that RunTask takes


class UploadError(Exception):
    """The event is not what the rule lets through, or ECS started no task for it."""


def handler(event, context):
    """Start one task for one `Object Created` event, and return its ARN and where the result will be."""
    return start(event, boto3.client("ecs"), os.environ)


def start(event, ecs, environ):
    """Do the handler's work with an ECS client and variables that are passed in."""
    bucket, key, version = picture_of(event, environ["INPUT_BUCKET"])
    token = token_of(bucket, key, version)
    picture = f"s3://{bucket}/{key}"
    output = f"s3://{environ['OUTPUT_BUCKET']}/runs/upload-{token[:12]}"
    log("starting", picture=picture, version=version, output=output, event=event.get("id", ""))
    family = environ["TASK_FAMILY"]
    answer = ecs.run_task(
        cluster=environ["CLUSTER"],
        taskDefinition=family,
        count=1,
        clientToken=token,
        startedBy=f"upload-{token[:12]}",
        overrides={
            "containerOverrides": [
                {
                    "name": family,
                    "command": ["run", JOB, "--output", output],
                    "environment": [
                        {"name": "IMAGEURL", "value": picture},
                        {"name": "OUTPUTBUCKET", "value": environ["OUTPUT_BUCKET"]},
                    ],
                }
            ]
        },
    )
    task = task_of(answer, picture)
    log("started", picture=picture, task=task, output=output)
    return {"task": task, "picture": picture, "output": output}


def picture_of(event, watched):
    """Return bucket, key and version of the picture that the event announces; UploadError for any other."""
    detail = event.get("detail") or {}
    bucket = (detail.get("bucket") or {}).get("name", "")
    item = detail.get("object") or {}
    key = item.get("key", "")
    if event.get("detail-type") != "Object Created" or not key:
        raise UploadError(
            f"not an 'Object Created' event of S3: {event.get('detail-type', 'no detail-type')!r}"
        )
    if bucket != watched:
        raise UploadError(f"the event is from bucket {bucket!r}, and this function watches {watched!r}")
    if not key.lower().endswith(PICTURES):
        raise UploadError(f"{key!r} is none of {', '.join(PICTURES)}")
    if item.get("size") == 0:
        raise UploadError(f"{key!r} is empty")
    # Buckets without versions still tell each upload apart by its sequencer.
    version = item.get("version-id") or item.get("sequencer") or item.get("etag") or event.get("id", "")
    return bucket, key, version


def token_of(bucket, key, version):
    """Return 64 characters that are the same for the same version of the same object, and no other."""
    name = json.dumps([bucket, key, version])
    return hashlib.sha256(name.encode()).hexdigest()[:TOKEN_CHARACTERS]


def task_of(answer, picture):
    """Return the started task's ARN; UploadError with ECS's own reason if there is none.

    A refusal such as RESOURCE:MEMORY comes in the answer, not as an exception: unread, the picture would be
    lost in silence. Raised, it shows in the log, counts as an error, and Lambda tries again.
    """
    if answer.get("tasks"):
        return answer["tasks"][0]["taskArn"]
    reasons = [
        " ".join(filter(None, (each.get("reason"), each.get("detail"))))
        for each in answer.get("failures", [])
    ]
    raise UploadError(f"ECS started no task for {picture}: {'; '.join(reasons) or 'and gave no reason'}")


def log(what, **facts):
    """Print one line of JSON, which CloudWatch Logs can search by its members."""
    print(json.dumps({"what": what, **facts}, ensure_ascii=False))
