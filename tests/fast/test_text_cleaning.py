"""Cleaning: what each step does, and that training and serving can't differ in it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workshop.errors import DataError
from workshop.ml.text import cleaning, lemmas, porter

PUBLISHED = ("lower", "strip", "stop-words", "lemma", "stem")


def test_each_step_does_its_own():
    text = "The CATS aren't running!!! soooo http://a.bc/d :)"
    assert cleaning.make(["lower"]).words(text)[-4:] == ["!!!", "soooo", "http", ":)"]
    assert cleaning.make(["lower", "squeeze"]).words(text)[-4:] == ["!!", "soo", "http", ":)"]
    assert cleaning.make(["strip"]).words("Cats, (and) dogs!") == ["Cats", "and", "dogs"]
    assert cleaning.make(["strip", "stop-words"], ["the"]).words("The cat") == ["cat"]
    assert cleaning.make(["strip", "lemma"], (), {"mice": "mouse"}).words("mice") == ["mouse"]
    assert cleaning.make(["lower", "strip", "stem"]).words("Running") == ["run"]


@pytest.mark.parametrize("mark", "'’`´")
def test_negation_stays_whatever_apostrophe_it_has(mark):
    steps = cleaning.make(
        ["lower", "strip", "stop-words"], ["do", "not", "n't", "no", "never", "don't", "it"]
    )
    assert steps.words(f"do don{mark}t like it, no, never NOT") == ["n't", "like", "no", "never", "not"]


@pytest.mark.parametrize(
    "text", ["", "   ", "🙂🙂", "مرحبا بالعالم", "\x00\ud800", "n't", "'", "a" * 10_000, "'" * 500]
)
@pytest.mark.parametrize("steps", [PUBLISHED, ("lower", "squeeze"), ()])
def test_any_text_has_words_or_none_but_no_error(steps, text):
    assert all(isinstance(word, str) and word for word in cleaning.make(steps, ["the"]).words(text))


def test_what_an_artefact_holds_cleans_the_same():
    steps = cleaning.make(PUBLISHED, ["the", "a"], {"geese": "goose"})
    again = cleaning.from_json(json.loads(json.dumps(steps.as_json())))
    assert again == steps
    assert again.words("The geese weren't RUNNING") == steps.words("The geese weren't RUNNING")


def test_unknown_step_is_named():
    with pytest.raises(DataError, match="no cleaning step stemm"):
        cleaning.parse_steps("lower,stemm")
    assert cleaning.parse_steps("none") == ()


@pytest.mark.parametrize(
    "broken", [{}, {"steps": ["fly"]}, {"steps": [], "stop_words": 3, "lemmas": {}}, None]
)
def test_cleaning_that_can_not_be_read_is_refused(broken):
    with pytest.raises((DataError, TypeError) if broken is None else DataError):
        cleaning.from_json(broken)


def test_stemmer_is_nltks_and_leaves_nltk_whole():
    script = """
from workshop.ml.text import porter
stem = porter.stemmer()
import sys
assert not any(name.split(".")[0] == "nltk" for name in sys.modules), "a hollow nltk was left"
from nltk.stem import PorterStemmer
words = "running flies happily generalizations y's sky dying skies news innings proceed exceed succeed".split()
assert [stem(word) for word in words] == [PorterStemmer().stem(word) for word in words]
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert porter.stemmer() is porter.stemmer()


def wordnet(folder: Path) -> Path:
    """A WordNet of three nouns, in its own format."""
    folder.mkdir(parents=True)
    for kind in ("adj", "adv", "verb", "noun"):
        (folder / f"index.{kind}").write_text("")
        (folder / f"data.{kind}").write_text("")
        (folder / f"{kind}.exc").write_text("")
    (folder / "noun.exc").write_text("geese goose\n")
    (folder / "index.noun").write_text(
        "".join(f"{noun} n 1 0 1 0 00000001  \n" for noun in ("goose", "house", "bus"))
    )
    (folder / "index.sense").write_text("")
    (folder / "lexnames").write_text("00\tnoun.Tops\t1\n")
    (folder / "data.adj").write_text("  1 a licence  \n")
    return folder


@pytest.mark.filterwarnings("ignore:The multilingual")
def test_lemma_is_asked_of_a_wordnet_folder(tmp_path):
    lemma = lemmas.of(wordnet(tmp_path / "nltk_data" / "corpora" / "wordnet"))
    assert [lemma(word) for word in ("geese", "houses", "buses", "qwrtp")] == [
        "goose",
        "house",
        "bus",
        "qwrtp",
    ]


@pytest.mark.filterwarnings("ignore:The multilingual")
def test_folder_that_is_no_wordnet_is_refused(tmp_path):
    with pytest.raises(DataError, match="can't be read as WordNet"):
        lemmas.of(tmp_path)
