"""Whatever somebody gives as a picture ends as an array, or as an error that says what it was."""

from __future__ import annotations

import io
import socket
import threading
import time

import numpy as np
import pytest
from loopback import body, serve
from PIL import Image

from workshop import inputs
from workshop.data import addresses, decoding, web
from workshop.errors import DataError

LOCAL = web.Limits(allow_private=True)


def picture(width=40, height=30, mode="RGB", kind="PNG", **options):
    gradient = np.linspace(0, 255, width * height * 3).reshape(height, width, 3).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(gradient).convert(mode).save(content, kind, **options)
    return content.getvalue()


def encoded(image, kind="PNG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def refusal(where, **options):
    with pytest.raises(DataError) as caught:
        inputs.open_picture(where, **options)
    return caught.value.message


# --- what a picture may be


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("CMYK", "JPEG"), ("L", "JPEG"), ("P", "PNG"), ("1", "PNG"), ("LA", "PNG"),
     ("RGBA", "PNG"), ("RGB", "BMP"), ("P", "GIF"), ("RGB", "WEBP"), ("RGB", "TIFF")],
)  # fmt: skip
def test_every_common_kind_of_picture_becomes_rgb(mode, kind):
    image = inputs.open_picture(picture(mode=mode, kind=kind))
    assert image.shape == (30, 40, 3) and image.dtype == np.uint8
    assert image[2].mean() < image[-2].mean()


def test_sixteen_bits_are_scaled_and_not_cut():
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    image = inputs.open_picture(encoded(Image.fromarray(values)))
    assert image[0, :, 0].tolist() == [0, 1, 128, 255]


def test_transparent_pixels_become_white():
    assert inputs.open_picture(encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 0)))).min() == 255
    palette = Image.new("P", (2, 2), 0)
    assert inputs.open_picture(encoded(palette, "GIF", transparency=0)).min() == 255


def test_turned_photograph_comes_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    image = inputs.open_picture(picture(kind="JPEG", exif=exif))
    assert image.shape == (40, 30, 3)


def test_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    image = inputs.open_picture(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert image[0, 0].tolist() == [255, 0, 0]


def test_large_picture_comes_scaled_down_unless_asked_otherwise():
    content = encoded(Image.new("RGB", (5000, 2500), "green"), "JPEG")
    assert inputs.open_picture(content).shape == (1024, 2048, 3)
    assert inputs.open_picture(content, largest_side=None).shape == (2500, 5000, 3)


# --- what is refused


def header_of_png(width, height):
    """A PNG whose header promises a size: enough to be opened, with no pixels in it."""
    import struct
    import zlib

    data = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(data)) + b"IHDR" + data + struct.pack(">I", zlib.crc32(b"IHDR" + data))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\x00\x00\x00\x00IDAT"


@pytest.mark.parametrize(
    "size", [(20_000, 20_000), (20_000, 10), (10, 16_001), (10_000, 9_000), (9_000, 6_000)]
)
def test_too_large_picture_is_refused_before_it_is_decoded(size):
    assert "at most 16,000 a side and 50,000,000 in all" in refusal(header_of_png(*size))


