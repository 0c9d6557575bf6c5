"""A job's or an endpoint's lines in CloudWatch Logs, written with its role.

Try it:  aws logs tail /aws/sagemaker/TrainingJobs --follow
A role without rights to log has no log and no error: the job goes on, as on AWS. Knows a log group, a stream and a
role, and nothing of what writes the lines.
"""

import logging
from collections.abc import Iterable

from localaws.ecs import tasklogs
from localaws.ecs.tasklogs import Destination
from localaws.sagemaker import roles

logger = logging.getLogger("localaws.sagemaker")


class Log:
    """One stream; made when the job begins, its group with it where there is none."""

    def __init__(self, role_arn: str, group: str, stream: str) -> None:
        from ministack.core.responses import get_account_id, get_region

        self.role_arn = role_arn
        self.place: Destination | None = Destination(get_account_id(), get_region(), group, stream)

    def open(self) -> None:
        """Make group and stream, if the role may."""
        from ministack.services import cloudwatch_logs

        assert self.place
        missing = self.place.group not in cloudwatch_logs._log_groups
        wanted = ["CreateLogGroup"] * missing + ["CreateLogStream"]
        for action in wanted:
            denied = self._denied(action)
            if denied:
                logger.warning("nothing is logged to %s: %s", self.place.stream, denied)
                self.place = None
                return
        tasklogs.make(self.place, create_group=missing)

    def write(self, batches: Iterable[list[str]]) -> None:
        """Send batches of lines until they end."""
        tasklogs.forward(batches, self.place, self)

    def may_not_write(self, group_arn: str, stream: str) -> str | None:
        """Why the role may not write lines; None if it may."""
        return self._denied("PutLogEvents")

    def _denied(self, action: str) -> str | None:
        assert self.place
        arn = f"{self.place.group_arn}:log-stream:{self.place.stream if action != 'CreateLogGroup' else ''}"
        return roles.denied(self.role_arn, f"logs:{action}", arn)
