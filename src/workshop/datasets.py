"""Find a dataset: data directory, cache, verified download, else the built-in sample, and say which.

Try it:  python -c "from workshop import datasets; print(datasets.find('cifar10').note)"
What exists and what its bytes must be stands in data/datasets.toml. Knows nothing of networks that learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from workshop.data import catalogue, cifar, drawings, files, formats, samples, sources, surveys
from workshop.data import texts as text_files
from workshop.data.catalogue import Entry
from workshop.data.download import Downloader, Mismatch, Progress
from workshop.data.reach import Reach
from workshop.data.surveys import Surveys
from workshop.errors import DataError
from workshop.ml.pictures import Pictures
from workshop.ml.text.examples import Examples, collect
from workshop.settings import Settings, load

Source = Literal["data directory", "cache", "download", "sample"]
DAMAGED = "damaged"  # the source that `status` names for wrong bytes
TEXTS = ("tweets", "isear")  # sets of labelled texts
SURVEY = "airline"
_SIDES = {"cifar10": 32, "catvnoncat": 64}  # pixels
_reaches: dict[Path, Reach] = {}


@dataclass(frozen=True)
class Dataset:
    """Where a dataset lies. note: always one line for the reader; files: by role, as in datasets.toml."""

    name: str
    path: Path
    source: Source
    is_sample: bool
    note: str
    form: str = ""
    files: dict[str, Path] = field(default_factory=dict)
    licence: str = ""

    def __str__(self) -> str:
        return self.note


class Sets(NamedTuple):
    """Labelled pictures to train on and to test on, of the same classes."""

    train: Pictures
    test: Pictures


@dataclass(frozen=True)
class Photo:
    """One photograph; is_cat is None where nobody has said."""

    name: str
    path: Path
    is_cat: bool | None


@dataclass(frozen=True)
class Status:
    """One row for a person: what `find` would use now without touching the network."""

    name: str
    source: str
    path: Path | None
    size_bytes: int
    note: str
    licence: str


def find(
    name: str,
    settings: Settings | None = None,
    *,
    download: bool = True,
    sample: bool = True,
    on_progress: Progress | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Dataset:
    """The first of: data directory, cache, download, sample. `note` says which, and why not an earlier one.

    on_progress(file, bytes so far, bytes in all) is called while downloading, on_line(text) when it waits.
    Errors: DataError for a missing data directory, wrong bytes, a full disk, or when nothing is left to use.
    """
    settings = settings or load()
    entry = catalogue.entry(settings.root, name)
    reasons: list[str] = []
    dataset = _here(entry, settings, reasons)
    if dataset is None and download:
        reach = _reaches.setdefault(settings.cache_dir, Reach(settings.cache_dir))
        if not sample:
            reach.forget()  # a person asks for the real data: believe no earlier failure
        dataset = _fetched(entry, settings, Downloader(reach, on_progress, on_line), reasons)
    if dataset is None and sample:
        dataset = _sample(entry, settings, reasons)
    if dataset is None:
        raise DataError(f"{name}: {', '.join(reasons)}", _remedy(entry, settings))
    return _with_also(dataset, entry, settings, download)


def fetch(name: str, settings: Settings | None = None, *, on_progress: Progress | None = None) -> Dataset:
    """Like find, but never the sample: DataError says why the data can't be had. Tries the network anew."""
    return find(name, settings, sample=False, on_progress=on_progress)


def pictures(which: str | Dataset, settings: Settings | None = None) -> Sets:
    """Train and test pictures of 'cifar10' (32x32) or 'catvnoncat' (64x64), by name or as found.

    Shapes: images uint8 RGB (N, side, side, 3); labels int64 (N,), indices into `classes`.
    """
    settings = settings or load()
    dataset = find(which, settings) if isinstance(which, str) else which
    if dataset.name not in _SIDES:
        raise DataError(f"'{dataset.name}' is no set of labelled pictures", f"one of {', '.join(_SIDES)}")
    read, key = _reader(dataset)
    return Sets(*formats.decoded_once(key, settings.cache_dir, read))


