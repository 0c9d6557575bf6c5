"""Estimates come from the templates themselves, and say what they leave out."""

import json
import tomllib
from pathlib import Path

import pytest

from workshop.aws import costs, prices, stacks, templates
from workshop.errors import AwsError

ROOT = Path(__file__).resolve().parents[2]
BOOK = tomllib.loads((ROOT / "cloudformation" / "prices.toml").read_text())


def estimate(*what, **options):
    return costs.estimate(what or stacks.COURSE, root=ROOT, **options)


def test_an_hour_of_the_cluster_is_its_instance_its_disk_and_its_address():
    prices = BOOK["regions"]["us-east-1"]
    disk = 60 * prices["ebs_gp3_gib_month"] / 730
    expected = prices["instance_hour"]["m6i.xlarge"] + disk + prices["public_ipv4_hour"]
    assert estimate("cluster", minutes=60).usd == pytest.approx(expected)


def test_cost_grows_with_time_and_with_instances():
    once = estimate("cluster", minutes=30).usd
    assert estimate("cluster", minutes=60).usd == pytest.approx(2 * once)
    assert estimate("cluster", minutes=30, DesiredInstances="2").usd == pytest.approx(2 * once)
    assert estimate("cluster", minutes=60, DesiredInstances="0").usd == 0
    assert estimate("cluster", minutes=60).usd_per_hour == pytest.approx(2 * once)


def test_a_gpu_costs_what_its_type_costs():
    cpu = estimate("cluster", minutes=60)
    gpu = estimate("cluster", minutes=60, Compute="gpu", GpuInstanceType="g6.xlarge")
    prices = BOOK["regions"]["us-east-1"]["instance_hour"]
    assert gpu.usd - cpu.usd == pytest.approx(prices["g6.xlarge"] - prices["m6i.xlarge"])
    assert "g6.xlarge" in gpu.table()


LABS_1_TO_4 = ("network", "storage", "cluster", "upload")


def test_labs_1_to_4_cost_less_than_five_dollars_for_two_and_a_half_hours_with_a_gpu():
    whole = estimate(*LABS_1_TO_4, minutes=150, Compute="gpu")
    assert 1.0 < whole.usd < 5.0
    assert whole.notes == ()


def test_the_service_with_its_door_costs_its_parts_by_the_hour():
    prices, assumed = BOOK["regions"]["us-east-1"], BOOK["assumed"]
    task = json.loads((ROOT / "task-definitions" / "sentiment.json").read_text())
    fargate = (
        int(task["cpu"]) * prices["fargate_vcpu_hour"] + int(task["memory"]) * prices["fargate_gib_hour"]
    ) / 1024
    door = (
        prices["load_balancer_hour"] + prices["load_balancer_capacity_hour"] + 2 * prices["public_ipv4_hour"]
    )
    way_out = prices["nat_gateway_hour"] + prices["public_ipv4_hour"]
    traffic = assumed["nat_gateway_gib"] * prices["nat_gateway_gib"]
    alarms = 8 * prices["alarm_month"] / 730  # four of the door, two of the service, two of its scaling
    expected = fargate + door + way_out + traffic + alarms
    whole = estimate("private-network", "sentiment", "sentiment-service", minutes=60)
    assert whole.usd == pytest.approx(expected) and whole.notes == ()
    assert 0.1 < whole.usd < 0.2


def test_a_service_of_three_tasks_costs_three_times_one():
    once, thrice = (estimate("sentiment-service", minutes=60, MinTasks=count) for count in ("1", "3"))
    fargate = [sum(item.usd for item in each.items if "Fargate" in item.what) for each in (once, thrice)]
    assert fargate[1] == pytest.approx(3 * fargate[0])


def test_the_whole_course_costs_less_than_five_dollars_in_four_hours_without_a_gpu():
    whole = estimate(minutes=240)
    assert 1.0 < whole.usd < 5.0 and whole.notes == ()


def test_a_network_alone_costs_nothing():
    assert estimate("network", minutes=600).usd == 0


