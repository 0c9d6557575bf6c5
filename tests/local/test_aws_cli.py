"""What the AWS CLI does beyond the labs' own lines, as the account's administrator: services, capacity, functions."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_world import Cli
from ecs_world import World, wait_until
from enforced_world import INSTANCES, enforced_world

from workshop.settings import load

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
FARGATE = "--launch-type FARGATE"
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with enforced_world(tmp_path_factory.mktemp("cli")) as made:
        yield made


@pytest.fixture(scope="module")
def cli(aws: World, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    settings = load({}, state_dir=aws.folder, port=aws.port, region="us-east-1")
    return Cli(settings, tmp_path_factory.mktemp("home"))


def test_service_is_made_stable_changed_and_taken_away(aws: World, cli: Cli) -> None:
    aws.register(aws.container(SLEEP), family="served")
    aws.register(aws.container(SLEEP), family="served")
    how = f"--cluster c --service-name s --task-definition served:1 --desired-count 1 {FARGATE}"
    assert cli.text(f"ecs create-service {how} --query service.status") == "ACTIVE"
    arn = wait_until(lambda: aws.ecs.list_tasks(cluster="c", serviceName="s")["taskArns"])[0]
    aws.running(arn)
    cli.shell("aws ecs wait services-stable --cluster c --services s")
    cli.shell("aws ecs update-service --cluster c --service s --task-definition served:2 --desired-count 0")
    query = "services[0].[taskDefinition,desiredCount]"
    definition, desired = cli.json(f"ecs describe-services --cluster c --services s --query '{query}'")
    assert definition.endswith("served:2") and desired == 0
    assert cli.text("ecs list-services --cluster c --query serviceArns").endswith(":service/c/s")
    cli.shell("aws ecs delete-service --cluster c --service s")
    cli.shell("aws ecs wait services-inactive --cluster c --services s")


def test_error_names_its_code(cli: Cli) -> None:
    said = cli.refused("aws ecs list-tasks --cluster none")
    assert "(ClusterNotFoundException) when calling the ListTasks operation: Cluster not found." in said
    said = cli.refused("aws ecs start-task --cluster c --task-definition x --container-instances y")
    assert "UnsupportedFeatureException" in said and "StartTask" in said
    said = cli.refused("aws eks list-clusters")
    assert "does not emulate eks" in said


def test_group_grows_and_instance_is_drained(aws: World, cli: Cli) -> None:
    data = json.dumps({"InstanceType": "m5.large", "IamInstanceProfile": {"Name": INSTANCES}})
    cli.shell(
        f"aws ec2 create-launch-template --launch-template-name type --launch-template-data '{data}'",
    )
    cli.shell(
        "aws autoscaling create-auto-scaling-group --auto-scaling-group-name g --min-size 0 --max-size 3 "
        "--desired-capacity 1 --availability-zones us-east-1a --launch-template LaunchTemplateName=type"
    )
    query = "AutoScalingGroups[0].AutoScalingGroupARN"
    arn = cli.text(f"autoscaling describe-auto-scaling-groups --query '{query}'")
    cli.shell(
        f"aws ecs create-capacity-provider --name p --auto-scaling-group-provider autoScalingGroupArn={arn}"
    )
    cli.shell(
        "aws ecs put-cluster-capacity-providers --cluster c --capacity-providers p "
        "--default-capacity-provider-strategy capacityProvider=p"
    )
    cli.shell("aws autoscaling set-desired-capacity --auto-scaling-group-name g --desired-capacity 2")
    listed = cli.text("ecs list-container-instances --cluster c --query containerInstanceArns").split()
    assert len(listed) == 2
    query = "containerInstances[0].attributes[?name=='ecs.instance-type'].value"
    which = f"--cluster c --container-instances {listed[0]}"
    assert cli.text(f'ecs describe-container-instances {which} --query "{query}"') == "m5.large"
    query = "containerInstances[0].status"
    changed = f"ecs update-container-instances-state --cluster c --container-instances {listed[0]}"
    assert cli.text(f"{changed} --status DRAINING --query '{query}'") == "DRAINING"
    active = "ecs list-container-instances --cluster c --status ACTIVE --query containerInstanceArns"
    assert cli.text(active) == listed[1]
    cli.shell("aws autoscaling set-desired-capacity --auto-scaling-group-name g --desired-capacity 0")
    assert cli.json("ecs list-container-instances --cluster c")["containerInstanceArns"] == []


def test_machine_images_are_found_by_name_and_by_path(cli: Cli) -> None:
    place = "/aws/service/ecs/optimized-ami/amazon-linux-2023"
    image = cli.text(f"ssm get-parameter --name {place}/recommended/image_id --query Parameter.Value")
    assert image.startswith("ami-")
    query = "Parameters[?Type=='String'].Name"
    names = cli.text(f'ssm get-parameters-by-path --path {place} --recursive --query "{query}"').split()
    assert f"{place}/gpu/recommended/image_id" in names


def test_files_go_to_s3_and_come_back_as_they_were(cli: Cli, tmp_path: Path) -> None:
    here, back = tmp_path / "here", tmp_path / "back"
    (here / "sub").mkdir(parents=True)
    (here / "a.bin").write_bytes(bytes(range(256)) * 40_000)  # above 8 MB the CLI sends parts
    (here / "sub" / "ümlaut 1.txt").write_text("é")
    cli.shell("aws s3 mb s3://by-hand")
    cli.shell(f"aws s3 sync {here} s3://by-hand/x --no-progress")
    assert cli.shell(f"aws s3 sync {here} s3://by-hand/x") == ""  # nothing to do
    assert cli.shell("aws s3 ls s3://by-hand/x/ --recursive --summarize").endswith(str(256 * 40_000 + 2))
    cli.shell(f"aws s3 cp s3://by-hand/x {back} --recursive --no-progress")
    assert {each.relative_to(back): each.read_bytes() for each in back.rglob("*.*")} == {
        each.relative_to(here): each.read_bytes() for each in here.rglob("*.*")
    }
    head = "s3api head-object --bucket by-hand --key x/a.bin --query ContentLength"
    assert cli.json(head) == 256 * 40_000
    cli.shell("aws s3 rb s3://by-hand --force")
    assert "NoSuchBucket" in cli.refused("aws s3 ls s3://by-hand")


def test_function_is_made_waited_for_invoked_and_heard_by_a_rule(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("def handler(event, context):\n    return {'said': event['word']}\n")
    cli.shell(f"cd {tmp_path} && python3 -m zipfile -c f.zip f.py")
    trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
    cli.shell(f"aws iam create-role --role-name f --assume-role-policy-document '{trust}'")
    role = cli.text("iam get-role --role-name f --query Role.Arn")
    arn = cli.text(
        f"lambda create-function --function-name f --role {role} --runtime python3.11 --handler f.handler "
        f"--zip-file fileb://{tmp_path}/f.zip --query FunctionArn"
    )
    cli.shell("aws lambda wait function-active --function-name f")
    answer = tmp_path / "answer.json"
    (tmp_path / "event.json").write_text('{"word": "miau"}')
    sent = f"--payload fileb://{tmp_path}/event.json {answer} --query StatusCode"
    status = cli.text(f"lambda invoke --function-name f {sent}")
    assert (status, json.loads(answer.read_text())) == ("200", {"said": "miau"})
    cli.shell("aws events put-rule --name r --schedule-expression 'rate(1 day)'")
    cli.shell(f"aws events put-targets --rule r --targets Id=f,Arn={arn}")
    assert cli.text("events list-targets-by-rule --rule r --query 'Targets[].Arn'") == arn


def test_log_is_read_by_stream_by_pattern_and_page_by_page(aws: World, cli: Cli) -> None:
    task = aws.run(aws.container("print('one'); print('two'); print('three')"))
    aws.stopped(task)
    group = "--log-group-name /tasks"
    newest = "--order-by LastEventTime --descending --query 'logStreams[0].logStreamName'"
    stream = cli.text(f"logs describe-log-streams {group} {newest}")
    assert stream == f"t/app/{task.rpartition('/')[2]}"
    asked = f"logs filter-log-events {group} --log-stream-names {stream} --query 'events[].message'"
    assert cli.json(f"{asked} --page-size 1") == ["one", "two", "three"]
    assert cli.json(f"{asked} --filter-pattern two") == ["two"]


def test_log_is_followed_as_lab_3_does(aws: World, cli: Cli) -> None:
    if cli.shell("aws --version").startswith("aws-cli/1."):
        pytest.skip("version 1 of the AWS CLI has no `logs tail`; WORKSHOP_TEST_AWS names a version 2")
    aws.stopped(aws.run(aws.container("print('tailed')")))
    assert cli.shell("aws logs tail /tasks --since 5m --format short").endswith(" tailed")