def texts(which: str | Path | Dataset, settings: Settings | None = None) -> Examples:
    """Labelled texts of 'tweets' (3 classes) or 'isear' (7), by name or as found, or of a CSV file of your own.

    Each text is there once, whatever its case and blanks.
    """
    if isinstance(which, Path):
        return collect(text_files.read_csv(which))
    dataset = find(which, settings) if isinstance(which, str) else which
    if dataset.name not in TEXTS:
        raise DataError(f"'{dataset.name}' is no set of labelled texts", f"one of {', '.join(TEXTS)}")
    read = text_files.read_isear if dataset.form == "isear table" else text_files.read_csv
    return collect(read(dataset.path))


def satisfaction(which: str | Dataset = SURVEY, settings: Settings | None = None) -> Surveys:
    """The passengers' answers to learn from and to score on, each cell checked.

    Errors: FormatError with each wrong cell, by file, line and column.
    """
    dataset = find(which, settings) if isinstance(which, str) else which
    if dataset.name != SURVEY:
        raise DataError(f"'{dataset.name}' is no survey of passengers", f"the one there is: {SURVEY}")
    if "answers" in dataset.files:
        return surveys.read_zip(dataset.files["answers"])
    return surveys.read_files(dataset.files["train"], dataset.files["test"])


def stop_words(which: str | Dataset = "stopwords", settings: Settings | None = None) -> frozenset[str]:
    """NLTK's English stop words, or ours; negations are among them, which `ml.text.cleaning` takes out."""
    dataset = find(which, settings) if isinstance(which, str) else which
    return text_files.words_of(dataset.path)


def photos(which: str | Dataset = "photos", settings: Settings | None = None) -> list[Photo]:
    """The photographs for the classifier, by name, each with what is known: cat, no cat, or None."""
    settings = settings or load()
    dataset = find(which, settings) if isinstance(which, str) else which
    if dataset.is_sample:
        return [Photo(name, path, name in samples.CATS) for name, path in dataset.files.items()]
    table = [file for form in catalogue.entry(settings.root, "photos").forms for file in form.files]
    # By their bytes: a learner's own cat.bmp is not the one that the table speaks of.
    known = {digest: file.is_cat for file in table for digest in (file.sha256, file.wheel_sha256) if digest}
    return [
        Photo(path.stem, path, known.get(files.sha256_of(path))) for path in sorted(_photo_files(dataset))
    ]


def class_names(settings: Settings | None = None) -> list[str]:
    """ImageNet's 1,000 class names in the order of SqueezeNet's outputs, without their WordNet numbers.

    Where the list is not to be had the cats are still named, the others are 'class N'.
    """
    try:
        path = find("synset", settings).path
    except DataError:
        return [samples.CAT_NAMES.get(number, f"class {number}") for number in range(1000)]
    return [line.split(" ", 1)[-1] for line in path.read_text(encoding="utf-8").splitlines()]


def names(settings: Settings | None = None) -> list[str]:
    """Every dataset of the table, without those that only come along with another."""
    table = catalogue.read((settings or load()).root)
    along = {entry.also for entry in table.values()}
    return [name for name in table if name not in along]


def status(settings: Settings | None = None) -> list[Status]:
    """A row for each dataset; nothing is downloaded and no host is asked."""
    settings = settings or load()
    rows = []
    for name in names(settings):
        entry = catalogue.entry(settings.root, name)
        try:
            found = find(name, settings, download=False, sample=False)
            size = sum(_size_bytes(path) for path in found.files.values())
            rows.append(Status(name, found.source, found.path, size, found.note, entry.licence))
        except Mismatch as error:
            rows.append(Status(name, DAMAGED, None, 0, error.message, entry.licence))
        except DataError as error:
            form = next((form for form in entry.forms if form.can_be_fetched), None)
            size = sum(file.size_bytes or 0 for file in form.files) if form else 0
            rows.append(Status(name, "not here", None, size, error.message, entry.licence))
    return rows


