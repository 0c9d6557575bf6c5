"""Never by accident on AWS: whatever profiles, credentials and endpoints the machine holds."""

import os
from collections.abc import Iterator

import fake_sts
import pytest

from localaws import daemon
from workshop.aws import consent, endpoint, session
from workshop.errors import TargetError
from workshop.settings import Settings, load


@pytest.fixture
def sts() -> Iterator[fake_sts.Asked]:
    with fake_sts.serve() as asked:
        yield asked


@pytest.fixture
def local(tmp_path) -> Settings:
    return load({}, state_dir=tmp_path / "state")


@pytest.fixture
def aws_target(tmp_path) -> Settings:
    return load({}, state_dir=tmp_path / "state", target="aws")


@pytest.fixture
def rich_machine(monkeypatch, tmp_path) -> None:
    """A machine with everything that leads boto3 to an account."""
    config = tmp_path / "config"
    config.write_text(
        "[default]\nregion = us-west-2\nendpoint_url = https://sts.us-west-2.amazonaws.com\n"
        "aws_access_key_id = AKIAFROMCONFIG\naws_secret_access_key = x\n"
        "[profile work]\nrole_arn = arn:aws:iam::999999999999:role/admin\nsource_profile = default\n"
    )
    for name, value in {
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(config),
        "AWS_PROFILE": "work",
        "AWS_ACCESS_KEY_ID": "AKIAREALACCOUNT",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_SESSION_TOKEN": "real",
        "AWS_ENDPOINT_URL_STS": "https://sts.us-east-1.amazonaws.com",
        "AWS_ENDPOINT_URL_S3": "https://s3.us-east-1.amazonaws.com",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "HTTP_PROXY": "http://192.0.2.1:1",
        "http_proxy": "http://192.0.2.1:1",
    }.items():
        monkeypatch.setenv(name, value)


def test_rich_machine_still_calls_the_local_aws_with_local_credentials(sts, local, rich_machine):
    aws = session.connect(local, {**os.environ, "AWS_ENDPOINT_URL": sts.url})
    assert aws.account == "123456789012"
    assert len(sts.signatures) == 1
    assert "Credential=local/" in sts.signatures[0]


def test_every_local_client_has_the_one_endpoint(sts, local, rich_machine):
    aws = session.connect(local, {**os.environ, "AWS_ENDPOINT_URL": sts.url})
    for service in ("s3", "ecs", "ecr", "cloudformation", "logs", "lambda", "resourcegroupstaggingapi"):
        assert aws.client(service).meta.endpoint_url == sts.url
        assert aws.client(service) is aws.client(service)


def test_profile_that_does_not_exist_is_no_hindrance(sts, local, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert session.connect(local, {**os.environ, "AWS_ENDPOINT_URL": sts.url}).account == "123456789012"


@pytest.mark.parametrize(
    "address",
    [
        "https://ecs.us-east-1.amazonaws.com",
        "http://10.0.0.5:4566",
        "http://192.168.1.1:4566",
        "http://169.254.169.254",
        "http://127.0.0.1.example.com:4566",
        "http://localhost.localstack.cloud:4566",
        "http://127.0.0.1@example.com",
        "http://2130706433:4566",
        "http://[::ffff:8.8.8.8]:4566",
        "127.0.0.1:4566",
        "file:///127.0.0.1",
        "http://",
        "http://[bad",
    ],
)
def test_endpoint_elsewhere_is_refused_before_any_call(address, local):
    with pytest.raises(TargetError) as caught:
        session.connect(local, {"AWS_ENDPOINT_URL": address})
    assert address in caught.value.message
    assert "workshop up" in caught.value.remedy


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:4566", "http://127.1.2.3:4566/", "http://localhost:4566", "http://[::1]:4566"],
)
def test_loopback_endpoint_is_taken(address, tmp_path):
    assert endpoint.local_endpoint({"AWS_ENDPOINT_URL": address}, tmp_path) == address.rstrip("/")


@pytest.mark.parametrize(
    "address", ["http://172.17.0.1:4566", "http://host.docker.internal:4566", "http://aws:4566"]
)
def test_address_of_the_docker_host_needs_the_engines_mark(address, tmp_path):
    marked = {"AWS_ENDPOINT_URL": address, "WORKSHOP_LOCAL_AWS": "1"}
    assert endpoint.local_endpoint(marked, tmp_path) == address
    with pytest.raises(TargetError):
        endpoint.local_endpoint({"AWS_ENDPOINT_URL": address}, tmp_path)


@pytest.mark.parametrize(
    "address", ["https://sts.amazonaws.com", "http://8.8.8.8:4566", "https://vpce-1.amazonaws.com.internal"]
)
def test_the_engines_mark_does_not_open_the_way_to_aws(address, tmp_path):
    with pytest.raises(TargetError):
        endpoint.local_endpoint({"AWS_ENDPOINT_URL": address, "WORKSHOP_LOCAL_AWS": "1"}, tmp_path)


def test_local_aws_that_is_not_up_is_said_with_the_command(local, rich_machine):
    with pytest.raises(TargetError, match="not running") as caught:
        session.connect(local, {name: os.environ[name] for name in os.environ if "ENDPOINT" not in name})
    assert caught.value.remedy == "workshop up"