@pytest.mark.parametrize("region", sorted(BOOK["regions"]))
def test_every_type_that_may_be_chosen_has_a_price_in_every_region(region):
    parameters = templates.read("cluster", ROOT).document["Parameters"]
    allowed = [
        kind for name in ("GpuInstanceType", "CpuInstanceType") for kind in parameters[name]["AllowedValues"]
    ]
    assert sorted(BOOK["regions"][region]["instance_hour"]) == sorted(allowed)
    assert set(BOOK["regions"][region]) == set(BOOK["regions"]["us-east-1"])


@pytest.mark.parametrize("concern", stacks.COURSE)
def test_every_resource_of_the_course_is_priced_or_known_to_be_free(concern):
    types = {each["Type"] for each in templates.read(concern, ROOT).resources.values()}
    assert types - set(costs.PRICED) - costs.FREE == set()
    assert not set(costs.PRICED) & costs.FREE


def test_a_resource_without_a_price_is_named_not_forgotten(tmp_path):
    path = tmp_path / "extra.yaml"
    path.write_text("Resources:\n  Database:\n    Type: AWS::RDS::DBInstance\n")
    assert estimate(path).notes == ("Database (AWS::RDS::DBInstance) has no price here and is left out",)


def test_an_unknown_region_is_priced_as_the_dearest_one_and_says_so():
    far = estimate("cluster", minutes=60, region="ap-south-1")
    assert far.usd == pytest.approx(estimate("cluster", minutes=60, region="eu-west-1").usd)
    assert "ap-south-1" in far.notes[0] and "eu-west-1" in far.notes[0]
    assert estimate("cluster", region="us-west-2").notes == ()


def test_what_lab_8_makes_beside_its_stack_is_counted_and_can_be_left_out():
    whole = estimate("satisfaction", minutes=120)
    bare = estimate("satisfaction", minutes=120, beside=False)
    hour = BOOK["regions"]["us-east-1"]["sagemaker_hour"]["ml.m5.large"]
    training = BOOK["assumed"]["training_job_minutes"] / 60
    assert whole.usd - bare.usd == pytest.approx((2 + training) * hour)
    assert bare.usd < 0.02 and whole.notes == ()


def test_an_endpoint_in_a_template_costs_its_instances_by_the_hour(tmp_path):
    path = tmp_path / "hosted.yaml"
    path.write_text(
        "Resources:\n"
        "  Configuration:\n    Type: AWS::SageMaker::EndpointConfig\n    Properties:\n      ProductionVariants:\n"
        "        - {VariantName: A, ModelName: m, InstanceType: ml.m5.large, InitialInstanceCount: 3}\n"
        "  Endpoint:\n    Type: AWS::SageMaker::Endpoint\n"
    )
    assert estimate(path, minutes=60).usd == pytest.approx(3 * 0.115)


@pytest.mark.parametrize("region", sorted(BOOK["regions"]))
def test_the_instances_of_training_jobs_have_a_price_in_every_region(region):
    from workshop.aws.training_requests import INSTANCE_TYPE

    assert prices.Book.read(region, ROOT).sagemaker_hour(INSTANCE_TYPE) > 0.1


def test_spot_is_counted_at_the_full_price_and_says_so():
    spot = estimate("cluster", minutes=60, UseSpot="yes")
    assert spot.usd == estimate("cluster", minutes=60).usd
    assert any("Spot" in note for note in spot.notes)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"GpuInstanceType": "p5.48xlarge", "Compute": "gpu"}, "p5.48xlarge"),
        ({"minutes": -1}, "-1"),
    ],
)
def test_what_has_no_price_is_refused_by_name(options, named):
    with pytest.raises(AwsError, match=named):
        estimate("cluster", **options)


def test_a_template_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(AwsError, match="cluster, deploy-role, network"):
        estimate("clutser")


def test_the_estimate_says_that_it_is_one():
    assert "estimate" in str(estimate("cluster", minutes=60))
    assert BOOK["about"]["as_of"] in str(estimate("cluster", minutes=60))
    assert "recalled" in BOOK["about"]["source"]
