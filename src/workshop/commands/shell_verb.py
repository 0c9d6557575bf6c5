"""The verb shell: look into a running task, or into an image.

Try it:  workshop shell TASK
"""

import argparse

from workshop.commands.options import Verbs, add_verb
from workshop.errors import WorkshopError


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    shell = add_verb(
        verbs,
        common,
        "shell",
        "open a shell in a running task or in an image",
        "workshop shell TASK --command ls",
        _shell,
    )
    shell.add_argument("task", nargs="?", default="", help="its id, the beginning of it, or its family")
    shell.add_argument("-c", "--container", default="", help="which one, where the task has several")
    shell.add_argument("--command", default="", help="a shell command to run (default: a shell to type into)")
    shell.add_argument("--image", default="", help="instead of a task: a fresh container of this image")


def _shell(arguments: argparse.Namespace) -> int:
    if bool(arguments.task) == bool(arguments.image):
        raise WorkshopError("shell needs a task or an image", "workshop status; workshop shell --image mxnet")
    if arguments.image:
        from workshop.aws import image_shell

        return image_shell.open_shell(arguments.image, arguments.command)
    from workshop.aws import task_shell

    return task_shell.open_shell(arguments.task, arguments.container, arguments.command)
