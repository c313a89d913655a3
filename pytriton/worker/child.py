# SPDX-License-Identifier: Apache-2.0
"""A worker process, from inside."""

from __future__ import annotations

import contextlib
import faulthandler
import inspect
import logging
import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from pytriton.exceptions import PyTritonUnrecoverableError
from pytriton.logs import note_request_ids
from pytriton.worker.activity import Activity
from pytriton.worker.factory import call_factory
from pytriton.worker.failures import describe
from pytriton.worker.lifeline import die_with
from pytriton.worker.line import MOST_TEXT, Garbage, Line
from pytriton.worker.loop import Worker
from pytriton.worker.remote_log import LineHandler, set_levels
from pytriton.worker.sigterm import leave_sigterm_to_the_application

__all__ = ["main"]

_BEAT_PERIOD_S: Final = 0.25


def main(setup: Mapping[str, Any]) -> None:
    """Serve until the application says stop; does not return."""
    # Ctrl-C is for the application, which lets the requests end before it ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    leave_sigterm_to_the_application()
    die_with(setup["lifeline"])
    if sys.stderr is not None:
        faulthandler.enable()
    if sys.stdout is not None:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.argv[:] = setup["argv"]
    line = Line(socket.socket(fileno=setup["line"]))
    logging.root.addHandler(LineHandler(line))
    note_request_ids()
    set_levels(setup["levels"])
    os.register_at_fork(after_in_child=line.close)
    child = _Child(line, setup)
    sys.exit(child.run())


class _Child:
    def __init__(self, line: Line, setup: Mapping[str, Any]) -> None:
        self._line = line
        self._setup = setup
        self._worker: Worker | None = None
        self._function: Any = None
        self._health_check: Any = None
        self._check_running = False
        self._error: BaseException | None = None
        threading.Thread(target=self._listen, name="pytriton-application", daemon=True).start()

    def run(self) -> int:
        """Make the function and serve it; the status to exit with."""
        try:
            worker = self._make_worker()
        except BaseException as error:
            self._tell_failed(error)
            return 1
        worker.run()
        if self._error is not None:
            self._tell_failed(self._error)
            return 1
        return 0

    def _make_worker(self) -> Worker:
        activity = Activity(self._setup["activity"])
        os.close(self._setup["activity"])
        if self._setup["beats"]:
            threading.Thread(target=_beat, args=(activity,), name="pytriton-beat", daemon=True).start()
        try:
            job = _load(self._setup["payload"])
        except Exception as error:
            raise RuntimeError(
                "what is to be served cannot be unpickled in the worker process: modules that it comes from "
                "have to be importable there"
            ) from error
        function = job["infer_func"]
        if job["factory"]:
            devices, index = job["devices"], self._setup["index"]
            device = devices[index % len(devices)] if devices else None
            function = call_factory(function, job["args"], job["kwargs"], device)
        if not callable(function):
            raise TypeError(f"What is to be served cannot be called: {function!r}")
        self._function = function
        self._health_check = job["health_check"]
        if job["trace_config"] is not None:
            function = _traced(function, job["trace_config"])
        spec = _load(self._setup["spec"])
        worker = Worker(spec, function, self._setup["index"], self._note_failure, activity)
        worker.warm.add_done_callback(self._tell_warm)
        self._worker = worker
        return worker

    def _tell_warm(self, warm: Future[None]) -> None:
        if not warm.cancelled() and warm.exception() is None:
            self._line.send("warm")

    def _tell_failed(self, error: BaseException) -> None:
        self._line.send(
            "failed",
            text=describe(error)[-MOST_TEXT:],
            unrecoverable=isinstance(error, PyTritonUnrecoverableError),
        )

    def _note_failure(self, error: BaseException) -> None:
        self._error = error

    def _listen(self) -> None:
        """Do what the application says; when it has gone there is nobody to serve for."""
        with contextlib.suppress(Garbage):
            while (message := self._line.receive()) is not None:
                kind, worker = message["kind"], self._worker
                if kind == "check":
                    threading.Thread(target=self._check, name="pytriton-health", daemon=True).start()
                elif worker is None:
                    os._exit(0)
                elif kind == "leave":
                    worker.leave()
                else:
                    worker.shutdown()
        os._exit(1)

    def _check(self) -> None:
        if self._check_running:
            return
        self._check_running = True
        try:
            if isinstance(self._health_check, str):
                healthy = getattr(self._function, self._health_check)()
            else:
                healthy = self._health_check(self._function)
            if inspect.isawaitable(healthy):
                healthy = _awaited(healthy)
            text = "" if healthy is None or healthy else f"it returned {healthy!r}"
        except BaseException as error:
            text = describe(error)
        finally:
            self._check_running = False
        self._line.send("health", text=text[-MOST_TEXT:])


def _awaited(awaitable: Awaitable[Any]) -> Any:
    import asyncio

    async def result() -> Any:
        return await awaitable

    return asyncio.run(result())


def _traced(function: Callable[..., Any], trace_config: list[str]) -> Callable[..., Any]:
    from pytriton.telemetry.functions import function_tracing

    tracing = function_tracing(trace_config)
    return function if tracing is None else tracing.trace(function)


def _load(descriptor: int) -> Any:
    # Other processes have the same open file, so that its position belongs to nobody.
    with open(f"/proc/self/fd/{descriptor}", "rb") as file:
        loaded = pickle.load(file)
    os.close(descriptor)
    return loaded


def _beat(activity: Activity) -> None:
    pause = threading.Event()
    while not pause.wait(_BEAT_PERIOD_S):
        activity.beat()
