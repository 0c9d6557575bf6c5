"""What requests and answers look like, the limits of both, and what is said of those that don't fit.

Try it:  .venvs/serving/bin/python -c "from workshop.serving import messages; print(messages.components())"
Requests are read, and the OpenAPI document is written, from the same types, so the document can't be wrong about
them. Knows nothing of ASGI.
"""

# msgspec is in the environment of the service alone; elsewhere mypy knows nothing of its structs' keywords.
# mypy: disable-error-code="call-arg"

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

LONGEST_TEXT = 5_000  # characters: an essay; a tweet has 280
MOST_TEXTS = 100
LARGEST_BODY_BYTES = 1024 * 1024
NOT_BLANK = r"[^ \t\r\n]"
HALF_A_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")

ONE_TEXT = '{"text": "I love it"}'

Text = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_TEXT,
        pattern=NOT_BLANK,
        description=f"1 to {LONGEST_TEXT} characters, not only spaces and line breaks",
        examples=["I love this place, and I will be back!"],
    ),
]
Texts = Annotated[
    list[Text],
    Meta(
        min_length=1,
        max_length=MOST_TEXTS,
        description=f"1 to {MOST_TEXTS} texts",
        examples=[["I love it", "my flight was late again"]],
    ),
]


class ParseInputs(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One text to classify."""

    text: Text


class Predict(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One text, or a list of texts, to classify."""

    text: Text | Texts


class Sentiment(msgspec.Struct, frozen=True):
    """The likeliest class of the text."""

    sentiment: Annotated[str, Meta(examples=["positive"])]


class Prediction(msgspec.Struct, frozen=True):
    """The likeliest class of a text, and the probability of each."""

    label: Annotated[str, Meta(examples=["positive"])]
    probabilities: Annotated[
        dict[str, Annotated[float, Meta(ge=0, le=1.001)]],
        Meta(examples=[{"negative": 0.02, "neutral": 0.08, "positive": 0.9}]),
    ]


class Predictions(msgspec.Struct, frozen=True):
    """A prediction for each text, in their order, and the version of the model that made them."""

    version: Annotated[str, Meta(examples=["manual-2026-11-20t16-00-00"])]
    predictions: list[Prediction]


class Working(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Annotated[str, Meta(examples=["working"])]


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with what is published, and what mends it. version: of the model that was refused."""

    reason: str
    fix: str
    version: str | None = None


class Ready(msgspec.Struct, frozen=True, omit_defaults=True):
    """A verified model is in service, since when, and what is wrong with newer ones, if anything."""

    status: Annotated[str, Meta(examples=["ready"])]
    version: Annotated[str, Meta(examples=["manual-2026-11-20t16-00-00"])]
    since: Annotated[str, Meta(examples=["2026-11-20T16:00:00Z"])]
    refused: Reason | None = None
    problem: Reason | None = None


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request was not answered, and what to do instead. Every error has this form."""

    error: Annotated[str, Meta(examples=["text: expected `str` of length >= 1"])]
    fix: Annotated[str, Meta(examples=[f"send a body such as {ONE_TEXT}"])]
    refused: Reason | None = None


PARSE_INPUTS = msgspec.json.Decoder(ParseInputs)
PREDICT = msgspec.json.Decoder(Predict)
encode = msgspec.json.Encoder().encode


class Problem(Exception):
    """A request that can't be answered: HTTP status, what is wrong, what to do, and headers that belong to it."""

    def __init__(
        self, status: int, error: str, fix: str, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        super().__init__(error)
        self.status, self.error, self.fix, self.headers = status, error, fix, headers


def as_request(decoder: Any, body: bytes | bytearray) -> Any:
    """Read a body. Errors: Problem 400 if it is not JSON in UTF-8, 422 if it is not what the route takes."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        where = where.rstrip("`").lstrip(".")
        what = what.replace(f"matching regex {NOT_BLANK!r}", "with more than spaces and line breaks")
        limits = f"a text has 1 to {LONGEST_TEXT} characters, a list 1 to {MOST_TEXTS} texts"
        fix = f"send a body such as {ONE_TEXT}; {limits}"
        raise Problem(422, f"{where}: {what[0].lower()}{what[1:]}" if where else what, fix) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        told = (
            f"the body is not JSON in UTF-8: {str(error)[:1].lower()}{str(error)[1:]}"
            if body
            else "the body is empty"
        )
        if HALF_A_CHARACTER.search(body):
            told += "; it may hold half of a surrogate pair, such as \\ud83d, which is no character"
        raise Problem(400, told, f"send a body such as {ONE_TEXT}") from None


def components() -> dict[str, Any]:
    """The schemas of all messages, for the OpenAPI document."""
    types = (ParseInputs, Predict, Sentiment, Predictions, Working, Ready, Refusal)
    return msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")[1]
