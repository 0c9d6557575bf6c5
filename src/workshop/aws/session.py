"""Connect to AWS: the local one, unless the target says otherwise.

Try it:  python -c "from workshop.aws import session; session.guard()"
With target `local`, credentials are the local ones whatever profiles, variables or instance roles this
machine holds, and `endpoint.py` has verified that the endpoint is on this machine. With target `aws`, boto3's
usual chain decides.
Knows no service: it hands out clients.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import ContainerProvider, CredentialResolver
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from workshop import task_metadata
from workshop.aws.endpoint import TRAINING_JOB, credentials_address, local_endpoint, refuse_endpoints
from workshop.aws.failures import NO_ANSWER
from workshop.errors import TargetError
from workshop.settings import Settings, load

LOCAL_KEY = LOCAL_SECRET = "local"
CONNECT_SECONDS, READ_SECONDS = 5, 60
ATTEMPTS = {"local": 2, "aws": 5}  # nothing throttles the local AWS: one that is down is told at once
# botocore's form: (name in the config file, variable, default, conversion). None: not read from there.
ISOLATED: Any = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "ignore_configured_endpoint_urls": (None, None, True, None),
}


@dataclass(frozen=True)
class Aws:
    """An AWS to talk to. endpoint is None on the real one; name is the prefix of every stack."""

    target: str
    endpoint: str | None
    region: str
    account: str
    name: str
    settings: Settings
    session: Any = field(repr=False, compare=False)
    _clients: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def is_local(self) -> bool:
        return self.target == "local"

    def client(self, service: str) -> Any:
        """The boto3 client of a service, made once. Clients may be used from several threads."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self.session.client(
                    service,
                    region_name=self.region,
                    endpoint_url=self.endpoint,
                    config=_config(self.target),
                )
            return self._clients[service]

    def __str__(self) -> str:
        if self.is_local:
            where = (self.endpoint or "").split("://")[-1]
            return f"local AWS at {where} · {self.region} · free"
        return f"AWS account {self.account} · {self.region} · costs money"


def connect(settings: Settings | None = None, environ: Mapping[str, str] | None = None) -> Aws:
    """Open the AWS that the settings name and ask it who we are.

    Errors: TargetError if the local AWS is not up, if a call could reach a real account unasked, or if there
    are no valid credentials for target aws.
    """
    environ = os.environ if environ is None else environ
    settings = settings or load(environ)
    endpoint = _endpoint(settings, environ)
    session = boto3.Session(
        botocore_session=_local_session(environ, endpoint) if endpoint else _aws_session(),
        region_name=settings.region,
    )
    unknown = Aws(settings.target, endpoint, settings.region, "unknown", settings.name, settings, session)
    return replace(unknown, account=_account_of_task(environ, endpoint) or _account(unknown))


_current: dict[tuple[object, ...], Aws] = {}


def current() -> Aws:
    """The connection of this process, opened on first use and again when settings or endpoint change."""
    settings = load()
    endpoint = _endpoint(settings, os.environ)
    key = (
        settings,
        endpoint,
        os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        os.environ.get("AWS_PROFILE"),
    )
    if key not in _current:
        _current.clear()
        _current[key] = connect(settings)
    return _current[key]


def guard() -> Aws:
    """First cell of a lab: print where calls go, or refuse with the remedy before any is made."""
    aws = current()
    print(aws)
    return aws


def _endpoint(settings: Settings, environ: Mapping[str, str]) -> str | None:
    if settings.target == "local":
        return local_endpoint(environ, settings.state_dir)
    refuse_endpoints(environ)
    return None


def _local_session(environ: Mapping[str, str], endpoint: str) -> botocore.session.Session:
    """A session that reads no profile, no config file and no instance metadata of this machine."""
    session = botocore.session.Session(session_vars=ISOLATED)
    if credentials_address(environ, endpoint):
        provider = ContainerProvider(environ=dict(environ))
        session.register_component("credential_provider", CredentialResolver([provider]))
    else:
        session.set_credentials(LOCAL_KEY, LOCAL_SECRET)
    return session


def _aws_session() -> botocore.session.Session:
    session = botocore.session.Session()
    session.set_config_variable("ignore_configured_endpoint_urls", True)
    return session


def _config(target: str) -> Config:
    retries: Any = {"total_max_attempts": ATTEMPTS[target], "mode": "standard"}
    if target == "aws":
        return Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries=retries,
        proxies={},  # a proxy of this machine would otherwise see, and refuse, calls to loopback
        s3={"addressing_style": "path"},  # bucket.localhost does not resolve
        inject_host_prefix=False,
        use_fips_endpoint=False,  # these two in a learner's variables would refuse an endpoint of ours
        use_dualstack_endpoint=False,
    )


def _account_of_task(environ: Mapping[str, str], endpoint: str | None) -> str:
    """The account of the ECS task or training job that this is, from what it knows of itself; '' outside of both.

    A task need not reach STS: one with an address of its own (awsvpc) has no way to it. The relative address
    of credentials is what ECS gives to tasks alone: CloudShell, whose metadata name another account, has none.
    """
    if endpoint:
        inside = bool(credentials_address(environ, endpoint))
    else:
        inside = bool(environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))
    arn = environ.get(TRAINING_JOB, "").split(":")
    if inside and len(arn) > 5:
        return arn[4]
    return task_metadata.account(environ) if inside else ""


def _account(aws: Aws) -> str:
    try:
        return str(aws.client("sts").get_caller_identity()["Account"])
    except NoCredentialsError as error:
        raise TargetError(
            "the target is aws, and there are no AWS credentials here",
            "aws configure sso, then aws sso login",
        ) from error
    except (BotoCoreError, ClientError) as error:
        if not aws.is_local and isinstance(error, NO_ANSWER):
            raise TargetError(
                f"AWS does not answer: {error}", "check the network, or stay local: --target local"
            ) from error
        if aws.is_local:
            raise TargetError(
                f"the local AWS at {aws.endpoint} does not answer: {error}", "workshop up"
            ) from error
        raise TargetError(
            f"AWS does not accept these credentials: {error}",
            "aws sso login, or choose a profile: AWS_PROFILE=…",
        ) from error
