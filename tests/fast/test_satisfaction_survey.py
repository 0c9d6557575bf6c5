"""The passengers' survey is read whole or refused with each wrong cell, and made up where it can't be had."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from workshop import datasets, settings
from workshop.data import catalogue, passengers, surveys
from workshop.data.texts import FormatError
from workshop.errors import DataError
from workshop.ml.satisfaction import survey

REPOSITORY = Path(__file__).parents[2]
HEADER = ",".join(surveys.COLUMNS)
YES, NO = reversed(survey.CLASSES)


def line(number=7, label=YES, **said) -> str:
    """A line of the survey; said: what differs, by a column's first word in lower case."""
    values = {
        "gender": "Male",
        "customer": "Loyal Customer",
        "age": 52,
        "type": "Business travel",
        "class": "Eco",
    }
    values |= {"flight": 160, "departure": 50, "arrival": "44.0", "wifi": 5} | said
    ratings = [values["wifi"], *(4 for _ in survey.RATINGS[1:])]
    trip = [values[name] for name in ("gender", "customer", "age", "type", "class", "flight")]
    return ",".join(map(str, (0, number, *trip, *ratings, values["departure"], values["arrival"], label)))


def table(*lines: str, header: str = HEADER, end: str = "\n") -> bytes:
    return (end.join((header, *lines)) + end).encode()


def archive(path: Path, train: bytes, test: bytes, folder="Airline Passenger Satisfaction/") -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(f"{folder}train.csv", train)
        opened.writestr(f"{folder}test.csv", test)
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_answers_are_read_as_they_were_given(end):
    found = surveys.parse(table(line(19556), line(3, NO, arrival="", gender="Female"), end=end), "x.csv")
    assert len(found) == 2 and found.labels.tolist() == [1, 0] and found.ids.tolist() == [19556, 3]
    first, second = found.answer(0), found.answer(1)
    assert (first["Gender"], first["Age"], first["Class"]) == ("Male", 52, "Eco")
    assert (first[survey.ARRIVAL_DELAY], second[survey.ARRIVAL_DELAY]) == (44, None)
    assert "2 answers, 50.0% satisfied, 1 empty cells" in repr(found)


def test_columns_are_found_by_their_names_in_any_order():
    plain = surveys.parse(table(line(1), line(2, NO)), "x.csv")
    turned = [",".join(reversed(text.split(","))) for text in (HEADER, line(1), line(2, NO))]
    found = surveys.parse("\n".join(turned).encode(), "x.csv")
    assert np.array_equal(found.values, plain.values) and found.sha256() == plain.sha256()


def test_quotes_a_byte_order_mark_and_no_last_line_break_change_nothing():
    plain = surveys.parse(table(line(1), line(2, NO)), "x.csv")
    quoted = table(*('"' + text.replace(",", '","') + '"' for text in (line(1), line(2, NO))))
    assert surveys.parse(b"\xef\xbb\xbf" + quoted.rstrip(), "x.csv").sha256() == plain.sha256()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"age": "old"}, "line 3, Age: 'old' is not a whole number"),
        ({"age": "0"}, "line 3, Age: '0' is not in 1 to 120"),
        ({"age": "-4"}, "line 3, Age: '-4' is not a whole number"),
        ({"age": "1e3"}, "line 3, Age: '1e3' is not a whole number"),
        ({"wifi": "3.5"}, "line 3, Inflight wifi service: '3.5' is not a whole number"),
        ({"age": "nan"}, "line 3, Age: 'nan' is not a whole number"),
        ({"age": "4000000000000"}, "line 3, Age: '4000000000000' is not a whole number"),
        ({"age": ""}, "line 3, Age: is empty"),
        ({"wifi": "6"}, "line 3, Inflight wifi service: '6' is not in 0 to 5"),
        ({"departure": ""}, "line 3, Departure Delay in Minutes: is empty"),
        ({"gender": "male"}, "line 3, Gender: 'male' is none of Female, Male"),
        ({"class": ""}, "line 3, Class: is none of Eco, Eco Plus, Business"),
        ({"type": "Büro"}, "line 3, Type of Travel: 'Büro' is none of"),
        ({"label": "happy"}, "line 3, satisfaction: 'happy' is none of"),
        ({"number": "x"}, "line 3, id: 'x' is not a whole number"),
    ],
)
def test_wrong_cell_is_told_with_file_line_and_column(changed, message):
    with pytest.raises(FormatError) as refusal:
        surveys.parse(table(line(1), line(**{"number": 2, **changed})), "test.csv")
    assert f"test.csv: {message}" in refusal.value.message and refusal.value.remedy


