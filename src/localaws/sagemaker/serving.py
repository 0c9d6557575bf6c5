"""The containers of one deployment of an endpoint: from its variants as they are written down to what starts them.

Try it:  aws logs describe-log-streams --log-group-name /aws/sagemaker/Endpoints/NAME
Log group and streams: https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html. Knows nothing of
endpoints' states.
"""

from collections.abc import Callable

from localaws.engine import EngineError
from localaws.sagemaker.context import Context
from localaws.sagemaker.hosting import NotServing, VariantPlan
from localaws.sagemaker.modelservers import Model, ModelServer
from localaws.sagemaker.store import Record
from localaws.sagemaker.variants import Served

GROUP = "/aws/sagemaker/Endpoints/"


class Serving:
    """What a deployment's containers are started from."""

    def __init__(self, context: Context, served: Served, deployment: Record) -> None:
        self._served = served
        self._models = {
            each["name"]: Model(
                context,
                f"{served.name}-{each['name']}",
                each["container"],
                each["role_arn"],
                each["instance_type"],
            )
            for each in deployment["variants"]
        }
        self._variants = deployment["variants"]

    def prepare(self) -> list[VariantPlan]:
        """Pull images, fetch models.

        Errors: NotServing.
        """
        for model in self._models.values():
            try:
                model.prepare()
            except EngineError as error:
                raise NotServing(error.message) from error
        return [
            VariantPlan(
                each["name"],
                each["weight"],
                each["count"],
                self._launch(each["name"]),
                each["routing"],
                each["startup_seconds"],
            )
            for each in self._variants
        ]

    def _launch(self, variant: str) -> Callable[[str], ModelServer]:
        model, served = self._models[variant], self._served

        def launch(instance_id: str) -> ModelServer:
            from ministack.core.responses import request_scope

            with request_scope(served.account, served.region):
                return model.launch(GROUP + served.name, f"{variant}/{instance_id}")

        return launch

    def images(self) -> dict[str, str]:
        """The images' addresses by their digests, by variant."""
        return {name: model.resolved_image for name, model in self._models.items()}

    def remove(self) -> None:
        """Give back the disk."""
        for model in self._models.values():
            model.remove()