def test_local_aws_that_does_not_answer_is_said_with_the_command(local):
    with pytest.raises(TargetError, match="does not answer") as caught:
        session.connect(local, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    assert caught.value.remedy == "workshop up"


def test_state_file_can_not_lead_elsewhere(local, monkeypatch):
    forged = daemon.Running(1, 443, "https://sts.amazonaws.com", "process", 0.0)
    monkeypatch.setattr(daemon, "status", lambda state_dir: forged)
    with pytest.raises(TargetError, match="not on this machine"):
        session.connect(local, {})


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_target_aws_with_an_endpoint_set_is_refused(name, aws_target):
    with pytest.raises(TargetError) as caught:
        session.connect(aws_target, {name: "http://127.0.0.1:4566"})
    assert name in caught.value.message
    assert f"unset {name}" in caught.value.remedy


def test_target_aws_ignores_endpoints_of_profiles(rich_machine, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    monkeypatch.delenv("AWS_USE_FIPS_ENDPOINT")
    monkeypatch.delenv("AWS_USE_DUALSTACK_ENDPOINT")
    monkeypatch.setenv("AWS_PROFILE", "default")
    client = session._aws_session().create_client("sqs", region_name="eu-west-3")
    assert client.meta.endpoint_url == "https://sqs.eu-west-3.amazonaws.com"


def test_target_aws_without_credentials_says_how_to_sign_in(aws_target, monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with pytest.raises(TargetError, match="no AWS credentials") as caught:
        session.connect(aws_target, {})
    assert "aws sso login" in caught.value.remedy


def test_a_task_uses_the_credentials_of_its_role(sts, local):
    task = {
        "AWS_ENDPOINT_URL": sts.url,
        "ECS_CONTAINER_METADATA_URI_V4": f"{sts.url}/v4/x",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{sts.url}/credentials",
    }
    session.connect(local, task)
    assert f"Credential={fake_sts.ROLE_KEY}/" in sts.signatures[0]


def test_a_training_job_uses_the_credentials_of_its_role_and_knows_its_account(sts, local):
    job = {
        "AWS_ENDPOINT_URL": sts.url,
        "TRAINING_JOB_ARN": "arn:aws:sagemaker:us-east-1:210987654321:training-job/workshop-x",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{sts.url}/credentials",
    }
    connected = session.connect(local, job)
    assert connected.account == "210987654321" and sts.signatures == []
    assert connected.session.get_credentials().access_key == fake_sts.ROLE_KEY


@pytest.mark.parametrize(
    "given",
    [
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{sts}/credentials"},
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
            "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x",
        },
    ],
    ids=["CloudShell has an address too", "a real task's address is not ours"],
)
def test_credentials_address_that_is_not_ours_is_not_asked(given, sts, local):
    environ = {name: value.replace("{sts}", sts.url) for name, value in given.items()}
    session.connect(local, {**environ, "AWS_ENDPOINT_URL": sts.url})
    assert "Credential=local/" in sts.signatures[0]


def test_current_is_opened_once_and_again_when_the_endpoint_changes(sts, monkeypatch):
    monkeypatch.setattr(session, "_current", {})
    monkeypatch.setenv("AWS_ENDPOINT_URL", sts.url)
    first = session.current()
    assert session.current() is first
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(TargetError):
        session.current()


def test_guard_says_where_calls_go(sts, monkeypatch, capsys):
    monkeypatch.setattr(session, "_current", {})
    monkeypatch.setenv("AWS_ENDPOINT_URL", sts.url)
    monkeypatch.setenv("WORKSHOP_REGION", "eu-west-3")
    session.guard()
    assert capsys.readouterr().out == f"local AWS at {sts.url.removeprefix('http://')} · eu-west-3 · free\n"


PLAN = consent.Plan("prepare 3", ["stack workshop-cluster"], minutes=7, cost_usd=0.31)


def _account(settings: Settings) -> session.Aws:
    return session.Aws("aws", None, "eu-west-3", "999999999999", "workshop", settings, None)


def test_plan_shows_account_region_resources_minutes_and_cost(aws_target):
    shown = consent.describe(PLAN, _account(aws_target))
    for said in ("999999999999", "eu-west-3", "stack workshop-cluster", "7 minutes", "0.31 USD"):
        assert said in shown


@pytest.mark.parametrize("answer", ["", "y", "no", "nyes"])
def test_anything_but_yes_declines(answer, aws_target):
    with pytest.raises(TargetError, match="nothing was made"):
        consent.confirm(
            PLAN, _account(aws_target), ask=lambda _: answer, show=lambda _: None, interactive=True
        )


def test_typed_yes_goes_ahead(aws_target):
    consent.confirm(PLAN, _account(aws_target), ask=lambda _: "Yes ", show=lambda _: None, interactive=True)


def test_batch_without_yes_refuses_and_with_yes_goes_ahead(aws_target):
    shown: list[str] = []
    with pytest.raises(TargetError, match="nobody is here") as caught:
        consent.confirm(PLAN, _account(aws_target), show=shown.append, interactive=False)
    assert "--yes" in caught.value.remedy
    consent.confirm(PLAN, _account(aws_target), yes=True, show=shown.append, interactive=False)
    assert len(shown) == 2


def test_local_aws_asks_nothing(sts, local):
    aws = session.connect(local, {"AWS_ENDPOINT_URL": sts.url})
    consent.confirm(PLAN, aws, ask=lambda _: pytest.fail("asked"), show=lambda _: pytest.fail("shown"))
