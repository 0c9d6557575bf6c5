"""Labelled texts: files are refused with what is wrong with them, samples stand in, metrics are right."""

import csv
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from workshop import datasets, labelled_texts, settings
from workshop.data import texts
from workshop.errors import DataError
from workshop.ml import sentiment, sentiment_metrics
from workshop.ml.text.labels import key_of

REPOSITORY = Path(__file__).parents[2]
SAMPLES = {"sentences": 3, "emotions": 7}


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_csv_is_read_with_quotes_line_breaks_and_other_columns(tmp_path):
    path = write(tmp_path / "a.csv", '\ufeffid,label_text,text\n1,joy,"a, ""b""\nc"\n2,fear, d\u2028e \n')
    assert texts.read_csv(path) == [('a, "b"\nc', "joy"), ("d\u2028e", "fear")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\nx,y\n", r"no column label_text \(its columns: text, label\)"),
        ("a;b\n", "no column text and no label_text"),
        ("", "no column text and no label_text.*none"),
        ("text,label_text\n", "holds no texts"),
        ("text,label_text\nx,y\n ,y\nx,\nz\n", "line 3: no text; line 4: no label; line 5: no label"),
        ("text,label_text\n" + ",y\n" * 9, "line 6: no text and 4 more"),
        ('text,label_text\n"x,y\n', "line 1: unexpected end"),
        (b"text,label_text\nna\xefve,y\n", "is not UTF-8: line 2 has the byte 0xef"),
        ("text,label_text\n" + "x" * 100_001 + ",y\n", "100,001 characters"),
    ],
)
def test_file_that_can_not_be_used_is_refused_with_its_lines(tmp_path, content, message):
    with pytest.raises(texts.FormatError, match=message) as refusal:
        texts.read_csv(write(tmp_path / "own.csv", content))
    assert refusal.value.remedy


def test_missing_file_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        texts.read_csv(tmp_path / "nowhere.csv")


ISEAR = "ID|Field1|X|SIT|STATE|\n"


def test_isear_texts_keep_bars_and_lose_line_breaks_and_placeholders(tmp_path):
    lines = [
        '1|joy|0|When á I |met \\him\\".|1|',
        "2|fear|0|[ No response.]|1|",
        "3|fear|0|Vámos á\\home\\|1|",
    ]
    lines += ["4|guilt|0|NO RESPONSE.|1|", "5|guilt|0|Nothing to eat.|1|"]
    path = write(tmp_path / "isear.csv", ISEAR + "\n".join(lines) + "\n")
    assert texts.read_isear(path) == [
        ("When I met him .", "joy"),
        ("Vámos á home", "fear"),
        ("Nothing to eat.", "guilt"),
    ]


def test_table_that_is_not_isears_is_refused(tmp_path):
    with pytest.raises(texts.FormatError, match="no columns SIT and Field1"):
        texts.read_isear(write(tmp_path / "x.csv", "text,label_text\na,b\n"))
    with pytest.raises(texts.FormatError, match="line 2: 2 fields, expected 6"):
        texts.read_isear(write(tmp_path / "y.csv", ISEAR + "1|joy\n"))


@pytest.fixture
def alone(tmp_path):
    """Settings of a machine with neither data nor network."""
    return settings.load({"WORKSHOP_CACHE_DIR": str(tmp_path)}, root=REPOSITORY)


