# SPDX-License-Identifier: Apache-2.0
"""One worker process, from outside: start it, hear from it, end it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pytriton import exit_status
from pytriton.exceptions import PyTritonRuntimeError
from pytriton.standard_streams import standard_streams
from pytriton.worker.activity import Activity
from pytriton.worker.line import Line
from pytriton.worker.remote_log import levels

__all__ = ["WorkerProcess", "memory_file"]

# The setup tells where modules lie, this one among them. Nothing may be imported from the present directory
# before that: a file there may have the name of a module of the standard library.
_START: Final = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; import json; "
    "f = open(int(sys.argv[1]), 'rb'); s = json.load(f); f.close(); sys.path[:] = s['path']; "
    "from pytriton.worker.child import main; main(s)"
)
_REAP_TIMEOUT_S: Final = 10.0

_open_lines: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()


class WorkerProcess:
    """A process and what binds it to this one: it dies with the lifeline, and with the process group."""

    def __init__(
        self,
        label: str,
        index: int,
        payload: int,
        spec: int,
        *,
        environment: Mapping[str, str],
        beats: bool,
    ) -> None:
        """Start a process.

        Args:
            label: What the process list shows of it.
            index: Its number.
            payload: Descriptor of a file with the function.
            spec: Descriptor of a file with the model.
            environment: Variables besides those of this process.
            beats: Whether it gives a sign of life now and then.
        """
        if not sys.executable:
            raise PyTritonRuntimeError(
                "Worker processes need a Python interpreter to run, but sys.executable is empty: "
                "set it to the interpreter that has pytriton."
            )
        # What the process has of it, and what is only ours if the process can be started.
        with contextlib.ExitStack() as theirs_alone, contextlib.ExitStack() as ours_alone:
            try:
                theirs_alone.enter_context(standard_streams())
                page = Activity.create()
                theirs_alone.callback(os.close, page)
                lifeline, self._lifeline = os.pipe()
                theirs_alone.callback(os.close, lifeline)
                ours_alone.callback(os.close, self._lifeline)
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                theirs_alone.callback(theirs.close)
                ours_alone.callback(ours.close)
                given = {
                    **{"line": theirs.fileno(), "lifeline": lifeline, "activity": page},
                    **{"payload": payload, "spec": spec},
                }
                file = memory_file(json.dumps({**_setup(index, beats), **given}).encode())
                theirs_alone.callback(os.close, file)
                self.activity = Activity(page)
                ours_alone.callback(self.activity.close)
                self._process = _run(label, file, given.values(), environment)
                ours_alone.callback(_end, self._process)
                self.pidfd = os.pidfd_open(self._process.pid)
            except OSError as error:
                raise PyTritonRuntimeError(
                    f"A worker process cannot be run with {sys.executable}: {error}."
                ) from error
            ours_alone.pop_all()
        ours.setblocking(False)
        self.line = Line(ours)
        self._open = True
        _open_lines.add(self)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def kill(self) -> None:
        """Kill it, and what it has started."""
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def reap(self) -> str:
        """What became of the process, which has ended; lets go of all that belongs to it."""
        # Until somebody waits for it, its number is that of its group and of nothing else.
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.wait(_REAP_TIMEOUT_S)
        self.close()
        hint = " (by somebody, or by the kernel for want of memory)" if status == -signal.SIGKILL else ""
        return exit_status.in_words(status) + hint

    def close(self) -> None:
        """Let go of the process; if it still runs, that is its end."""
        if self._close_descriptors():
            self.activity.close()

    def _close_descriptors(self) -> bool:
        """Close them; false if that has been done. Their numbers may be those of other files by then."""
        was_open, self._open = self._open, False
        if was_open:
            self.line.close()
            os.close(self._lifeline)
            os.close(self.pidfd)
            self.pidfd = -1
        return was_open


def memory_file(content: bytes) -> int:
    """Descriptor of a file in memory, at its start."""
    with standard_streams():
        descriptor = os.memfd_create("pytriton-payload", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
            file.seek(0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _setup(index: int, beats: bool) -> dict[str, Any]:
    """What a worker process is to do as this one does, and what it is to know."""
    return {
        "path": [_absolute(path) for path in map(str, sys.path)],
        "argv": sys.argv,
        "levels": levels(),
        "index": index,
        "beats": beats,
    }


def _run(
    label: str, setup: int, descriptors: Iterable[int], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *_interpreter_options(), "-c", _START, str(setup), label],
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        pass_fds=[setup, *descriptors],
        # Ctrl-C goes to a whole process group, but requests are to end first.
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(_REAP_TIMEOUT_S)


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except FileNotFoundError:  # the present directory has been removed
        return path


def _interpreter_options() -> list[str]:
    given = sys._xoptions.items()
    options = [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in given]
    return options + [f"-W{option}" for option in sys.warnoptions]


def _close_in_fork() -> None:
    # A forked child would keep the workers alive when this process has ended.
    for process in list(_open_lines):
        process._close_descriptors()


os.register_at_fork(after_in_child=_close_in_fork)
