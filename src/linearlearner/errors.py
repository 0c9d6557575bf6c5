"""What ends a training job: the customer's mistake, told apart from ours.

Try it:  python -c "from linearlearner.errors import CustomerError; print(CustomerError('no train channel').failure)"
SageMaker shows the first 1,024 characters of /opt/ml/output/failure as the job's FailureReason:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
"""

LONGEST_FAILURE = 1024


class CustomerError(Exception):
    """A mistake in the hyperparameters or the data.

    message: what the built-in algorithm says in this case. because: what exactly was found, and where.
    kind: the class of exception that the built-in algorithm names.
    """

    def __init__(self, message: str, because: str = "", kind: str = "ValueError") -> None:
        super().__init__(message)
        self.message = message
        self.because = because
        self.kind = kind

    @property
    def failure(self) -> str:
        """The text for output/failure, in the form of the built-in algorithms."""
        caused = f" (caused by {self.kind})\n\nCaused by: {self.because}" if self.because else ""
        return f"ClientError: {self.message}{caused}"[:LONGEST_FAILURE]


class RequestError(Exception):
    """A request to the endpoint that can't be answered, with its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class RowError(Exception):
    """A row that is no list of numbers. row and column count from 1; column 0: the row as a whole."""

    def __init__(self, row: int, column: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row
        self.column = column
        self.reason = reason

    def __str__(self) -> str:
        where = f"row {self.row}" + (f", column {self.column}" if self.column else "")
        return f"{where}: {self.reason}"


class ArtefactError(Exception):
    """A folder holds no model that can be used; the text says why."""
