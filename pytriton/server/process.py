# SPDX-License-Identifier: Apache-2.0
"""The tritonserver child: start it, know when it is ready, know why it ended, stop it."""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pytriton import exit_status
from pytriton.exceptions import PyTritonServerError
from pytriton.limits import address_space_in_words, address_space_limit, few_descriptors
from pytriton.server import logs
from pytriton.server.control import ControlChannel
from pytriton.server.ports import (
    Endpoint,
    PortTakenError,
    is_listening,
    is_running,
    unsent_sockets,
    why_not_listening,
)
from pytriton.server.preload import Start, preloading
from pytriton.standard_streams import standard_streams

__all__ = ["CONTROL_VARIABLE", "ServerProcess", "StopResult"]

LOGGER = logging.getLogger(__name__)

CONTROL_VARIABLE: Final = "PYTRITON_CONTROL_FD"
_APP_VARIABLE: Final = "PYTRITON_APP_PID"
_START_TIMEOUT_S: Final = 120.0
# Only start-up polls, and only once the server has nothing left to do but open its ports.
_LISTEN_POLL_S: Final = 0.002
_QUIET_POLL_S: Final = 0.005
_QUIET_POLLS: Final = 2
_BUSY_TIMEOUT_S: Final = 0.25
_TERMINATE_TIMEOUT_S: Final = 10.0
# After large answers gRPC's own poller may sleep for ten seconds before it lets the server end.
_IDLE_TIMEOUT_S: Final = 0.5
# The server has nothing left to do then but to wait for its metrics thread, which sleeps for up to a second.
_LINGER_S: Final = 0.1
_KILL_TIMEOUT_S: Final = 10.0
_LAST_WORDS_S: Final = 1.0
_LOG_END_S: Final = 0.5
_NOT_LISTENING: Final = "failed to start "
"""What the server says of its front ends."""


class StopResult(enum.Enum):
    """How a server came to its end."""

    EXITED = "exited"
    KILLED = "killed"
    WAS_GONE = "was gone"


