"""Vocabulary, encoding and splits: unknown words, padding, spellings, and no text on both sides."""

import numpy as np
import pytest

from workshop.errors import DataError
from workshop.ml.text import cleaning, examples, labels, vocabulary
from workshop.ml.text.encoding import MOST_REMEMBERED, Encoder

STEPS = cleaning.make(["lower", "strip"])


def encoder(spelled=False, spells_all=False, **options):
    spelling = vocabulary.Spelling() if spelled else None
    words = vocabulary.learn([["good", "tea"], ["good", "rain", "today"]], spelling=spelling, **options)
    return Encoder(STEPS, words, spells_all)


def test_commonest_words_come_first_and_rare_ones_are_unknown():
    words = vocabulary.learn([["b", "a"], ["b", "c"], ["b", "a"]], least_count=2)
    assert words.words == ("", "<unknown>", "b", "a") and words.longest_text == 2
    assert vocabulary.learn([["b", "a"], ["b"]], most_words=1).words == ("", "<unknown>", "b")


def test_words_that_somebody_types_are_never_taken_for_padding():
    made = Encoder(cleaning.make([]), vocabulary.learn([["<unknown>", "x"]]))
    assert made.encode(["<unknown> x"])["words"].min() > 0


def test_texts_are_padded_behind_to_the_longest_given():
    inputs = encoder().encode(["good tea", "good", "TEA unheard-of"])
    assert inputs.keys() == {"words", "lengths"}
    assert inputs["words"].tolist() == [[2, 4, 0], [2, 0, 0], [4, 1, 1]]
    assert inputs["lengths"].tolist() == [2, 1, 3]
    assert {value.dtype for value in inputs.values()} == {np.dtype(np.int32)}


def test_text_without_words_is_one_unknown_word():
    assert encoder().encode(["", "?!"])["words"].tolist() == [[1], [1]]
    assert encoder(spelled=True).encode([""])["spelled"].tolist() == [[0]]


def test_long_text_is_cut_to_the_longest_that_was_learned_from():
    assert encoder().encode(["good " * 1_000_000])["words"].shape == (1, 3)


def test_only_unknown_words_are_spelled_when_served_and_all_in_training():
    served = encoder(spelled=True).encode(["good goood", "goood tea"])
    assert served["spelled"].tolist() == [[0, 1], [1, 0]]  # a word that comes twice is spelled once
    assert served["spellings"].shape[0] == 2 and not served["spellings"][0].any()
    training = encoder(spelled=True, spells_all=True).encode(["good goood"])
    assert training["spelled"].tolist() == [[1, 2]]
    assert (training["spellings"][2] == served["spellings"][1]).any()


def test_same_word_has_the_same_spelling_in_every_process():
    assert vocabulary.Spelling(buckets=1000).groups("tea") == [268, 715, 245, 646, 922, 784]
    assert (
        vocabulary.Spelling(buckets=10).groups("") == []
        or max(vocabulary.Spelling(buckets=10).groups("")) <= 10
    )
    long = vocabulary.Spelling(most=12).groups("extraordinarily")
    assert len(long) == 12 and long[0] == vocabulary.Spelling(most=99).groups("extraordinarily")[0]


def test_encoder_remembers_but_not_without_end(monkeypatch):
    monkeypatch.setattr("workshop.ml.text.encoding.MOST_REMEMBERED", 10)
    made = encoder(spelled=True)
    before = made.encode(["good tea zzz"])
    for number in range(100):
        made.encode([f"word{number}"])
    assert len(made._known) <= 10 < MOST_REMEMBERED
    spelled = made.encode(["x" * 5000 + " zzz " + "x" * 5000])
    assert max(map(len, made._known)) <= 10 and spelled["words"].shape == (1, 3)
    assert all(np.array_equal(before[name], value) for name, value in made.encode(["good tea zzz"]).items())


def test_vocabulary_without_words_is_refused():
    with pytest.raises(DataError, match="no word is left"):
        vocabulary.learn([[], []])


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"words": ["a"], "longest_text": 1, "spelling": None},
        {"words": 3, "longest_text": 1, "spelling": None},
        {"words": ["", "<unknown>"], "longest_text": 1, "spelling": {"buckets": 0}},
        {"words": ["", "<unknown>"], "longest_text": 1, "spelling": {"longest": 10**9}},
        {"words": ["", "<unknown>", "a", "a"], "longest_text": 2, "spelling": None},
        {"words": ["", "<unknown>"], "longest_text": 0, "spelling": None},
        {"words": ["", "<unknown>"], "longest_text": 1, "spelling": {"sides": 3}},
    ],
)
def test_vocabulary_that_can_not_be_read_is_refused(broken):
    with pytest.raises(DataError, match="vocabulary"):
        vocabulary.from_json(broken)


def many(count=100):
    rows = [(f"text number {number} of many", ("a", "b", "c")[number % 3]) for number in range(count)]
    return rows + [(text.upper() + "  ", label) for text, label in rows[: count // 2]]


def test_no_text_is_on_both_sides_whatever_its_case_and_blanks():
    everything = examples.collect(many())
    rest, test = examples.split(everything, 0.2, 10)
    keys = [{labels.key_of(text) for text in part.texts} for part in (rest, test)]
    assert len(everything) == 100 and not keys[0] & keys[1] and len(rest) + len(test) == 100


def test_each_class_has_its_share_and_the_seed_alone_decides():
    everything = examples.collect(many())
    _, test = examples.split(everything, 0.2, 10)
    assert test.counts() == {"a": 7, "b": 7, "c": 7}
    assert examples.split(everything, 0.2, 10)[1].texts == test.texts
    assert examples.split(everything, 0.2, 11)[1].texts != test.texts


def test_repeated_text_has_its_commonest_label():
    found = examples.collect([("Hi", "a"), ("hi", "b"), ("hi ", "b"), ("ho", "a")])
    assert found.texts == ("Hi", "ho") and [found.classes[label] for label in found.labels] == ["b", "a"]


def test_fingerprint_knows_texts_labels_and_their_order():
    base = examples.collect(many(9))
    assert base.sha256() == examples.collect(many(9)).sha256()
    assert base.sha256() != base.part([1, 0, 2, 3, 4, 5, 6, 7, 8]).sha256()
    assert base.sha256() != examples.Examples(base.texts, base.labels[::-1], base.classes).sha256()


def test_one_class_and_too_few_texts_are_refused():
    with pytest.raises(DataError, match=r"1 class \(a\)"):
        examples.collect([("x", "a"), ("y", "a")])
    with pytest.raises(DataError, match="a 4; at least 5"):
        examples.check_enough(
            examples.collect([(f"{n}", "a") for n in range(4)] + [(f"b{n}", "b") for n in range(9)])
        )
    with pytest.raises(DataError, match="can't be split"):
        examples.split(examples.collect([("x", "a"), ("y", "b")]), 0.5, 1)
