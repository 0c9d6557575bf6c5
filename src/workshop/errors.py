"""Errors a person can act on: what happened, why, and the command that mends it.

Try it:  workshop run no-such-job
An error of this family is printed as two lines, without a traceback, in a terminal and in a notebook; every other
exception keeps its traceback.
"""


class WorkshopError(Exception):
    """An expected failure with its remedy.

    message: one sentence that names what was found and what was expected.
    remedy: a command, or one sentence that says what to do.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"error: {self.message}" + (f"\n  fix: {self.remedy}" if self.remedy else "")

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of this error: the two lines, and not where in our code it was noticed."""
        return str(self).splitlines()


class SettingsError(WorkshopError):
    """A setting, flag or environment variable has a value that can't be used."""


class TargetError(WorkshopError):
    """The local AWS is not up, or a call would have reached a real account unasked."""


class DataError(WorkshopError):
    """Data is missing, damaged, or not what its name says."""


class JobError(WorkshopError):
    """A job's name or parameters are wrong, or its notebook failed."""


class AwsError(WorkshopError):
    """AWS, local or real, refused or failed what was asked."""


class CheckpointFailed(WorkshopError):
    """At least one check of a lab's checkpoint did not pass."""


class BusyError(WorkshopError):
    """Another run holds the place; the message says which process and since when."""