def test_text_named_jpg_is_called_text(tmp_path):
    path = tmp_path / "cat.jpg"
    path.write_text("Dear diary, today I saw a cat.")
    assert refusal(path) == "cat.jpg is text, not a picture"


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"<!DOCTYPE html><html>", "a web page"), (b"%PDF-1.7 ...", "a PDF document"),
     (b"<svg xmlns='x'>", "an SVG drawing"), (b"PK\x03\x04zip", "a zip archive"),
     (b"\x00\x00\x00\x20ftypheic", "HEIC"), (b"", "empty"), (b"\x00\x01\x02\xff" * 9, "not of a known kind"),
     (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "text")],
)  # fmt: skip
def test_what_is_no_picture_is_called_by_its_kind(content, kind):
    assert kind in refusal(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_picture_that_ends_half_way_is_refused(kind):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), kind)
    assert "damaged" in refusal(content[: len(content) // 2])


def test_path_errors_say_what_is_there(tmp_path):
    assert "does not exist" in refusal(tmp_path / "none.jpg")
    assert "is a folder" in refusal(tmp_path)
    assert "not an ordinary file" in refusal("/dev/zero")
    assert "no picture is named" in refusal("  ")


def test_large_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(21_000_000)
    assert "21.0 MB; at most 20 MB" in refusal(path)


# --- addresses


def test_picture_by_url_and_by_file_address(tmp_path):
    (tmp_path / "a cat.png").write_bytes(picture())
    assert inputs.open_picture((tmp_path / "a cat.png").as_uri()).shape == (30, 40, 3)
    with serve(body(picture(), kind="image/png")) as site:
        assert inputs.open_picture(f"{site.url}/a cat.png?size=1", limits=LOCAL).shape == (30, 40, 3)
    assert site.requests[0][0] == "/a%20cat.png?size=1"


def test_other_schemes_are_read_by_the_given_function():
    assert inputs.open_picture("s3://bucket/cat.png", fetch=lambda url: picture()).shape == (30, 40, 3)
    assert "s3://" in refusal("s3://bucket/cat.png")
    assert "another machine" in refusal("file://server/share/cat.png")


def test_missing_page_is_an_error_with_its_status_and_without_the_query():
    with serve(body(b"gone", status=404)) as site:
        message = refusal(f"{site.url}/cat.jpg?signature=secret", limits=LOCAL)
    assert "404 Not Found" in message and "secret" not in message


def test_web_page_is_called_a_web_page():
    with serve(body(b"\n<!doctype html><p>a cat", kind="text/html")) as site:
        assert "cat is a web page, not a picture" in refusal(f"{site.url}/cat", limits=LOCAL)


def test_answer_that_is_too_large_is_cut_off():
    limits = web.Limits(largest_bytes=1000, allow_private=True)

    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 10_000)

    with serve(body(b"x" * 1001)) as announced, serve(endless) as unannounced:
        for site in (announced, unannounced):
            assert "is larger than" in refusal(site.url, limits=limits)


@pytest.mark.parametrize("where", ["before the answer", "in the headers", "in the body"])
def test_server_that_drips_or_never_answers_is_left_when_its_time_is_up(where):
    over = threading.Event()

    def drip(handler):
        if where == "in the body":
            handler.send_response(200)
            handler.end_headers()
        elif where == "in the headers":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not over.wait(0.02):
            if where != "before the answer":
                handler.wfile.write(b"x")
                handler.wfile.flush()

    limits = web.Limits(connect_timeout_seconds=0.2, total_timeout_seconds=0.4, allow_private=True)
    with serve(drip) as site:
        started = time.monotonic()
        assert "took too long" in refusal(site.url, limits=limits)
        assert time.monotonic() - started < 2
        over.set()


def test_server_that_hangs_up_early_is_an_error():
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"x" * 10)

    with serve(answer) as site:
        assert "ended after 10 of 1000 bytes" in refusal(site.url, limits=LOCAL)


def test_what_speaks_no_http_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            connection, _ = server.accept()
            connection.sendall(b"220 smtp ready\r\n")
            connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        message = refusal(f"http://127.0.0.1:{server.getsockname()[1]}/cat.jpg", limits=LOCAL)
        thread.join()
    assert "can't be read" in message


def redirect(target):
    return body(b"", status=302, Location=target)