class ServerProcess:
    """One run of a server; the socket to its backend is its lifeline: it never outlives this process."""

    def __init__(
        self,
        command: Sequence[str],
        endpoints: Sequence[Endpoint],
        *,
        environment: Mapping[str, str] | None = None,
        log_file: Path | None = None,
        on_exit: Callable[[], None] | None = None,
    ) -> None:
        """Describe a server.

        Args:
            command: Executable and arguments.
            endpoints: Where it will listen.
            environment: Variables besides those of this process.
            log_file: Where it writes its log instead of its output.
            on_exit: Called from a thread when it has ended without having been asked to.
        """
        self._command = list(command)
        self._endpoints = list(endpoints)
        self._environment = dict(environment or {})
        self._log_file = log_file
        self._log_offset = 0
        self._on_exit = on_exit
        self._owner = os.getpid()
        self._signal_lock = threading.Lock()
        self._exited = threading.Event()
        self._finished = threading.Event()  # it has exited, or its backend has closed the control channel
        self._changed = threading.Event()
        self._was_ready = False
        self._end_is_expected = False
        self._oom_kills = 0
        self._verdict: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._control: ControlChannel | None = None
        self._log: logs.LogPump | None = None
        self._watcher: threading.Thread | None = None

    @property
    def control(self) -> ControlChannel:
        """Commands to the backend inside the server."""
        if self._control is None:
            raise PyTritonServerError("The server was not started.")
        return self._control

    @property
    def pid(self) -> int | None:
        """Process id, once started."""
        return None if self._process is None else self._process.pid

    def is_alive(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and not self._exited.is_set()

    def start(self, timeout_s: float = _START_TIMEOUT_S) -> None:
        """Start the server and wait until it takes requests; on failure nothing is left running."""
        try:
            self._spawn()
            self._wait_ready(time.monotonic() + timeout_s)
        except BaseException:
            self.kill()
            raise

    def wait_quiet(self, timeout_s: float) -> bool:
        """Wait until the answers that the server has given are on their way to the clients."""
        start = time.monotonic()
        polls = 0
        held: set[str] | None = None
        while self.is_alive():
            unsent = unsent_sockets(self._pid, self._endpoints)
            polls = 0 if unsent or is_running(self._pid) else polls + 1
            if polls == _QUIET_POLLS:
                break
            # Clients that go on asking never let it fall quiet; then only answers still being read count.
            held = unsent if held is None else held & unsent
            waited = time.monotonic() - start
            if waited > timeout_s or (waited > _BUSY_TIMEOUT_S and not held):
                return False
            self._exited.wait(_QUIET_POLL_S)
        return True

    def stop(self, *, has_work: bool = True) -> StopResult:
        """End the server, by force if it does not end by itself.

        Args:
            has_work: Whether something is left for it to do, such as to unload models or to write traces.
        """
        self._end_is_expected = True
        if not self.is_alive():
            self.kill()
            return StopResult.WAS_GONE
        self._signal(signal.SIGTERM)
        if not self._finished.wait(_TERMINATE_TIMEOUT_S if has_work else _IDLE_TIMEOUT_S):
            if has_work:
                LOGGER.warning(
                    "The Triton server did not end within %g s and is killed.", _TERMINATE_TIMEOUT_S
                )
            self.kill()
            return StopResult.KILLED
        # The server unloads its backends at the very end: after the last answer, the traces and the log.
        self._exited.wait(_LINGER_S)
        self.kill()
        return StopResult.EXITED

    def condemn(self, verdict: str) -> None:
        """Kill a server that is of no use any more; a sentence says why, as the reason for its end."""
        self._verdict = verdict
        self._signal(signal.SIGKILL)

    def kill(self) -> None:
        """End the server at once, and everything that belongs to it."""
        self._end_is_expected = True
        self._signal(signal.SIGKILL)
        if self._watcher is not None and self._watcher is not threading.current_thread():
            # A signal may have interrupted its start, and then it cannot be joined yet.
            if os.getpid() == self._owner:
                self._exited.wait(_KILL_TIMEOUT_S)
            if self._watcher.is_alive():
                self._watcher.join(_KILL_TIMEOUT_S)
        if self._log is not None:
            self._log.join(_LOG_END_S)
        if self._control is not None:
            self._control.close()

    def why_ended(self) -> str:
        """What is known of the end of the server, in a sentence or two."""
        # The control channel closes a moment before the process is gone.
        self._exited.wait(_LAST_WORDS_S)
        if self.is_alive():
            return "The Triton server closed the control channel to its backend."
        returncode = self._returncode
        ending = "ended" if returncode is None else exit_status.in_words(returncode)
        if returncode != -signal.SIGKILL:
            return f"The Triton server {ending}{self._last_words()}"
        # It could not say anything of this; what it said last is about something else.
        if self._verdict is not None:
            return self._verdict
        if _oom_kills() > self._oom_kills:
            return (
                f"The Triton server {ending}; the kernel has killed processes for lack of memory meanwhile."
            )
        return f"The Triton server {ending}."

    def complaint(self, word: str) -> str:
        """The last failure that the server has logged about something; empty if there is none."""
        if self._log_file is not None:
            lines = map(logs.parse_line, reversed(logs.tail(self._log_file, self._log_offset)))
            return next((line.text for line in lines if line.failure and word in line.text), "")
        return self._log.take_failure(word, _LOG_END_S) if self._log is not None else ""

    def ended_error(self) -> PyTritonServerError:
        """The end of the server as an exception."""
        return PyTritonServerError(self.why_ended())

    @property
    def _returncode(self) -> int | None:
        return None if self._process is None else self._process.returncode

    @property
    def _pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _spawn(self) -> None:
        with standard_streams(), preloading(self._command, os.environ) as start:
            self._spawn_with(start)

    def _spawn_with(self, start: Start) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if self._log_file is not None and self._log_file.exists():
            self._log_offset = self._log_file.stat().st_size
        environment = {
            **os.environ,
            **self._environment,
            **start.variables,
            CONTROL_VARIABLE: str(theirs.fileno()),
            _APP_VARIABLE: str(os.getpid()),
        }
        self._oom_kills = _oom_kills()
        output, server_output = os.pipe()
        self._log = logs.LogPump(output)
        try:
            process = subprocess.Popen(
                start.command,
                stdin=subprocess.DEVNULL,
                stdout=server_output,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=(theirs.fileno(), *start.descriptors),
                # Ctrl-C goes to a whole process group; the server has to outlive it until it is drained.
                start_new_session=True,
                # Once this process is gone no line of the log may end the server before it has cleaned up.
                restore_signals=False,
            )
        except OSError as error:
            ours.close()
            raise PyTritonServerError(
                f"The Triton server {self._command[0]} cannot be run: {error}."
            ) from error
        finally:
            theirs.close()
            os.close(server_output)
            self._log.start()
        self._process = process
        self._control = ControlChannel(ours, self._channel_closed)
        self._control.attached.add_done_callback(lambda _: self._changed.set())
        self._watcher = threading.Thread(target=self._watch, name="pytriton-server-exit", daemon=True)
        self._watcher.start()

    def _channel_closed(self) -> str:
        self._finished.set()
        return self.why_ended()

    def _wait_ready(self, deadline: float) -> None:
        attached = self.control.attached
        self._changed.wait(max(0.0, deadline - time.monotonic()))
        has_backend = attached.done() and attached.exception() is None
        if has_backend:
            LOGGER.debug("The backend is in the server, backend API %s.", attached.result())
            while not is_listening(self._pid, self._endpoints):
                if self._exited.wait(_LISTEN_POLL_S) or time.monotonic() > deadline:
                    break
            else:
                self._was_ready = True
                return
        if self.is_alive():
            step = "open its endpoints" if has_backend else "load the backend"
            raise PyTritonServerError(f"The Triton server did not {step} in time{self._last_words()}")
        raise self._start_error()

    def _watch(self) -> None:
        assert self._process is not None
        assert self._log is not None
        with contextlib.suppress(ChildProcessError):  # somebody else in this process has waited for it
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        # From here on the pid may belong to another process.
        with self._signal_lock:
            self._process.wait()
        self._log.join(_LOG_END_S)
        self._exited.set()
        self._finished.set()
        self._changed.set()
        if self._was_ready and not self._end_is_expected and self._on_exit is not None:
            self._on_exit()

    def _signal(self, number: signal.Signals) -> None:
        if os.getpid() != self._owner:  # a forked child has a copy of this object, but not the server
            return
        with self._signal_lock:
            if self._process is not None and self._process.returncode is None:
                self._process.send_signal(number)

    def _last_words(self) -> str:
        words = "" if self._log is None else self._log.explanation(at_start=not self._was_ready)
        if self._log_file is not None:
            words = logs.explain(logs.tail(self._log_file, self._log_offset)) or words
        return f": {words}." if words else "."

    def _start_error(self) -> PyTritonServerError:
        reason = self.why_ended()
        # The server says "already in use" of every failure to listen.
        found = [(endpoint, why_not_listening(endpoint)) for endpoint in self._endpoints]
        obstacles = [(endpoint, obstacle) for endpoint, obstacle in found if obstacle is not None]
        kind = PortTakenError if any(obstacle.is_taken for _, obstacle in obstacles) else PyTritonServerError
        advice = "".join(f" {endpoint.name} {obstacle.text}." for endpoint, obstacle in obstacles)
        if advice and _NOT_LISTENING in reason:
            return kind(f"The Triton server cannot listen:{advice}")
        if _NOT_LISTENING in reason or "Too many open files" in reason:
            advice += few_descriptors()
        if (limit := address_space_limit()) is not None and self._returncode == -signal.SIGABRT:
            advice += f" Its {address_space_in_words(limit)}: raise that."
        return kind(f"{reason}{advice}")


def _oom_kills() -> int:
    """How many processes of this machine the kernel has killed for lack of memory."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
