"""Where REST APIs are hooked into ministack's apigateway_v1, which is imported with the first request for it.

Try it:  grep -rn "restapis" src/localaws/additions.py
Knows the order alone: what refuses stands inside of what counts, and a deployment's methods outside of both checks.
"""

from localaws.afterimport import after_import
from localaws.restapis import answers, deployments, tagging
from localaws.restapis.apimetrics import ApiMetrics

MODULE = "ministack.services.apigateway_v1"


def install(metric_seconds: float) -> None:
    """Hook in; requests are counted once there are any. metric_seconds: CloudWatch's minute here."""
    counted = ApiMetrics(metric_seconds)
    tagging.install()
    after_import(MODULE, answers.hook)
    after_import(MODULE, deployments.hook)
    after_import(MODULE, counted.hook)