def test_redirects_are_followed_but_not_for_ever():
    with serve(body(picture())) as end, serve(redirect(end.url + "/cat.png")) as start:
        assert inputs.open_picture(start.url, limits=LOCAL).shape == (30, 40, 3)
    with serve(redirect("/again")) as loop:
        assert "more than 3 redirects" in refusal(loop.url, limits=LOCAL)
    assert len(loop.requests) == 4


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://example.org/x", "http://169.254.169.254/latest"]
)
def test_redirect_is_judged_like_an_address_given(target):
    with serve(redirect(target)) as site:
        message = refusal(site.url, limits=LOCAL)
    assert "link-local" in message or "not an http or https address" in message


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "[fe80::1]", "[::ffff:169.254.169.254]",
     "[64:ff9b::a9fe:a9fe]", "2852039166", "0xa9fea9fe"],
)  # fmt: skip
@pytest.mark.parametrize("allow_private", [True, False])
def test_address_that_hands_out_credentials_is_never_asked(host, allow_private):
    message = refusal(f"http://{host}/latest/meta-data", limits=web.Limits(allow_private=allow_private))
    assert "credentials" in message


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.0.0.1", "[::1]", "192.168.1.1", "100.100.100.200"]
)
def test_loopback_and_private_addresses_are_only_for_the_local_target(host):
    assert "local target" in refusal(f"http://{host}:9/cat.jpg", allow_private=False)


def test_target_decides_about_loopback(monkeypatch):
    monkeypatch.setenv("WORKSHOP_TARGET", "aws")
    with serve(body(picture())) as site:
        assert "local target" in refusal(site.url)
        monkeypatch.setenv("WORKSHOP_TARGET", "local")
        assert inputs.open_picture(site.url).shape == (30, 40, 3)


def test_name_is_looked_up_once_and_its_address_used(monkeypatch):
    asked = []

    def lookup(host, port, timeout_seconds):
        asked.append(host)
        return [addresses.ipaddress.ip_address("127.0.0.1")]

    monkeypatch.setattr(addresses, "lookup", lookup)
    with serve(body(picture())) as site:
        inputs.open_picture(site.url.replace("127.0.0.1", "cats.example"), limits=LOCAL)
    assert asked == ["cats.example"]
    assert site.requests[0][1]["Host"].startswith("cats.example:")


# --- several at once


def test_every_bad_picture_of_a_folder_is_reported_and_the_good_ones_kept(tmp_path):
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "b.jpg").write_text("text")
    (tmp_path / "c.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not asked for")
    (tmp_path / ".hidden.png").write_bytes(b"x")
    opened = inputs.open_pictures(tmp_path, on_error="report")
    assert [one.name for one in opened.pictures] == ["a.png"]
    assert [problem.message for problem in opened.problems] == [
        "b.jpg is text, not a picture",
        "c.jpg is empty",
    ]
    with pytest.raises(DataError, match="2 pictures can't be used") as caught:
        inputs.open_pictures(tmp_path)
    assert "b.jpg" in caught.value.message and "c.jpg" in caught.value.message


def test_text_with_commas_and_lists_name_several(tmp_path):
    for name in ("a.png", "b.png", "with, comma.png"):
        (tmp_path / name).write_bytes(picture())
    text = f"{tmp_path / 'a.png'}, {tmp_path / 'b.png'},"
    assert [one.name for one in inputs.open_pictures(text).pictures] == ["a.png", "b.png"]
    single = str(tmp_path / "with, comma.png")
    assert [one.name for one in inputs.open_pictures([single, text]).pictures] == [
        "with, comma.png",
        "a.png",
        "b.png",
    ]


@pytest.mark.parametrize("nothing", ["", " , ", []])
def test_no_picture_at_all_is_an_error(nothing):
    with pytest.raises(DataError):
        inputs.open_pictures(nothing)


def test_only_bad_pictures_are_an_error_even_when_reporting(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        inputs.open_pictures(str(tmp_path / "none.png"), on_error="report")


def test_kind_of_understands_text_cut_inside_a_letter():
    assert decoding.kind_of(("ä" * 3000).encode()[:4096]) == "text"
    assert decoding.kind_of(("xä" * 3000).encode()) == "text"
