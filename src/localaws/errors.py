"""What can go wrong with the local AWS, each error with its remedy.

Try it:  python -m localaws serve --state-dir .workshop --port 22   (a busy port is refused in two lines)
Knows nothing of the course: `workshop` turns these into errors of its own.
"""


class LocalAwsError(Exception):
    """An expected failure: `message` says what was found, `remedy` what mends it."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"error: {self.message}" + (f"\n  fix: {self.remedy}" if self.remedy else "")


class PortBusy(LocalAwsError):
    """Another program listens on the port; the message names it where the system tells."""


class StateBusy(LocalAwsError):
    """Another local AWS keeps its state in the same folder."""


class NotReady(LocalAwsError):
    """The server ended, or did not answer, before the time allowed; the message has its last log lines."""


class Unsupported(LocalAwsError):
    """Something asked for is on the list of what is not emulated (see the docstring of `localaws`)."""


class NoDocker(LocalAwsError):
    """The Docker engine can't be used here; the message says why not."""


class NotKept(LocalAwsError):
    """The server has ended without writing all that it holds."""


class StateDamaged(LocalAwsError):
    """What an earlier server kept can't be read; the message names the file."""


class BadPolicy(LocalAwsError):
    """A policy can't be read, or IAM would not take it."""
