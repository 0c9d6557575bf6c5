"""The price list of one region: cloudformation/prices.toml, read.

Try it:  python -c "from workshop.aws import prices; print(prices.Book.read('eu-west-1').sagemaker_hour('ml.m5.large'))"
Knows no resource: what costs what, `costs` says.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workshop.errors import AwsError


@dataclass(frozen=True)
class Book:
    """The prices of one region, and the assumptions."""

    region: str
    prices: Mapping[str, Any]
    assumed: Mapping[str, float]
    as_of: str
    notes: tuple[str, ...]
    root: Path

    @classmethod
    def read(cls, region: str, root: Path | None = None) -> Book:
        if root is None:
            from workshop.settings import load

            root = load().root
        book = tomllib.loads((root / "cloudformation" / "prices.toml").read_text())
        notes: tuple[str, ...] = ()
        nearest = region
        if region not in book["regions"]:
            # The dearest one: an estimate that errs should err on the high side.
            nearest = max(
                book["regions"], key=lambda name: sum(book["regions"][name]["instance_hour"].values())
            )
            notes = (f"no prices of {region} here: those of {nearest} are used",)
        prices = book["regions"][nearest]
        return cls(region, prices, book["assumed"], book["about"]["as_of"], notes, root)

    def instance_hour(self, instance_type: str) -> float:
        """An EC2 instance's hour in USD. Errors: AwsError if the list has no price for the type."""
        return self._hour("instance_hour", instance_type)

    def sagemaker_hour(self, instance_type: str) -> float:
        """The same for SageMaker, where training and hosting cost the same."""
        return self._hour("sagemaker_hour", instance_type)

    def _hour(self, table: str, instance_type: str) -> float:
        prices = self.prices[table]
        if instance_type not in prices:
            raise AwsError(
                f"there is no price for {instance_type} (prices: {', '.join(sorted(prices))})",
                "add it to cloudformation/prices.toml",
            )
        return float(prices[instance_type])
