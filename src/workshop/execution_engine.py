"""papermill's engine, with events: which cell begins, which line was printed, what was displayed.

Try it:  workshop run 1
Imported only when a notebook runs: papermill and nbclient take a second to load.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager
from papermill.log import logger

from workshop.execution import Event, Listener, code_cells, headings

# TensorFlow's libraries write these lines before any setting for logs is read.
CHATTER = re.compile(r"^(?:[IW]0000 00:00:\d+.*|WARNING: All log messages before absl::.*)\n?", re.MULTILINE)


class KernelEngine(NBClientEngine):
    """Run a notebook in a kernel of a given folder, with given variables, and report to a listener."""

    @classmethod
    def execute_managed_notebook(  # type: ignore[override]
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        *,
        listen: Listener,
        kernel_folder: Path,
        hooks: tuple[Callable[[int], None], Callable[[], None]],
        variables: Mapping[str, str],
        start_timeout: int = 60,
        resources: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        client = _Client(
            nb_man,
            kernel_name=kernel_name,
            startup_timeout=start_timeout,
            timeout=None,
            resources=dict(resources or {}),
            log=logger,
        )
        client.prepare(listen, kernel_folder, *hooks)
        with (kernel_folder / "kernel.log").open("ab") as log:
            client.execute(
                env={**variables, "IPYTHONDIR": str(kernel_folder / "ipython")},
                stdout=log,  # what the kernel itself says; what cells print comes as messages
                stderr=log,
            )


class _Client(PapermillNotebookClient):
    """One execution: turns nbclient's messages into events."""

    def prepare(
        self,
        listen: Listener,
        kernel_folder: Path,
        on_kernel: Callable[[int], None],
        on_done: Callable[[], None],
    ) -> None:
        self.listen, self.kernel_folder = listen, kernel_folder
        self.on_kernel, self.on_done = on_kernel, on_done
        self.headings = headings(self.nb.cells)
        self.code = code_cells(self.nb.cells)
        self.pending = ""

    def create_kernel_manager(self) -> Any:
        folders = KernelSpecManager(kernel_dirs=[str(self.kernel_folder)], ensure_native_kernel=False)
        self.km = AsyncKernelManager(
            kernel_name=self.kernel_name,
            kernel_spec_manager=folders,
            connection_file=str(self.kernel_folder / "connection.json"),
        )
        self.km.transport_encryption = "auto" if zmq.has("curve") else "disabled"
        return self.km

    def start_new_kernel(self, **arguments: Any) -> None:
        super().start_new_kernel(**arguments)
        self.on_kernel(int(self.km.provisioner.pid))  # type: ignore[union-attr]

    def papermill_execute_cells(self) -> None:
        super().papermill_execute_cells()
        if not self.nb.metadata.papermill.get("exception"):  # it stops at a cell that failed, without raising
            self.on_done()

    def execute_cell(self, cell: Any, cell_index: int, *args: Any, **kwargs: Any) -> Any:
        if cell_index in self.code and "".join(cell.source).strip():
            number = self.code.index(cell_index) + 1
            self.listen(Event("cell", number, len(self.code), self.headings[cell_index]))
        try:
            return super().execute_cell(cell, cell_index, *args, **kwargs)
        finally:
            self._flush()

    def process_message(self, *args: Any, **kwargs: Any) -> Any:
        output = super().process_message(*args, **kwargs)
        if output is not None:
            self._tell(output)
        return output

    def _tell(self, output: Any) -> None:
        if output.output_type == "stream":
            self._print(CHATTER.sub("", "".join(output.text)))
        elif "data" in output:
            self._flush()
            self.listen(Event("output", text=str(output.data.get("text/plain", "")), data=dict(output.data)))

    def _print(self, text: str) -> None:
        """Pass on whole lines; a carriage return redraws a line, so only what follows the last one counts."""
        *lines, self.pending = (self.pending + text).split("\n")
        for line in lines:
            self.listen(Event("line", text=line.rstrip("\r").rsplit("\r", 1)[-1]))

    def _flush(self) -> None:
        if self.pending:
            self.listen(Event("line", text=self.pending.rstrip("\r").rsplit("\r", 1)[-1]))
        self.pending = ""
