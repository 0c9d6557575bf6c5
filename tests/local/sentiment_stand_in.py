"""Stands for the jobs train-sentiment and evaluate-sentiment in a real ECS task: the same command, an instant's work.

Not a test. What it does is named by its data: …/good.csv trains, exits-3.csv exits with 3 in training, no-metrics.csv
evaluates and writes nothing, slow.csv trains until it is stopped.
"""

import hashlib
import json
import signal
import sys
import threading

import boto3

ACCURACY = 0.8


def main(arguments: list[str]) -> int:
    job, output = arguments[1], arguments[-1]
    given = dict(pair.split("=", 1) for pair in arguments if "=" in pair)
    case = given["dataset"].rpartition("/")[2].removesuffix(".csv")
    print(f"stand-in {job}: {case}", flush=True)
    if job == "train-sentiment":
        return train(case, output, given)
    return evaluate(case, output, given["artefact"])


def train(case: str, output: str, given: dict[str, str]) -> int:
    if case == "exits-3":
        print("error: the stand-in was told to fail", flush=True)
        return 3
    if case == "slow":
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
        print("epoch 1/100", flush=True)
        ended.wait()
        return 143
    print("epoch 1/1 loss 0.5", flush=True)
    files = {
        name: f"{name} of {output}".encode() for name in ("model.onnx", "model.keras", "vocabulary.json")
    }
    files["labels.json"] = b'["negative", "positive"]'
    listed = {name: {"sha256": hashlib.sha256(held).hexdigest()} for name, held in files.items()}
    for name, held in files.items():
        write(f"{output}/artefact/{name}", held)
    write(f"{output}/artefact/metadata.json", json.dumps({"format": 1, "files": listed}).encode())
    write(f"{output}/run.json", json.dumps({"parameters": given}).encode())
    return 0


def evaluate(case: str, output: str, artefact: str) -> int:
    if case == "no-metrics":
        return 0
    metadata = read(f"{artefact}/metadata.json")
    metrics = {
        "accuracy": ACCURACY,
        "macro_f1": ACCURACY,
        "examples": 100,
        "data_sha256": hashlib.sha256(case.encode()).hexdigest(),
        "artefact_sha256": hashlib.sha256(metadata).hexdigest(),
    }
    write(f"{output}/metrics.json", json.dumps(metrics).encode())
    return 0


def write(address: str, content: bytes) -> None:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=content)


def read(address: str) -> bytes:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bytes(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
