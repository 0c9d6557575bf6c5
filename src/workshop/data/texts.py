"""Files of labelled texts to pairs of text and label: CSV with `text,label_text`, and ISEAR's own format.

Try it:  python -c "from workshop.data import texts; print(texts.read_csv('data/samples/sentences.csv')[:2])"
Every problem of a file is told at once, by its line. Knows nothing of where files come from, nor of learning.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path

from workshop.errors import DataError

TEXT, LABEL = "text", "label_text"
LARGEST_BYTES = 200_000_000
LONGEST_TEXT = 100_000  # characters; csv's own limit is about as high, and its error names no line
TOLD = 5  # of many problems, so many are listed

# ISEAR, as published: a line break of the questionnaire is an á of its own or a bar, a quotation mark a backslash.
_ISEAR_MARKS = re.compile(r'(?<!\S)á(?!\S)|[|\\"]')
_ISEAR_PLACEHOLDER = re.compile(
    r"\[.*\]|(no (response|answer|reponse)|none|nothing|blank|(doesn't|does not) apply|not applicable.*)\W*",
    re.IGNORECASE,
)

Pairs = list[tuple[str, str]]


class FormatError(DataError):
    """A file of texts is no such file: not UTF-8, without the columns, or with lines that can't be used."""


def read_csv(path: str | Path) -> Pairs:
    """Read a CSV file in UTF-8 with the columns `text` and `label_text`; others are left aside.

    Errors: FormatError that names the columns found, or the lines without text or label.
    """
    place = Path(path)
    pairs, problems = parse(_content(place), place)
    if problems:
        raise FormatError(f"{place}: {listed(problems)}", "mend these lines, or take them out")
    if not pairs:
        raise FormatError(f"{place} holds no texts", f"put lines of {TEXT},{LABEL} below its first line")
    return pairs


def parse(content: bytes, where: str | Path) -> tuple[Pairs, list[str]]:
    """Rows of text and label as they stand there, and what is wrong with single lines.

    where: what errors call the file.
    Errors: FormatError if it is no such file at all.
    """
    rows = csv.DictReader(_lines(content, where), strict=True)
    pairs: Pairs = []
    problems: list[str] = []
    try:
        missing = [name for name in (TEXT, LABEL) if name not in (rows.fieldnames or ())]
        if missing:
            found = ", ".join(rows.fieldnames or ()) or "none"
            raise FormatError(
                f"{where} has no column {' and no '.join(missing)} (its columns: {found[:200]})",
                f"its first line must name {TEXT} and {LABEL}, separated by commas",
            )
        for row in rows:
            text, label = (row[TEXT] or "").strip(), (row[LABEL] or "").strip()
            problem = _problem(text, label)
            if problem:
                problems.append(f"line {rows.line_num}: {problem}")
            pairs.append((text, label))
    except csv.Error as error:
        raise FormatError(
            f"{where}, line {rows.line_num}: {error}",
            "a text that holds commas or quotes is put in quotes, as in RFC 4180",
        ) from error
    return pairs, problems


def listed(problems: list[str]) -> str:
    """The first few of many problems, and how many there are besides."""
    more = f" and {len(problems) - TOLD} more" if len(problems) > TOLD else ""
    return "; ".join(problems[:TOLD]) + more


def read_isear(path: str | Path) -> Pairs:
    """Read ISEAR's table: bars between fields and, in 163 lines, inside the text.

    Lines that only say that there is nothing to say are left out.

    Errors: FormatError if it is another table.
    """
    place = Path(path)
    lines = _lines(_content(place), place)
    header = lines[0].rstrip("\r\n").split("|") if lines else []
    if "SIT" not in header or "Field1" not in header:
        raise FormatError(
            f"{place} is not ISEAR's table: no columns SIT and Field1", "fetch it anew: workshop data"
        )
    text_at, label_at = header.index("SIT"), header.index("Field1")
    after = len(header) - text_at - 1
    pairs: Pairs = []
    for number, line in enumerate(lines[1:], start=2):
        fields = line.rstrip("\r\n").split("|")
        if line.strip() and len(fields) < len(header):
            raise FormatError(
                f"{place}, line {number}: {len(fields)} fields, expected {len(header)}", "fetch it anew"
            )
        if line.strip():
            raw = "|".join(fields[text_at : len(fields) - after])
            text = " ".join(_ISEAR_MARKS.sub(" ", raw).split())
            if text and not _ISEAR_PLACEHOLDER.fullmatch(text):
                pairs.append((text, fields[label_at]))
    return pairs


def words_of(path: str | Path) -> frozenset[str]:
    """Read a list of words, one a line; of NLTK's zip, the English one."""
    place = Path(path)
    if place.suffix == ".zip":
        with zipfile.ZipFile(place) as archive:
            lines = archive.read("stopwords/english").decode().splitlines()
    else:
        lines = _lines(_content(place), place)
    return frozenset(word for line in lines if (word := line.strip()))


def _problem(text: str, label: str) -> str:
    if not text:
        return "no text"
    if not label:
        return "no label"
    return f"{len(text):,} characters, at most {LONGEST_TEXT:,}" if len(text) > LONGEST_TEXT else ""


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise FormatError(f"{path} has more than {LARGEST_BYTES / 1e6:.0f} MB", "give a part of it")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}", f"relative paths count from {Path.cwd()}") from error
    except OSError as error:
        raise DataError(
            f"{path} can't be read ({error.strerror or error})", "check the path and its rights"
        ) from error


def _lines(content: bytes, where: str | Path) -> list[str]:
    """Lines with their ends, cut at line feeds alone: a text may hold other signs that Python calls line breaks."""
    try:
        return io.StringIO(content.decode("utf-8-sig"), newline="\n").readlines()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FormatError(
            f"{where} is not UTF-8: line {line} has the byte 0x{content[error.start]:02x}",
            f"iconv -f WINDOWS-1252 -t UTF-8 {Path(where).name} > utf-8.csv, or save it as UTF-8",
        ) from error
