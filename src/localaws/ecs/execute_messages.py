"""The frames of AWS Systems Manager's session data channel: one binary message each, header and payload.

Try it:  python -m pytest tests/fast/test_shell_messages.py
Layout and numbers as the public sources of amazon-ssm-agent and session-manager-plugin have them (agentmessage.go,
model.go): big-endian; the header's length does not count the payload's length field that follows it.
Knows no sockets, sessions or containers.
"""

import hashlib
import json
import struct
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

HEADER = struct.Struct(">I32sIQqQ16s32sII")
HEADER_BYTES = HEADER.size - 4
SCHEMA = 1
FIRST, LAST = 1, 2  # bits of `flags`

OUTPUT_STREAM, INPUT_STREAM = "output_stream_data", "input_stream_data"
ACKNOWLEDGE, CHANNEL_CLOSED = "acknowledge", "channel_closed"

# What a stream message carries.
DATA, ERROR, SIZE = 1, 2, 3
HANDSHAKE_REQUEST, HANDSHAKE_RESPONSE, HANDSHAKE_COMPLETE = 5, 6, 7
FLAG = 10
TERMINATE_SESSION = 2  # the one flag that concerns a shell


class BadMessage(ValueError):
    """Bytes that are no frame of this protocol."""


@dataclass(frozen=True)
class Message:
    """One frame. `sequence` counts the messages of a stream, from 0, in each direction."""

    kind: str
    payload: bytes
    payload_type: int = 0
    sequence: int = 0
    flags: int = 0
    id: uuid.UUID = field(default_factory=uuid.uuid4)

    def pack(self) -> bytes:
        """The frame as it is sent."""
        head = HEADER.pack(
            HEADER_BYTES,
            self.kind.encode().ljust(32),
            SCHEMA,
            int(time.time() * 1000),
            self.sequence,
            self.flags,
            self.id.bytes[8:] + self.id.bytes[:8],  # the less significant half comes first
            hashlib.sha256(self.payload).digest(),
            self.payload_type,
            len(self.payload),
        )
        return head + self.payload

    def document(self) -> dict[str, Any]:
        """The payload of a message that carries JSON."""
        try:
            return dict(json.loads(self.payload))
        except (ValueError, TypeError) as error:
            raise BadMessage(f"the payload of {self.kind} is no JSON object") from error


def unpack(frame: bytes) -> Message:
    """A frame as it came. Errors: BadMessage if it is cut short or was changed on its way."""
    if len(frame) < HEADER.size:
        raise BadMessage(f"a frame has at least {HEADER.size} bytes, this one {len(frame)}")
    length, kind, _, _, sequence, flags, half_ids, digest, payload_type, size = HEADER.unpack_from(frame)
    payload = frame[length + 4 :]
    # The service leaves the digest of some of its own messages empty.
    if len(payload) != size or (any(digest) and hashlib.sha256(payload).digest() != digest):
        raise BadMessage("the payload is not the one that the header describes")
    name = kind.rstrip(b" \0").decode("ascii", "replace")
    return Message(name, payload, payload_type, sequence, flags, uuid.UUID(bytes=half_ids[8:] + half_ids[:8]))


def acknowledgement(message: Message) -> Message:
    """What tells the other side that a stream message has arrived."""
    content = {
        "AcknowledgedMessageType": message.kind,
        "AcknowledgedMessageId": str(message.id),
        "AcknowledgedMessageSequenceNumber": message.sequence,
        "IsSequentialMessage": True,
    }
    return Message(ACKNOWLEDGE, json.dumps(content).encode(), flags=FIRST | LAST)


def channel_closed(session_id: str, output: str) -> Message:
    """The last message of a session; `output` says why it ended if that needs saying."""
    identifier = uuid.uuid4()
    content = {
        "MessageType": CHANNEL_CLOSED,
        "MessageId": str(identifier),
        "DestinationId": session_id,
        "SessionId": session_id,
        "SchemaVersion": SCHEMA,
        "CreatedDate": str(int(time.time() * 1000)),
        "Output": output,
    }
    return Message(CHANNEL_CLOSED, json.dumps(content).encode(), flags=FIRST | LAST, id=identifier)