def _here(entry: Entry, settings: Settings, reasons: list[str]) -> Dataset | None:
    """From the data directory or the cache."""
    if settings.data_dir is None:
        reasons.append("no data directory")
    else:
        found = sources.in_data_directory(entry, settings.data_dir)
        if found:
            return _dataset(entry, found, "data directory", "from the data directory", [])
        looked_for = entry.forms[0].files[0].paths[0]
        reasons.append(f"not in the data directory {settings.data_dir} (looked for {looked_for} and others)")
    found = sources.in_cache(entry, _cache_of(entry, settings))
    return _dataset(entry, found, "cache", "from the cache", reasons[1:]) if found else None


def _fetched(entry: Entry, settings: Settings, by: Downloader, reasons: list[str]) -> Dataset | None:
    before = list(reasons)
    found = sources.downloaded(entry, _cache_of(entry, settings), by, reasons)
    return _dataset(entry, found, "download", "downloaded", before) if found else None


def _dataset(entry: Entry, found: sources.Found, source: Source, how: str, reasons: list[str]) -> Dataset:
    why = f" ({', '.join(reasons)})" if reasons and reasons != ["no data directory"] else ""
    note = f"{entry.name}: {found.form.name} {how}{why}"
    return Dataset(entry.name, found.path, source, False, note, found.form.name, found.files, entry.licence)


def _sample(entry: Entry, settings: Settings, reasons: list[str]) -> Dataset | None:
    made = samples.make(entry.sample, settings.root, settings.cache_dir)
    if made is None:
        reasons.append("no sample is built in")
        return None
    note = f"{entry.name}: {', '.join(reasons)}: using the built-in sample, {made.what}"
    return Dataset(entry.name, made.path, "sample", True, note, entry.sample, made.files, made.licence)


def _with_also(dataset: Dataset, entry: Entry, settings: Settings, download: bool) -> Dataset:
    if not entry.also or dataset.is_sample:
        return dataset
    try:
        more = find(entry.also, settings, download=download)
    except DataError as error:
        return replace(dataset, note=f"{dataset.note}; without {error.message}")
    return replace(dataset, files={**dataset.files, **more.files})


def _cache_of(entry: Entry, settings: Settings) -> Path:
    return settings.cache_dir / "datasets" / entry.name


def _reader(dataset: Dataset) -> tuple[Callable[[], formats.Sets], str]:
    """How to decode this dataset, and a key that changes with its bytes."""
    path, side = dataset.path, _SIDES[dataset.name]
    if dataset.form == "drawn cat or not":
        return samples.cat_or_not, f"{dataset.form} {drawings.VERSION}"
    if dataset.form == "h5":
        train, test = dataset.files["train"], dataset.files["test"]
        return lambda: formats.from_hdf5(train, test), f"h5 {formats.key_of(train)} {formats.key_of(test)}"
    key = f"{dataset.form} {side} {formats.key_of(path)}"
    if dataset.form.startswith("original"):
        return lambda: cifar.read(path), key
    read = formats.from_folder if path.is_dir() else formats.from_zip
    return lambda: read(path, side), key


def _photo_files(dataset: Dataset) -> set[Path]:
    """The dataset's own, and in a data directory the learner's beside them."""
    found = {path for path in dataset.files.values() if path.is_file()}
    folder = dataset.files.get("pictures", dataset.path)
    if dataset.source == "data directory" and folder.is_dir():
        found |= {path for path in folder.iterdir() if path.suffix.lower() in samples.SUFFIXES}
    return found


def _remedy(entry: Entry, settings: Settings) -> str:
    if settings.data_dir is None:
        return "connect to a network, or export WORKSHOP_DATA_DIR=<a folder that holds it>"
    return f"connect to a network, or put {entry.forms[0].files[0].paths[0]} into {settings.data_dir}"


def _size_bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
