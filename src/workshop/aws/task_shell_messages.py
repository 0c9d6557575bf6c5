"""The frames of a shell session's data channel, as AWS Systems Manager sends and expects them.

Try it:  python -m pytest tests/fast/test_shell_messages.py
Big-endian: header length, kind, schema, time, number in its stream, flags, id, SHA-256 of the payload, what the
payload is, its length; then the payload. The layout is that of the public sources of session-manager-plugin.
Knows no network and no terminal.
"""

from __future__ import annotations

import hashlib
import json
import struct
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_HEADER = struct.Struct(">I32sIQqQ16s32sII")

OUTPUT, INPUT = "output_stream_data", "input_stream_data"
ACKNOWLEDGE, CLOSED = "acknowledge", "channel_closed"

# What the payload of a stream message is.
DATA, SIZE, FLAG = 1, 3, 10
ASK_HANDSHAKE, ANSWER_HANDSHAKE, END_HANDSHAKE = 5, 6, 7
TERMINATE = struct.pack(">I", 2)  # the flag that ends a session

# How a client answers what the agent asks of it in the handshake.
DONE, UNSUPPORTED = 1, 3
SESSION_TYPE = "SessionType"
CLIENT_VERSION = "1.2.0.0"  # the version of the protocol's client from which agents shake hands


@dataclass(frozen=True)
class Frame:
    """A message from the other side."""

    kind: str
    type: int
    number: int
    id: uuid.UUID
    payload: bytes

    def document(self) -> dict[str, Any]:
        """A payload that is JSON; empty if it is none."""
        try:
            read = json.loads(self.payload)
        except ValueError:
            return {}
        return read if isinstance(read, dict) else {}


def read(frame: bytes) -> Frame | None:
    """A frame as it came; None for bytes that are none, which a client skips."""
    if len(frame) < _HEADER.size:
        return None
    length, kind, _, _, number, _, halves, _, payload_type, size = _HEADER.unpack_from(frame)
    payload = frame[length + 4 :]
    if len(payload) != size:
        return None
    identifier = uuid.UUID(bytes=halves[8:] + halves[:8])
    return Frame(kind.rstrip(b" \0").decode("ascii", "replace"), payload_type, number, identifier, payload)


def stream(number: int, payload_type: int, payload: bytes) -> bytes:
    """A frame of the input stream; numbers go up from 0."""
    return _frame(INPUT, payload_type, number, 1 if number == 0 else 0, payload)


def acknowledgement(frame: Frame) -> bytes:
    """The frame that says that another one has arrived."""
    content = {
        "AcknowledgedMessageType": frame.kind,
        "AcknowledgedMessageId": str(frame.id),
        "AcknowledgedMessageSequenceNumber": frame.number,
        "IsSequentialMessage": True,
    }
    return _frame(ACKNOWLEDGE, 0, 0, 3, _json(content))


def acknowledged(frame: Frame) -> int:
    """The number that an acknowledgement is about; -1 for anything else."""
    return int(frame.document().get("AcknowledgedMessageSequenceNumber", -1))


def opening(token: str) -> str:
    """The first message, which is text."""
    return json.dumps(
        {
            "MessageSchemaVersion": "1.0",
            "RequestId": str(uuid.uuid4()),
            "TokenValue": token,
            "ClientId": str(uuid.uuid4()),
            "ClientVersion": CLIENT_VERSION,
        }
    )


def handshake_answer(asked: Mapping[str, Any]) -> tuple[bytes, list[str]]:
    """The payload that answers the agent's request, and what it asked for that this client can't do."""
    actions, cannot = [], []
    for action in asked.get("RequestedClientActions") or []:
        name = str(action.get("ActionType"))
        done = name == SESSION_TYPE
        if not done:
            cannot.append(name)
        error = "" if done else f"Unsupported action {name}"
        actions.append({"ActionType": name, "ActionStatus": DONE if done else UNSUPPORTED, "Error": error})
    answer = {"ClientVersion": CLIENT_VERSION, "ProcessedClientActions": actions, "Errors": cannot}
    return _json(answer), cannot


def size(columns: int, rows: int) -> bytes:
    """The payload that tells the size of the window."""
    return _json({"cols": columns, "rows": rows})


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content).encode()


def _frame(kind: str, payload_type: int, number: int, flags: int, payload: bytes) -> bytes:
    identifier = uuid.uuid4().bytes
    return (
        _HEADER.pack(
            _HEADER.size - 4,
            kind.encode().ljust(32),
            1,
            int(time.time() * 1000),
            number,
            flags,
            identifier[8:] + identifier[:8],
            hashlib.sha256(payload).digest(),
            payload_type,
            len(payload),
        )
        + payload
    )
