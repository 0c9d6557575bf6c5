"""See to it that no container outlives a server that was killed.

Try it:  workshop up; kill -9 $(jq .pid .workshop/localaws.json); docker ps
A small process of its own holds one end of a pipe; the server holds the other. When the server ends in order it
says so and all is cleared away already; when the pipe just closes, the process removes what carries the
server's label, with the docker command, and ends. It starts with built-in modules only, to cost little.

Arguments: the pipe's file descriptor, then pairs of the kind of thing (container, volume, network, image) and
the filter or name by which it is found.
"""

import os
import subprocess
import sys

DONE = b"."
# A server may have been killed because the machine is short of everything: give Docker time.
CALL_SECONDS = 120
LISTS = {"container": ["ps", "--all"], "volume": ["volume", "ls"]}
REMOVES = {
    "container": ["rm", "--force", "--volumes"],
    "volume": ["volume", "rm"],
    "network": ["network", "rm"],
    "image": ["image", "rm"],
}


class Watchdog:
    """The server's side: starts the process, and sends it away at an orderly end."""

    def __init__(self, what: "list[tuple[str, str]]") -> None:
        reader, self._writer = os.pipe()
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    __file__,
                    str(reader),
                    *(word for pair in what for word in pair),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(reader,),
                start_new_session=True,  # a signal to the server's group must not take it along
                cwd="/",
            )
        finally:
            os.close(reader)

    def dismiss(self) -> None:
        """The server has cleared away what it made. Calling it again does nothing."""
        if self._process.poll() is None:
            os.write(self._writer, DONE)
            os.close(self._writer)
            self._process.wait()


def _docker(*words):
    return subprocess.run(
        ["docker", *words], capture_output=True, text=True, timeout=CALL_SECONDS
    ).stdout.split()


def sweep(what):
    """Remove each kind of thing; what others still use stays, which Docker itself sees to."""
    for kind, name in what:
        listing = LISTS.get(kind)
        found = _docker(*listing, "--quiet", "--filter", name) if listing else [name]
        if found:
            _docker(*REMOVES[kind], *found)


def main(arguments):
    """Wait for the server's word, or for its end."""
    descriptor, *words = arguments
    if os.read(int(descriptor), 1) != DONE:
        sweep(list(zip(words[::2], words[1::2], strict=True)))


if __name__ == "__main__":
    main(sys.argv[1:])
