"""Clean up after labs, and say plainly whether anything is left.

Try it:  workshop clean --all
What is deleted, and in which order, workshop.aws.cleaning knows; here is what a person is asked and told.
"""

from workshop import local
from workshop.aws import cleaning, session
from workshop.errors import AwsError, TargetError
from workshop.settings import Settings


def clean(settings: Settings, lab: int | None, yes: bool) -> None:
    """Delete what one lab made, or all (lab None), and list what is left.

    Errors: AwsError that lists the leftovers; TargetError if, on a real account, nobody confirmed.
    """
    if settings.target == "local":
        local.up(settings)
    aws = session.connect(settings)
    _confirm(aws, lab, yes)
    cleaned = cleaning.clean(lab, all=lab is None, on_line=print, aws=aws)
    if cleaned.left:
        listed = "".join(f"\n  - {leftover}" for leftover in cleaned.left)
        raise AwsError(f"{len(cleaned.left)} things of the course are left:{listed}", "workshop clean --all")
    what = "everything" if lab is None else f"what lab {lab} made"
    done = f"{len(cleaned.removed)} steps" if cleaned.removed else "there was nothing to do"
    print(
        f"cleaned {what} ({done})"
        + ("; searched by tag and by name: nothing is left" if lab in (None, 1) else "")
    )


def _confirm(aws: session.Aws, lab: int | None, yes: bool) -> None:
    """Deleting can't be taken back, so a real account's number is shown and a yes is asked for."""
    if aws.is_local or yes:
        return
    what = "everything of the course" if lab is None else f"what lab {lab} made"
    print(f"clean deletes {what} named '{aws.name}' in account {aws.account}, {aws.region}, with all results")
    try:
        answer = input("type yes to go on: ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        raise TargetError("nothing was deleted: it was not confirmed", "workshop clean --all --yes")
