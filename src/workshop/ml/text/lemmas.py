"""The lemma of a word, asked of WordNet where it is there.

Try it:  python -c "from workshop.ml.text import lemmas; print(lemmas.of('nltk_data/corpora/wordnet')('mice'))"
Training asks once for each word it meets and keeps the answers in the artefact, so a service needs no WordNet. Loads
the whole of NLTK.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from workshop.errors import DataError


def of(folder: str | Path) -> Callable[[str], str]:
    """Read a WordNet folder, corpora/wordnet of some nltk_data.

    The function returned takes a word to its lemma as a noun, as NLTK's lemmatizer does.
    Errors: DataError if the folder is no WordNet.
    """
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    # NLTK reads below such folders alone, and looks for a second copy of WordNet's numbers there.
    nltk.data.path.append(str(Path(folder).resolve().parents[1]))
    try:
        reader = WordNetCorpusReader(str(folder), None)
    except (OSError, LookupError, ValueError) as error:
        raise DataError(
            f"{folder} can't be read as WordNet ({error})",
            "unpack NLTK's package wordnet there, or remove the folder",
        ) from error
    return lambda word: reader.morphy(word, "n") or word
