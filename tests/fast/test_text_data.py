"""Data are looked at before anything is paid for, and every problem is told at once."""

import pytest

from workshop.aws import text_data
from workshop.data import texts
from workshop.errors import DataError
from workshop.ml.text.examples import check_enough, collect

HEAD = "text,label_text\n"
ROWS = "".join(f"a good day {i},positive\na bad day {i},negative\n" for i in range(30))


def examine(rows=ROWS, head=HEAD):
    return text_data.examine((head + rows).encode(), "s3://b/x.csv")


def test_good_data_are_counted():
    found = examine(ROWS + "a good day 1,positive\nA bad  day 1,positive\n")
    assert (found.rows, found.classes) == (62, {"negative": 30, "positive": 30})
    assert (found.duplicates, found.contradictions) == (2, 1)
    assert len(found.sha256) == 64
    assert str(found) == (
        "62 rows in 2 classes (negative 30, positive 30); 2 that repeat a text; 1 that contradict its label"
    )


def test_texts_may_hold_commas_quotes_line_breaks_and_any_script():
    found = examine(ROWS + '"one, ""two""\nthree",positive\nمرحبا 🙂,negative\n')
    assert found.rows == 62


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("", "only 0 labelled texts"),
        (ROWS[:200], "only .* labelled texts, at least 50 are needed"),
        (ROWS.replace("negative", "positive"), "1 classes, expected 2 to 50"),
    ],
)
def test_what_is_too_little_is_refused(rows, told):
    with pytest.raises(DataError, match=told) as refused:
        examine(rows)
    assert "s3://b/x.csv" in refused.value.message
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (ROWS + "who knows,\n", "line 62: no label"),
        (ROWS + ",positive\n", "line 62: no text"),
        (ROWS + "so so,neutral\n", "too few different texts of a class: neutral 1"),
        (ROWS + "so so,neutral\n" * 9, "too few different texts of a class: neutral 1"),
        (ROWS + f"{'x' * 100_001},positive\n", "100,001 characters"),
    ],
)
def test_what_training_would_fail_on_is_refused_in_its_words(rows, told, tmp_path):
    with pytest.raises(DataError, match=told):
        examine(rows)
    path = tmp_path / "x.csv"
    path.write_text(HEAD + rows)
    with pytest.raises(DataError, match=told):
        check_enough(collect(texts.read_csv(path)))


def test_all_problems_are_told_at_once():
    with pytest.raises(DataError) as refused:
        examine("x,a\n,a\ny,\n")
    for part in ("line 3: no text; line 4: no label", "only 1 labelled texts", "1 classes"):
        assert part in refused.value.message


def test_missing_columns_are_named_with_those_that_are_there():
    with pytest.raises(DataError, match=r"has no column label_text \(its columns: text, label\)"):
        examine(head="text,label\n")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"text,label_text\n\xe9,a\n"])
def test_other_encodings_are_refused(content):
    with pytest.raises(DataError, match=r"is not UTF-8: line \d has the byte"):
        text_data.examine(content)
