"""The frames of a shell session: what the client packs the server reads, and the other way round."""

import hashlib
import json
import struct
import uuid

import pytest

from localaws.ecs import execute_messages as server
from workshop.aws import task_shell_messages as client

IDENTIFIER = uuid.UUID("dd01e56b-ff48-483e-a508-b5f073f31b16")
PAYLOAD = "grüße".encode()


def by_hand(kind: str, payload_type: int, number: int, payload: bytes) -> bytes:
    """A frame put together from the published layout, field by field."""
    return b"".join(
        (
            struct.pack(">I", 116),
            kind.encode().ljust(32, b" "),
            struct.pack(">I", 1),
            struct.pack(">Q", 1_700_000_000_000),
            struct.pack(">q", number),
            struct.pack(">Q", 0),
            IDENTIFIER.bytes[8:],
            IDENTIFIER.bytes[:8],
            hashlib.sha256(payload).digest(),
            struct.pack(">I", payload_type),
            struct.pack(">I", len(payload)),
            payload,
        )
    )


def test_both_read_a_frame_of_the_published_layout():
    frame = by_hand("output_stream_data", 1, 7, PAYLOAD)
    seen = client.read(frame)
    assert seen is not None
    assert (seen.kind, seen.type, seen.number, seen.id, seen.payload) == (
        client.OUTPUT,
        client.DATA,
        7,
        IDENTIFIER,
        PAYLOAD,
    )
    other = server.unpack(frame)
    assert (other.kind, other.payload_type, other.sequence, other.id, other.payload) == (
        server.OUTPUT_STREAM,
        server.DATA,
        7,
        IDENTIFIER,
        PAYLOAD,
    )


def test_both_write_the_published_layout():
    assert (
        server.Message(server.OUTPUT_STREAM, PAYLOAD, 1, 7, id=IDENTIFIER).pack()[:40]
        == by_hand("output_stream_data", 1, 7, PAYLOAD)[:40]
    )
    for frame in (server.Message(server.INPUT_STREAM, PAYLOAD, 1, 7).pack(), client.stream(7, 1, PAYLOAD)):
        model = by_hand("input_stream_data", 1, 7, PAYLOAD)
        assert len(frame) == len(model)
        assert (frame[:40], frame[48:64], frame[80:]) == (model[:40], model[48:64], model[80:])


def test_id_is_written_in_the_halves_that_it_is_read_in():
    packed = server.Message(server.OUTPUT_STREAM, PAYLOAD, id=IDENTIFIER).pack()
    assert packed[64:80] == IDENTIFIER.bytes[8:] + IDENTIFIER.bytes[:8]
    acknowledgement = server.unpack(client.acknowledgement(client.read(packed)))
    assert acknowledgement.document()["AcknowledgedMessageId"] == str(IDENTIFIER)


def test_each_understands_the_others_acknowledgement():
    sent = client.stream(5, client.DATA, b"ls\r")
    answer = client.read(server.acknowledgement(server.unpack(sent)).pack())
    assert answer is not None and answer.kind == client.ACKNOWLEDGE and client.acknowledged(answer) == 5


@pytest.mark.parametrize("damage", [lambda f: f[:50], lambda f: f[:-1], lambda f: f[:-1] + b"?"])
def test_server_refuses_a_frame_that_was_cut_or_changed(damage):
    with pytest.raises(server.BadMessage):
        server.unpack(damage(client.stream(0, client.DATA, PAYLOAD)))


@pytest.mark.parametrize("frame", [b"", b"x" * 119, client.stream(0, 1, b"abc")[:-1]])
def test_client_skips_what_is_no_frame(frame):
    assert client.read(frame) is None


def test_client_says_what_it_cannot_do_of_what_the_agent_asks():
    asked = {"RequestedClientActions": [{"ActionType": "SessionType"}, {"ActionType": "KMSEncryption"}]}
    payload, cannot = client.handshake_answer(asked)
    answer = json.loads(payload)
    assert cannot == answer["Errors"] == ["KMSEncryption"]
    assert [each["ActionStatus"] for each in answer["ProcessedClientActions"]] == [1, 3]


def test_closed_channel_tells_why():
    frame = client.read(server.channel_closed("session", "no such file").pack())
    assert frame is not None and frame.kind == client.CLOSED and frame.document()["Output"] == "no such file"
