"""How a training job's record changes: statuses, what they say, and when.

Try it:  aws sagemaker describe-training-job --training-job-name NAME --query SecondaryStatusTransitions
Statuses and messages: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SecondaryStatusTransition.html, and
what the SageMaker SDK prints of jobs. Every change goes to EventBridge. Starts nothing.
"""

import copy
from typing import Any

from localaws.sagemaker import events
from localaws.sagemaker.context import Context
from localaws.sagemaker.store import Record

PREPARING = ("Starting", "Preparing the instances for training")
INPUT = ("Downloading", "Downloading input data")
IMAGE = ("Downloading", "Downloading the training image")
TRAINING = ("Training", "Training image download completed. Training in progress.")
STOPPING = ("Stopping", "Stopping the training job")
UPLOADING = ("Uploading", "Uploading generated training model")
COMPLETED = ("Completed", "Training job completed")
FAILED = ("Failed", "Training job failed")
STOPPED = ("Stopped", "Training job stopped")
TOO_LONG = ("MaxRuntimeExceeded", "Training job runtime exceeded MaxRuntimeInSeconds provided")
ON_THE_WAY = (PREPARING, INPUT, IMAGE, TRAINING)
ENDED = ("Completed", "Failed", "Stopped")


class TrainingRecord:
    """One job's record; to be used in the account and region of the job."""

    def __init__(self, context: Context, record: Record) -> None:
        self.context = context
        self.record = record

    def step(self, step: tuple[str, str], **members: Any) -> None:
        """Enter a secondary status, or say something new within one; a last one ends as it begins.

        A job that was told to stop says of none of the steps on the way that it enters it.
        """
        status, message = step
        with self.context.store.changing:
            if step in ON_THE_WAY and self.record["TrainingJobStatus"] == "Stopping":
                return
            now, transitions = self.context.now(), self.record["SecondaryStatusTransitions"]
            if transitions[-1]["Status"] == status:
                transitions[-1]["StatusMessage"] = message
            else:
                transitions[-1]["EndTime"] = now
                transitions.append({"Status": status, "StartTime": now, "StatusMessage": message})
            self.record |= {"SecondaryStatus": status, "LastModifiedTime": now, **members}
            if self.record["TrainingJobStatus"] in ENDED:
                transitions[-1]["EndTime"] = now
            detail = copy.deepcopy(self.record)
        self.context.changed()
        events.put(events.TRAINING_JOB, detail, self.record["_arn"])

    def stopping(self) -> bool:
        """Say that the job is to stop; False if it has ended or is stopping already."""
        with self.context.store.changing:
            if self.record["TrainingJobStatus"] != "InProgress":
                return False
            self.record["TrainingJobStatus"] = "Stopping"
        self.step(STOPPING)
        return True

    def starts(self) -> None:
        """From here on the job is billed."""
        self.step(INPUT, TrainingStartTime=self.context.now())

    def note(self, members: Record) -> None:
        """Add members without a change of status."""
        with self.context.store.changing:
            self.record |= members

    def ends(self, status: str, step: tuple[str, str], members: Record) -> None:
        """The last status; times as AWS counts them, in whole seconds."""
        now = self.context.now()
        if "TrainingStartTime" in self.record:
            seconds = max(1, round(now - self.record["TrainingStartTime"]))
            members = members | {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        self.step(step, TrainingJobStatus=status, TrainingEndTime=now, **members)