@pytest.mark.parametrize(("name", "file", "classes"), [("tweets", "sentences", 3), ("isear", "emotions", 7)])
def test_samples_stand_in_and_say_so(alone, monkeypatch, name, file, classes):
    monkeypatch.setattr("workshop.data.sources.downloaded", lambda *_: None)
    found = labelled_texts.find(name, alone)
    assert found.is_sample and "built-in sample" in found.note and len(found.examples.classes) == classes
    helps = labelled_texts.helps(alone)
    assert "stop words of our own" in helps.note and helps.lemma is None and "the" in helps.stop_words


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_many_balanced_and_without_repeats(name):
    with (REPOSITORY / "data" / "samples" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    counts = Counter(row["label_text"] for row in rows)
    assert len(counts) == SAMPLES[name] and len(rows) >= 400
    assert max(counts.values()) <= 1.05 * min(counts.values())
    assert len({key_of(row["text"]) for row in rows}) == len(rows)


def test_data_is_a_known_name_or_a_file(tmp_path, alone):
    with pytest.raises(DataError, match="no set of labelled texts 'twets'"):
        labelled_texts.find("twets", alone)
    rows = "".join(f"text {number},{'a' if number % 2 else 'b'}\n" for number in range(20))
    found = labelled_texts.find(str(write(tmp_path / "own.csv", f"text,label_text\n{rows}")), alone)
    assert found.name == "own.csv" and not found.is_sample and found.as_json()["rows"] == 20


def artefact_of(found, labels=("a", "b")):
    """What `to_score` reads of an artefact."""
    metadata = {"data": {"sha256": found.examples.sha256()}, "parameters": {"seed": 3}}
    return SimpleNamespace(metadata=metadata, labels=labels)


def test_same_data_is_scored_on_what_training_never_saw_and_other_data_whole(tmp_path, alone):
    def own(name, labels):
        rows = "".join(f"{name} {number},{labels[number % len(labels)]}\n" for number in range(50))
        return labelled_texts.find(str(write(tmp_path / f"{name}.csv", f"text,label_text\n{rows}")), alone)

    mine, other, foreign = own("mine", "ab"), own("other", "ba"), own("foreign", "abc")
    examples, which = labelled_texts.to_score(mine, artefact_of(mine))
    assert examples.texts == sentiment.held_out(mine.examples, 3)[1].texts and "held out" in which
    examples, which = labelled_texts.to_score(other, artefact_of(mine, labels=("z", "b", "a")))
    assert len(examples) == 50 and examples.classes == ("z", "b", "a") and "other data" in which
    assert [examples.classes[label] for label in examples.labels[:2]] == ["b", "a"]
    with pytest.raises(DataError, match="labelled c"):
        labelled_texts.to_score(foreign, artefact_of(mine))


def test_validation_texts_come_off_the_training_part(tmp_path):
    from workshop.ml import sentiment_layouts
    from workshop.ml.text.examples import collect

    everything = collect([(f"text {number}", "ab"[number % 2]) for number in range(200)])
    layout = sentiment_layouts.layout("published", 200)
    parts = sentiment.parts(everything, layout, 10)
    assert parts.test.texts == sentiment.held_out(everything, 10)[1].texts
    sides = [set(part.texts) for part in (parts.train, parts.validation, parts.test)]
    assert [len(side) for side in sides] == [144, 16, 40] and len(set.union(*sides)) == 200


def test_report_counts_by_class():
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0], [0.1, 0.9, 0]])
    found = sentiment_metrics.report(probabilities, np.array([0, 1, 1, 1]), ["a", "b", "c"])
    assert found["largest_class_share"] == 0.75
    assert found["accuracy"] == 0.75 and found["examples"] == 4
    assert found["classes"]["b"] == {
        "precision": 1.0,
        "recall": 2 / 3,
        "f1": pytest.approx(0.8),
        "examples": 3,
    }
    assert found["classes"]["a"]["precision"] == 0.5 and found["classes"]["c"]["f1"] == 0
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0.8 + 0) / 3)
    assert str(sentiment_metrics.class_table(found)).count("\n") == 4


def test_worst_texts_are_the_surest_mistakes_and_are_shown_as_text():
    probabilities = np.array([[0.6, 0.4], [0.99, 0.01], [0.1, 0.9]])
    rows = sentiment_metrics.worst(["a", "<b>", "c"], probabilities, np.array([1, 1, 1]), ["x", "y"])
    assert [row["text"] for row in rows] == ["<b>", "a"] and rows[0]["guess"] == "x"
    assert "&lt;b&gt;" in sentiment_metrics.worst_table(rows)._repr_html_()


def test_stop_words_are_read_from_nltks_zip_too(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "stopwords.zip", "w") as archive:
        archive.writestr("stopwords/english", "the\na\n")
    assert texts.words_of(tmp_path / "stopwords.zip") == {"the", "a"}
    assert datasets.TEXTS == ("tweets", "isear")
