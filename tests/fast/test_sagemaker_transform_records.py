"""Records, payloads and assembled answers of batch transform."""

import gzip
import io
import itertools

import pytest

from localaws.sagemaker.transformrecords import TooLarge, assembled, opened, payloads, records


def test_lines_are_records_whether_or_not_the_last_one_has_an_end():
    for text in (b"a\nb\n\nc", b"a\nb\n\nc\n"):
        assert list(records(io.BytesIO(text), "Line")) == [b"a", b"b", b"", b"c"]


def test_a_file_that_is_not_split_is_one_record():
    assert list(records(io.BytesIO(b"a\nb\n"), "None")) == [b"a\nb\n"]


def test_no_payload_is_larger_than_it_may_be_and_no_record_is_lost():
    given = [b"x" * (number % 17) for number in range(1000)]
    made = list(payloads(given, "MultiRecord", 50))
    assert max(map(len, made)) <= 50
    assert b"\n".join(made).split(b"\n") == given
    joined = [len(first) + 1 + len(second.split(b"\n")[0]) for first, second in itertools.pairwise(made)]
    assert min(joined) > 50  # each could take no more


def test_single_records_and_no_limit():
    assert list(payloads([b"a", b"b"], "SingleRecord", 50)) == [b"a", b"b"]
    assert list(payloads([b"a" * 100, b"b"], "MultiRecord", 0)) == [b"a" * 100 + b"\nb"]
    assert list(payloads([], "MultiRecord", 50)) == []


def test_a_record_that_no_payload_can_hold_is_refused():
    with pytest.raises(TooLarge):
        list(payloads([b"x" * 51], "MultiRecord", 50))
    assert list(payloads([b"x" * 50], "MultiRecord", 50)) == [b"x" * 50]


def test_lines_end_with_one_line_end():
    assert assembled(b"a", "Line") == assembled(b"a\n", "Line") == b"a\n"
    assert assembled(b"a", "None") == b"a"


def test_compressed_files_are_read(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"a\nb"))
    with opened(path, "Gzip") as file:
        assert list(records(file, "Line")) == [b"a", b"b"]
