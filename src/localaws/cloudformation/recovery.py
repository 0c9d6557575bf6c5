"""What a killed server left half done in CloudFormation, told as it is.

Try it:  start a stack, kill -9 the server, start it again, and describe the stack
Tasks and services are `ecs`'s to bring back; objects and records come back by themselves.
"""

import logging
from typing import Any

logger = logging.getLogger("localaws")

REASON = "The local AWS was stopped during this operation"
AFTERWARDS = {
    "CREATE_IN_PROGRESS": "CREATE_FAILED",
    "ROLLBACK_IN_PROGRESS": "ROLLBACK_FAILED",
    "UPDATE_IN_PROGRESS": "UPDATE_FAILED",
    "UPDATE_ROLLBACK_IN_PROGRESS": "UPDATE_ROLLBACK_FAILED",
    "DELETE_IN_PROGRESS": "DELETE_FAILED",
}


def recover_stacks(cloudformation: Any) -> list[str]:
    """Mark stacks whose operation nobody carries on as failed, so that they can be deleted; returns their
    names.

    cloudformation: ministack's service, with its stacks restored.
    """
    failed = []
    for stack in cloudformation._stacks.all_values():
        status = AFTERWARDS.get(stack.get("StackStatus", ""))
        if status:
            stack |= {"StackStatus": status, "StackStatusReason": REASON}
            failed.append(stack["StackName"])
            logger.warning("stack %s is %s: %s", stack["StackName"], status, REASON)
    return failed
