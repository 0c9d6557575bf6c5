"""What the templates' resources cost, computed from the templates before anything is made.

Try it:  python -c "from workshop.aws import costs; print(costs.estimate(['cluster'], minutes=60).table())"
Prices are those of cloudformation/prices.toml: recalled list prices, so everything is an estimate. What is
paid by the hour comes from the resources, what is paid by use from that file's assumptions. A lab that makes
something beside its stack, by SageMaker's own calls, is in BESIDE. Asks AWS nothing: `running_costs` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workshop.aws import task_definitions, templates
from workshop.aws.prices import Book
from workshop.aws.stacks import COURSE
from workshop.aws.templates import Template
from workshop.errors import AwsError

MINUTES_PER_MONTH = 730 * 60  # AWS's month of hourly prices has 730 hours
ZONES = 2  # that the network has a subnet in
SERVICE_SUFFIX = "-service"  # of a stack, after the family that it runs

# Types that cost nothing in themselves; a type that is neither here nor in PRICED is named in the notes.
FREE = frozenset(
    {
        "AWS::ApiGateway::Account",
        "AWS::ApiGateway::ApiKey",
        "AWS::ApiGateway::Deployment",
        "AWS::ApiGateway::GatewayResponse",
        "AWS::ApiGateway::Method",
        "AWS::ApiGateway::Model",
        "AWS::ApiGateway::RequestValidator",
        "AWS::ApiGateway::Resource",
        "AWS::ApiGateway::Stage",  # its cache would cost by the hour, and the course has none
        "AWS::ApiGateway::UsagePlan",
        "AWS::ApiGateway::UsagePlanKey",
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::EC2::InternetGateway",
        "AWS::EC2::LaunchTemplate",
        "AWS::EC2::Route",
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::Subnet",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPC",
        "AWS::EC2::VPCEndpoint",  # of type Gateway, the only one in the course
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::ECS::CapacityProvider",
        "AWS::ECS::Cluster",
        "AWS::ECS::ClusterCapacityProviderAssociations",
        "AWS::ElasticLoadBalancingV2::Listener",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "AWS::Events::Rule",  # events of AWS's own services are free
        "AWS::IAM::InstanceProfile",
        "AWS::IAM::OIDCProvider",
        "AWS::IAM::Role",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::Permission",
        "AWS::S3::BucketPolicy",
        "AWS::SageMaker::EndpointConfig",
        "AWS::SageMaker::Model",
        "AWS::SageMaker::ModelPackageGroup",
    }
)


@dataclass(frozen=True)
class Item:
    """One line of an estimate: quantity is in unit, for the whole time."""

    what: str
    quantity: float
    unit: str
    usd: float


@dataclass(frozen=True)
class Cost:
    """An estimate for a number of minutes; notes say what it leaves out or takes from elsewhere."""

    items: tuple[Item, ...]
    minutes: float
    region: str
    as_of: str
    notes: tuple[str, ...] = field(default=())

    @property
    def usd(self) -> float:
        return sum(item.usd for item in self.items)

    @property
    def usd_per_hour(self) -> float:
        """What it goes on costing while it stands."""
        return self.usd * 60 / self.minutes if self.minutes else 0.0

    def __str__(self) -> str:
        amount = f"about {self.usd:.2f} USD for {self.minutes:g} minutes in {self.region}"
        return f"{amount} (estimate, prices of {self.as_of})"

    def table(self, least_usd: float = 0.0) -> str:
        """The estimate as lines of text, dearest first; what costs less than `least_usd` is in the total alone."""
        rows = sorted((item for item in self.items if item.usd >= least_usd), key=lambda item: -item.usd)
        widest = max((len(row.what) for row in rows), default=0)
        lines = [
            f"{row.what:<{max(widest, 44)}} {row.quantity:>10.3f} {row.unit:<12} {row.usd:>9.4f} USD"
            for row in rows
        ]
        return "\n".join([*lines, f"total: {self}", *(f"note: {note}" for note in self.notes)])


def estimate(
    what: str | Path | Iterable[str | Path] = COURSE,
    minutes: float = 60.0,
    region: str = "us-east-1",
    root: Path | None = None,
    beside: bool = True,
    **parameters: str,
) -> Cost:
    """Estimate what templates cost while they stand for some minutes.

    what: concerns or template paths. beside: with what a lab makes beside its stack. parameters: as they would be given
    to the stacks, such as Compute='gpu'.
    Errors: AwsError for a template or a type of instance that there is no price for.
    """
    if minutes < 0:
        raise AwsError(f"an estimate is for 0 minutes or more, not {minutes:g}")
    wanted = [what] if isinstance(what, str | Path) else list(what)
    book = Book.read(region, root)
    items: list[Item] = []
    notes = list(book.notes)
    for name in wanted:
        template = templates.read(name, root, **parameters)
        for logical_id, resource in template.resources.items():
            kind = resource["Type"]
            if kind in PRICED:
                items += PRICED[kind](logical_id, template.resolve(resource), template, book, minutes)
            elif kind not in FREE:
                notes.append(f"{logical_id} ({kind}) has no price here and is left out")
        if beside and template.name in BESIDE:
            items += BESIDE[template.name](book, minutes)
        if template.values.get("UseSpot") == "yes":
            notes.append("Spot instances usually cost about a third of what is counted here")
    return Cost(tuple(items), minutes, book.region, book.as_of, tuple(notes))


_Resource = Mapping[str, Any]


def _instances(name: str, resource: _Resource, template: Template, book: Book, minutes: float) -> list[Item]:
    """Instances, their disks and their public addresses, as many as the group begins with."""
    group = resource["Properties"]
    count = int(group.get("DesiredCapacity", group.get("MinSize", 0)))
    launch = next(
        template.resolve(each)["Properties"]["LaunchTemplateData"]
        for each in template.resources.values()
        if each["Type"] == "AWS::EC2::LaunchTemplate"
    )
    instance_type = launch["InstanceType"]
    hours = count * minutes / 60
    gib = sum(int(disk["Ebs"]["VolumeSize"]) for disk in launch.get("BlockDeviceMappings", []))
    gib_months = count * gib * minutes / MINUTES_PER_MONTH
    return [
        Item(f"{name}: {count} x {instance_type}", hours, "hours", hours * book.instance_hour(instance_type)),
        Item(
            f"{name}: {count} x {gib} GiB disk",
            gib_months,
            "GiB-months",
            gib_months * book.prices["ebs_gp3_gib_month"],
        ),
        Item(f"{name}: {count} x public IPv4", hours, "hours", hours * book.prices["public_ipv4_hour"]),
    ]


def _stored(assumption: str, price: str) -> Callable[..., list[Item]]:
    """Something that is paid by the GiB and month."""

    def price_it(
        name: str, resource: _Resource, template: Template, book: Book, minutes: float
    ) -> list[Item]:
        gib_months = book.assumed[assumption] * minutes / MINUTES_PER_MONTH
        return [Item(name, gib_months, "GiB-months", gib_months * book.prices[price])]

    return price_it


def _logs(name: str, resource: _Resource, template: Template, book: Book, minutes: float) -> list[Item]:
    gib = book.assumed["log_group_gib"]
    return [Item(name, gib, "GiB written", gib * book.prices["logs_gib"])]


def _function(name: str, resource: _Resource, template: Template, book: Book, minutes: float) -> list[Item]:
    calls = book.assumed["function_calls"]
    gib_seconds = (
        calls * book.assumed["function_call_seconds"] * int(resource["Properties"]["MemorySize"]) / 1024
    )
    usd = (
        calls * book.prices["lambda_million_requests"] / 1e6 + gib_seconds * book.prices["lambda_gib_second"]
    )
    return [Item(name, calls, "calls", usd)]


def _hourly(
    price: str, what: str, count: Callable[[_Resource], int] = lambda resource: 1
) -> Callable[..., list[Item]]:
    """Something that is paid by the hour while it stands, however little it does."""

    def price_it(
        name: str, resource: _Resource, template: Template, book: Book, minutes: float
    ) -> list[Item]:
        hours = count(resource) * minutes / 60
        return [Item(f"{name}: {count(resource)} x {what}", hours, "hours", hours * book.prices[price])]

    return price_it


def _load_balancer(
    name: str, resource: _Resource, template: Template, book: Book, minutes: float
) -> list[Item]:
    """Its hours, what goes through it, and a public address in each of its two zones."""
    units = book.assumed["load_balancer_capacity"] * minutes / 60
    return [
        *_hourly("load_balancer_hour", "load balancer")(name, resource, template, book, minutes),
        Item(
            f"{name}: capacity used", units, "LCU-hours", units * book.prices["load_balancer_capacity_hour"]
        ),
        *_hourly("public_ipv4_hour", "public IPv4", lambda _: ZONES)(name, resource, template, book, minutes),
    ]


def _nat_gateway(
    name: str, resource: _Resource, template: Template, book: Book, minutes: float
) -> list[Item]:
    """Its hours and what goes through it; its address is a resource of its own."""
    gib = book.assumed["nat_gateway_gib"]
    return [
        *_hourly("nat_gateway_hour", "NAT gateway")(name, resource, template, book, minutes),
        Item(f"{name}: traffic", gib, "GiB", gib * book.prices["nat_gateway_gib"]),
    ]


def _service(name: str, resource: _Resource, template: Template, book: Book, minutes: float) -> list[Item]:
    """The tasks of a service on Fargate, as many as it never goes below, of the size in their definition."""
    family = template.name.removesuffix(SERVICE_SUFFIX)
    definition = task_definitions.read(family, book.root)
    vcpu, gib = int(definition["cpu"]) / 1024, int(definition["memory"]) / 1024
    count = int(template.values["MinTasks"])
    hours = count * minutes / 60
    return [
        Item(
            f"{name}: {count} x {vcpu:g} vCPU of Fargate",
            hours * vcpu,
            "vCPU-hours",
            hours * vcpu * book.prices["fargate_vcpu_hour"],
        ),
        Item(
            f"{name}: {count} x {gib:g} GiB of Fargate",
            hours * gib,
            "GiB-hours",
            hours * gib * book.prices["fargate_gib_hour"],
        ),
    ]


def _alarms(count: int) -> Callable[..., list[Item]]:
    def price_it(
        name: str, resource: _Resource, template: Template, book: Book, minutes: float
    ) -> list[Item]:
        months = count * minutes / MINUTES_PER_MONTH
        return [Item(f"{name}: {count} x alarm", months, "months", months * book.prices["alarm_month"])]

    return price_it


def _api(name: str, resource: _Resource, template: Template, book: Book, minutes: float) -> list[Item]:
    calls = book.assumed["api_requests"]
    return [Item(name, calls, "requests", calls * book.prices["api_million_requests"] / 1e6)]


def _endpoint(name: str, resource: _Resource, template: Template, book: Book, minutes: float) -> list[Item]:
    """The instances of every variant of the endpoint configuration in the same template."""
    return [
        item
        for each in template.resources.values()
        if each["Type"] == "AWS::SageMaker::EndpointConfig"
        for variant in template.resolve(each)["Properties"]["ProductionVariants"]
        for item in hosting(
            f"{name}: {variant['VariantName']}",
            variant["InstanceType"],
            int(variant.get("InitialInstanceCount", 1)),
            book,
            minutes,
        )
    ]


def hosting(name: str, instance_type: str, count: int, book: Book, minutes: float) -> list[Item]:
    """The instances of an endpoint: paid as long as it is there, asked or not."""
    hours = count * minutes / 60
    usd = hours * book.sagemaker_hour(instance_type)
    return [Item(f"{name}: {count} x {instance_type}", hours, "hours", usd)]


def _trained_and_hosted(book: Book, minutes: float) -> list[Item]:
    """What lab 8 makes: training jobs, paid for as long as they train, and an endpoint for the whole time."""
    kind = "ml.m5.large"
    hours = book.assumed["training_job_minutes"] / 60
    training = Item(f"training jobs: {kind}", hours, "hours", hours * book.sagemaker_hour(kind))
    return [training, *hosting("endpoint", kind, 1, book, minutes)]


BESIDE: Mapping[str, Callable[[Book, float], list[Item]]] = {"satisfaction": _trained_and_hosted}
"""By the stack that it stands beside."""
PRICED: Mapping[str, Callable[..., list[Item]]] = {
    "AWS::ApiGateway::RestApi": _api,
    "AWS::ApplicationAutoScaling::ScalingPolicy": _alarms(2),  # target tracking makes two of its own
    "AWS::AutoScaling::AutoScalingGroup": _instances,
    "AWS::CloudWatch::Alarm": _alarms(1),
    "AWS::EC2::EIP": _hourly("public_ipv4_hour", "public IPv4"),
    "AWS::EC2::NatGateway": _nat_gateway,
    "AWS::ECS::Service": _service,
    "AWS::ECR::Repository": _stored("repository_gib", "ecr_gib_month"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _load_balancer,
    "AWS::Lambda::Function": _function,
    "AWS::Logs::LogGroup": _logs,
    "AWS::S3::Bucket": _stored("bucket_gib", "s3_gib_month"),
    "AWS::SageMaker::Endpoint": _endpoint,
}
