# SPDX-License-Identifier: Apache-2.0
"""A command that runs beside the caller, with what it prints."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

__all__ = ["ScriptThread"]

_ENDING_S: Final = 10.0
"""How long a command that the block has told to end has for it."""


class ScriptThread(threading.Thread):
    """Runs a command, logs its output line by line, and waits for its end.

    As a context manager it starts the command, and waits for its end at the end of the block: a command that
    does not end within 10 s, and any after an exception, is sent SIGTERM.
    """

    def __init__(
        self,
        cmd: Sequence[str],
        workdir: str | os.PathLike[str] | None = None,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Describe the command; `start` runs it.

        Args:
            cmd: The command and its arguments.
            workdir: Directory to run it in.
            group: As of threading.Thread.
            target: As of threading.Thread; the command is run in its place.
            name: Name of the thread and of the logger of the output.
            args: As of threading.Thread.
            kwargs: As of threading.Thread.
        """
        super().__init__(group, target, name, args, kwargs, daemon=True)
        self.cmd = list(cmd)
        self.workdir = workdir
        self.active = False
        self.returncode: int | None = None
        self._process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []
        self._spawned = threading.Event()
        self._logger = logging.getLogger(self.name)

    @property
    def output(self) -> str:
        """What the command has printed so far, on either stream."""
        return "\n".join(self._lines)

    @property
    def process(self) -> subprocess.Popen[str] | None:
        """The running process; a psutil.Popen where psutil is installed, so that it knows its children."""
        return self._process

    def start(self, flag: threading.Event | None = None) -> None:
        """Run the command.

        Args:
            flag: Set once it runs, or has turned out not to run.
        """
        if flag is not None:
            self._spawned = flag
        super().start()

    def stop(self) -> None:
        """Ask the command to end; `join` waits for it."""
        self.active = False
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()

    def run(self) -> None:
        """What the thread does."""
        try:
            self._process = _popen_class()(
                self.cmd,
                cwd=self.workdir,
                env={"PYTHONUNBUFFERED": "1", **os.environ},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        finally:
            self.active = self._process is not None
            self._spawned.set()
        with self._process as process:
            assert process.stdout is not None
            for line in process.stdout:
                self._lines.append(line.rstrip())
                self._logger.info("%s", self._lines[-1])
            self.returncode = process.wait()
        self.active, self._process = False, None

    def __enter__(self) -> ScriptThread:
        self.start()
        self._spawned.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.join(_ENDING_S)
        self.stop()
        self.join()


def _popen_class() -> Callable[..., Any]:
    try:
        import psutil
    except ImportError:
        return subprocess.Popen
    return psutil.Popen  # type: ignore[no-any-return]
