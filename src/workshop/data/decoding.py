"""Bytes to a picture, whatever kind of file they are; limits are checked before any pixel is decoded.

Try it:  python -c "from workshop.data import decoding; print(decoding.kind_of(open('README.md', 'rb').read()))"
Knows nothing of where the bytes come from.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageOps

from workshop.errors import DataError

LARGEST_SIDE = 16_000  # pixels
LARGEST_PIXELS = 50_000_000
RETURNED_SIDE = 2048  # pixels: far more than any network here looks at
# The rest of Pillow's formats are rare, and some start other programs (EPS starts Ghostscript).
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    IndexError,
    struct.error,
    zlib.error,
    MemoryError,
)
_KINDS = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive or office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x7fELF", "a program"),
    (b"GIF8", "a damaged GIF"),
    (b"\x89PNG", "a damaged PNG"),
    (b"\xff\xd8\xff", "a damaged JPEG"),
    (b"RIFF", "a damaged WebP, or a sound or film"),
    (b"II*\x00", "a damaged TIFF"),
    (b"MM\x00*", "a damaged TIFF"),
    (b"BM", "a damaged BMP"),
)


def decode(content: bytes, name: str, largest_side: int | None = RETURNED_SIDE) -> np.ndarray:
    """The picture as uint8 RGB (height, width, 3), upright, its first frame, transparency over white.

    largest_side: larger pictures come scaled down to it; None leaves them as they are.
    Errors: DataError that says what the bytes are, or which limit the picture is over.
    """
    image = _open(content, name)
    _check_size(image, name)
    try:
        if largest_side:
            image.draft("RGB", (largest_side, largest_side))  # JPEG: decoded smaller, in less time and memory
        image.seek(0)
        image.load()
        image = ImageOps.exif_transpose(image)
        if largest_side and max(image.size) > largest_side:
            image = _plain(image)
            image.thumbnail((largest_side, largest_side), Image.Resampling.BOX)
        return np.array(_plain(image), dtype=np.uint8)
    except _DAMAGED as error:
        raise DataError(
            f"{name} is damaged or cut short ({error})", "get it again from where it came"
        ) from error


def kind_of(content: bytes) -> str:
    """What bytes that are no picture seem to be, in words."""
    if not content.strip():
        return "empty"
    start = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script")):
        return "a web page"
    if b"<svg" in start:
        return "an SVG drawing"
    if start.startswith(b"<?xml"):
        return "an XML document"
    if content[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file"
    for magic, kind in _KINDS:
        if content.startswith(magic):
            return kind
    return "text" if _is_text(content[:4096]) else "not of a known kind"


def _open(content: bytes, name: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            return Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        # Pillow refuses such sizes before we see them
        raise _too_large(name, "more than 178 million pixels") from error
    except _DAMAGED as error:
        kind = kind_of(content)
        hint = "save it as JPEG or PNG" if "HEIC" in kind or "SVG" in kind else "give a JPEG or PNG file"
        raise DataError(
            f"{name} is {kind}, not a picture" if kind != "empty" else f"{name} is empty", hint
        ) from error


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if max(width, height) > LARGEST_SIDE or width * height > LARGEST_PIXELS:
        raise _too_large(name, f"{width:,} x {height:,} pixels")
    if min(width, height) < 1:
        raise DataError(f"{name} has no pixels", "give another picture")


def _too_large(name: str, found: str) -> DataError:
    return DataError(
        f"{name} has {found}; at most {LARGEST_SIDE:,} a side and {LARGEST_PIXELS:,} in all are read",
        "scale it down",
    )


def _plain(image: Image.Image) -> Image.Image:
    """RGB without transparency, whatever the mode was."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_eight_bits(np.asarray(image, dtype=np.float64))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        upper = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", upper.size, "white"), upper).convert("RGB")
    return image.convert("RGB")


def _to_eight_bits(values: np.ndarray) -> np.ndarray:
    """16 bits: divided by 257, so that full stays full. Real numbers: stretched to the range they have."""
    values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    lowest, highest = float(values.min()), float(values.max())
    if lowest >= 0 and 255 < highest <= 65535:
        return (values / 257).round().astype(np.uint8)
    if lowest >= 0 and 1 < highest <= 255:
        return values.astype(np.uint8)
    return ((values - lowest) * (255 / max(highest - lowest, 1e-12))).astype(np.uint8)


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        text = start[: error.start].decode("utf-8") if error.start > len(start) - 4 else ""
    return bool(text) and all(sign.isprintable() or sign in "\r\n\t\f" for sign in text)
