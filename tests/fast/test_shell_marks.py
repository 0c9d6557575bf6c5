"""The marks around a shell command's output, and the terminal that is given back as it was."""

import os
import pty
import subprocess
import termios

import pytest

from workshop.aws import task_shell_terminal as shell

BEGIN, END = b"\033]6973;word;begin\007", b"\033]6973;word;3\007"


def read(*pieces: bytes) -> tuple[bytes, shell.Marks]:
    marks = shell.Marks("word")
    return b"".join(marks.feed(piece) for piece in pieces), marks


def test_what_stands_between_the_marks_is_the_output_and_the_last_mark_the_exit_code():
    shown, marks = read(b"banner" + BEGIN + b"hello\n" + END + b"rest")
    assert (shown, marks.has_begun, marks.exit_code) == (b"hello\n", True, 3)


def test_marks_are_found_wherever_the_bytes_are_split():
    stream = b"banner" + BEGIN + b"a\033]b" + END
    for at in range(len(stream)):
        shown, marks = read(stream[:at], stream[at:])
        assert (shown, marks.exit_code) == (b"a\033]b", 3), at
    shown, marks = read(*(stream[n : n + 1] for n in range(len(stream))))
    assert (shown, marks.exit_code) == (b"a\033]b", 3)


def test_marks_with_another_word_are_output():
    other = END.replace(b"word", b"else")
    assert read(BEGIN + other)[0] == other


def test_nothing_is_known_of_a_command_that_did_not_end():
    shown, marks = read(BEGIN + b"half")
    assert (shown, marks.exit_code) == (b"half", None)


@pytest.mark.parametrize("as_pipe", [True, False])
@pytest.mark.parametrize(
    ("command", "output", "code"),
    [
        ("echo 'one  two' \"$HOME\"", b"one  two /h\n", 0),
        ("exit 3", b"", 3),
        ("kill -INT $$", b"", 130),
        ("printf 'a\\tb\n'; false # comment", b"a\tb\n", 1),
        ("nothing-by-this-name 2>/dev/null", b"", 127),
        ("if", b"", 2),
    ],
)
def test_wrapped_command_is_run_by_a_shell_as_it_stands(command, output, code, as_pipe):
    line = shell.wrapped(command, "word", as_pipe)
    answer = subprocess.run(
        ["sh", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, env={**os.environ, "HOME": "/h"}
    )
    shown, marks = read(answer.stdout)
    assert (shown, marks.exit_code) == (output, code)


def test_without_a_command_a_script_from_a_pipe_is_run():
    line = shell.wrapped("", "word", as_pipe=True)
    answer = subprocess.run(["sh", "-c", line], input=b"echo $((6 * 7))\nexit 5\n", capture_output=True)
    shown, marks = read(answer.stdout)
    assert (shown, marks.exit_code) == (b"42\n", 5)


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, SystemExit, ValueError])
def test_terminal_is_given_back_as_it_was_whatever_happens(error):
    master, slave = pty.openpty()
    try:
        before = termios.tcgetattr(slave)
        try:
            with shell.raw(slave):
                assert termios.tcgetattr(slave) != before
                if error:
                    raise error
        except BaseException as seen:
            assert type(seen) is error
        assert termios.tcgetattr(slave) == before
    finally:
        os.close(master)
        os.close(slave)