def test_every_wrong_cell_is_told_at_once_and_many_are_counted():
    with pytest.raises(FormatError, match=r"line 2, Age.*line 3, Age.*line 4, Age.*and 4 more") as refusal:
        surveys.parse(table(*(line(number, age="x") for number in range(9))), "x.csv")
    assert refusal.value.message.count("line") == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no lines below its header"),
        (table(), "holds no lines below its header"),
        ((line(1) + "\n" + line(2)).encode(), r"x\.csv: its first line is no header but 0,1,Male,Loyal"),
        (table(line() + ",1", header=HEADER + ",extra"), "its first line has the unknown 'extra'\n"),
        (
            table(line(), header=HEADER.replace("Gate location", "Cleanliness")),
            "lacks 'Gate location' and has twice 'Cleanliness'",
        ),
        (table(line(1), line(2) + ",1"), "line 3 has 26 cells, expected 25"),
        (table(line(1) + ",1", line(2)[2:]), "line 2 has 26 cells, expected 25; line 3 has 24 cells"),
        (table(line(1), "", line(2)), "line 3 has 1 cell, expected 25"),
        (table(line(1), line(2, NO), line(1)), "line 4 repeats the id 1 of line 2"),
        (table(line(1).replace("Eco", '"Eco, front"')), "line 2 has 26 cells"),
    ],
)
def test_table_of_another_shape_is_refused(content, message):
    with pytest.raises(FormatError, match=message):
        surveys.parse(content, "x.csv")


def test_passengers_in_both_files_are_refused(tmp_path):
    path = archive(tmp_path / "a.zip", table(line(1), line(2, NO)), table(line(2)))
    with pytest.raises(FormatError, match=r"test\.csv: 1 of its passengers are in .*train\.csv too \(id 2\)"):
        surveys.read_zip(path)


@pytest.mark.parametrize("folder", ["", "Airline Passenger Satisfaction/"])
def test_tables_are_found_in_the_zip_whatever_its_folder(tmp_path, folder):
    found = surveys.read_zip(archive(tmp_path / "a.zip", table(line(1)), table(line(2)), folder))
    assert (found.train.ids.tolist(), found.test.ids.tolist()) == ([1], [2])


def test_file_that_is_no_zip_or_lacks_a_table_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match="can't be read as a zip file"):
        surveys.read_zip(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as opened:
        opened.writestr("train.csv", table(line(1)))
    with pytest.raises(FormatError, match=r"holds 0 files test\.csv"):
        surveys.read_zip(tmp_path / "b.zip")


# --- where it comes from


def chosen(tmp_path: Path, **more):
    return settings.load({}, root=REPOSITORY, cache_dir=tmp_path / "cache", **more)


def test_own_tables_in_the_data_directory_are_read(tmp_path):
    (tmp_path / "airline").mkdir()
    (tmp_path / "airline" / "train.csv").write_bytes(table(line(1), line(2, NO)))
    (tmp_path / "airline" / "test.csv").write_bytes(table(line(3)))
    found = datasets.find("airline", chosen(tmp_path, data_dir=tmp_path))
    assert (found.form, found.is_sample) == ("two tables", False)
    assert [len(part) for part in datasets.satisfaction(found)] == [2, 1]


def test_another_set_is_no_survey(tmp_path):
    found = datasets.Dataset("tweets", tmp_path, "cache", False, "")
    with pytest.raises(DataError, match="'tweets' is no survey"):
        datasets.satisfaction(found)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("sample")
    entry = catalogue.entry(REPOSITORY, "airline")
    found = datasets.find("airline", chosen(tmp_path), download=False)
    return entry, found, datasets.satisfaction(found)


def test_sample_has_the_columns_of_the_real_survey_and_says_what_it_is(sample):
    _, found, (train, test) = sample
    assert found.note.endswith("using the built-in sample, answers of 6,000 made-up passengers")
    assert (len(train), len(test)) == (passengers.TRAIN, passengers.TEST)
    assert 0.3 < train.satisfied_share < 0.5
    missing = np.isnan(train.values).sum(axis=0)
    assert missing[survey.POSITIONS[survey.ARRIVAL_DELAY]] == missing.sum() > 5
    for column in survey.FEATURES:
        values = np.unique(train.column(column.name)[~np.isnan(train.column(column.name))])
        if column.kind == "category":
            assert values.tolist() == list(range(len(column.categories)))
        if column.kind == "rating":
            assert set(range(1, 6)) <= set(values.tolist()) <= set(range(6))


def test_what_is_written_to_the_sample_is_read_from_it(sample):
    _, _, (train, test) = sample
    made = passengers.answers(passengers.TRAIN + passengers.TEST)
    for name in survey.NAMES:
        read = np.concatenate([train.column(name), test.column(name)])
        assert np.array_equal(read, made[name], equal_nan=True), name
    assert np.array_equal(np.concatenate([train.labels, test.labels]), made[survey.LABEL])


def test_sample_is_the_same_byte_for_byte(tmp_path):
    first, second = (passengers.write_zip(tmp_path / name).read_bytes() for name in ("a.zip", "b.zip"))
    assert first == second


def test_real_survey_is_named_with_its_checksum_and_never_without_a_licence(sample):
    entry, _, _ = sample
    (real,) = entry.forms[0].files
    assert real.size_bytes == 2_876_654 and real.urls and "not to be redistributed" in entry.licence
