"""The AWS CLI in a learner's shell: nothing of ours between it and the local AWS but the variables of `workshop up
--export`.

Not a test. The CLI is the one that requirements/awscli.txt pins, in an environment of its own with a botocore of
its own; WORKSHOP_TEST_AWS names another one, such as version 2, which no package registry for Python has.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from workshop.settings import Settings

VENVS = Path(__file__).parents[2] / ".venvs"
PINNED = VENVS / "awscli" / "bin" / "aws"
WORKSHOP = VENVS / "workshop" / "bin" / "workshop"
TIMEOUT_SECONDS = 120
# What a learner's machine may hold and what must not lead a call to a real account.
LEFT_BEHIND = {
    "AWS_PROFILE": "production",
    "AWS_SESSION_TOKEN": "of-a-real-account",
    "AWS_ENDPOINT_URL_S3": "https://s3.us-east-1.amazonaws.com",
    "AWS_ENDPOINT_URL_ECS": "https://ecs.us-east-1.amazonaws.com",
}
CONFIG = "[default]\nregion = ap-south-2\nendpoint_url = https://example.invalid\n"
CREDENTIALS = "[default]\naws_access_key_id = AKIAREALACCOUNT\naws_secret_access_key = real\n"


def aws_folder() -> Path:
    """The folder of the AWS CLI that tests type with."""
    aws = Path(os.environ.get("WORKSHOP_TEST_AWS", PINNED))
    assert aws.exists(), f"there is no {aws}: `make test` sets it up"
    return aws.parent


class Cli:
    """Runs `aws …` in the repository's folder, as a learner would who has typed the eval line."""

    def __init__(self, settings: Settings, home: Path) -> None:
        self.settings = settings
        self.copied: dict[str, str] = {}  # outputs of stacks, which a learner copies once
        (home / ".aws").mkdir(parents=True)
        (home / ".aws" / "config").write_text(CONFIG)
        (home / ".aws" / "credentials").write_text(CREDENTIALS)
        before = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        before |= {"HOME": str(home), **LEFT_BEHIND, **settings.environment()}
        before["PATH"] = f"{WORKSHOP.parent}:{aws_folder()}:{before['PATH']}"
        self.environment = _after('eval "$(workshop up --export)" && test -n "$AWS_ENDPOINT_URL"', before)

    def shell(self, line: str) -> str:
        """What a line of shell prints; fails the test if it fails."""
        ended = self._run(line)
        assert ended.returncode == 0, f"{line}\n{ended.stdout}{ended.stderr}"
        return ended.stdout.strip()

    def refused(self, line: str) -> str:
        """What a line says that must fail; version 1 ends with 255, version 2 with 254."""
        ended = self._run(line)
        assert ended.returncode in (254, 255), f"{line}\n{ended.stdout}{ended.stderr}"
        return ended.stderr.strip()

    def _run(self, line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.settings.root,
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_SECONDS,
        )

    def text(self, line: str) -> str:
        return self.shell(f"aws {line} --output text")

    def json(self, line: str) -> Any:
        return json.loads(self.shell(f"aws {line} --output json") or "null")

    def stack(self, concern: str) -> str:
        return f"{self.settings.name}-{concern}"


def _after(line: str, before: dict[str, str]) -> dict[str, str]:
    """The variables of a shell after a line of it."""
    ended = subprocess.run(
        ["bash", "-c", f"{line} && env -0"], env=before, capture_output=True, timeout=TIMEOUT_SECONDS
    )
    assert ended.returncode == 0, ended.stderr.decode()
    pairs = ended.stdout.decode().rstrip("\0").split("\0")
    return dict(pair.partition("=")[::2] for pair in pairs)
