# SPDX-License-Identifier: Apache-2.0
"""`serve --reload`: a process that serves, and another one in its place when files change."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

from pytriton.exceptions import PyTritonValidationError
from pytriton.launch.standby import IMPORTED, PIPES_VARIABLE, READY

__all__ = ["Reloader", "compile_errors"]

_SUFFIXES: Final = (".py", ".toml", ".yaml", ".yml", ".json")
_IGNORED: Final = {"__pycache__", ".git", ".venv", "venv", "node_modules", ".mypy_cache", ".ruff_cache"}
_DEBOUNCE_MS: Final = 200
_STEP_MS: Final = 20
_STOP_TIMEOUT_S: Final = 60.0
_STILL: Final = "What was there before still serves."
_NOTHING: Final = "Nothing is served until the files change."


class Reloader:
    """Serves in a child process, which is replaced when files change; a spare one is always warm."""

    def __init__(
        self, arguments: Sequence[str], directories: Sequence[Path], say: Callable[[str], object]
    ) -> None:
        """Start nothing yet.

        Args:
            arguments: Command line of the child, that of this process.
            directories: Where files are watched.
            say: What tells the user what happens.
        """
        self._arguments = list(arguments)
        self._directories = list(directories)
        self._say = say
        self._spare: _Child | None = None
        self._lock = threading.Lock()

    def run(self) -> int:
        """Serve until Ctrl-C or SIGTERM; the exit code of the last child."""
        watch = _watch_function()
        child = _Child(self._arguments)
        with _sigterm_as_interrupt() as terminated:
            try:
                if child.prepare(0.0):
                    child.serve(self._warm_up, self._serves_nothing)
                else:
                    self._serves_nothing()
                changes = watch(
                    *self._directories,
                    watch_filter=_is_watched,
                    debounce=_DEBOUNCE_MS,
                    step=_STEP_MS,
                    raise_interrupt=True,
                )
                for found in changes:
                    paths = sorted({Path(path) for _, path in found})
                    if self._is_worth_it(paths, child):
                        child = self._replaced(child, paths)
            except KeyboardInterrupt:
                return child.stop(signal.SIGTERM if terminated.is_set() else signal.SIGINT)
            finally:
                child.stop(signal.SIGTERM)
                with self._lock:
                    spare, self._spare = self._spare, child
                if spare is not None:
                    spare.stop(signal.SIGTERM)
        return 0

    def _replaced(self, child: _Child, paths: Sequence[Path]) -> _Child:
        """The process that serves after a change: the old one if the new one cannot."""
        changed_at = time.monotonic()
        self._say(f"{', '.join(path.name for path in paths)} changed.")
        with self._lock:
            spare, self._spare = self._spare, None
        fresh = spare if spare is not None and spare.is_alive() else _Child(self._arguments)
        try:
            # The old one serves on while the new one imports; the models are loaded when it has stopped.
            if not fresh.prepare(changed_at):
                fresh.stop(signal.SIGTERM)
                self._say(_STILL if child.is_alive() else _NOTHING)
                self._warm_up()
                return child
            child.stop(signal.SIGTERM)
            fresh.serve(self._warm_up, self._serves_nothing)
        except BaseException:
            fresh.stop(signal.SIGTERM)
            raise
        return fresh

    def _warm_up(self) -> None:
        with self._lock:
            if self._spare is None:
                self._spare = _Child(self._arguments)

    def _serves_nothing(self) -> None:
        self._say(_NOTHING)
        self._warm_up()

    def _is_worth_it(self, paths: Iterable[Path], child: _Child) -> bool:
        errors = list(compile_errors(paths))
        for error in errors:
            self._say(f"{error}. {_STILL if child.is_alive() else _NOTHING}")
        return not errors


class _Child:
    """A process that waits, then serves."""

    def __init__(self, arguments: Sequence[str]) -> None:
        lifeline, self._lifeline = os.pipe()
        self._news, news = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pytriton.launch.standby", *arguments],
            env={**os.environ, PIPES_VARIABLE: f"{lifeline},{news}"},
            pass_fds=(lifeline, news),
            # Ctrl-C is for the parent, which passes it on.
            start_new_session=True,
        )
        os.close(lifeline)
        os.close(news)
        self._is_serving = False
        self._is_stopped = False
        self._listener: threading.Thread | None = None

    def prepare(self, changed_at: float) -> bool:
        """Let it import what it shall serve; whether it could."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._lifeline, f"{changed_at}".encode())
        return os.read(self._news, 1) == IMPORTED

    def serve(self, on_ready: Callable[[], None], on_failure: Callable[[], None]) -> None:
        """Let it serve; from a thread one of the two is called, once it does or has ended before."""
        self._is_serving = True
        self._listener = threading.Thread(target=self._listen, args=(on_ready, on_failure), daemon=True)
        self._listener.start()
        with contextlib.suppress(BrokenPipeError):
            os.write(self._lifeline, b"s")

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def stop(self, number: signal.Signals) -> int:
        """End it; its exit code. A second call does nothing."""
        self._is_stopped = True
        if self._lifeline >= 0:
            if self._is_serving and self.is_alive():
                self._process.send_signal(number)
            else:
                os.close(self._lifeline)
                self._lifeline = -1
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            finally:
                if self._lifeline >= 0:
                    os.close(self._lifeline)
                    self._lifeline = -1
                if self._process.poll() is None:
                    self._process.kill()
                    self._process.wait()
                if self._listener is not None:
                    self._listener.join()
                os.close(self._news)
        return self._process.returncode

    def _listen(self, on_ready: Callable[[], None], on_failure: Callable[[], None]) -> None:
        if os.read(self._news, 1) == READY:
            on_ready()
        elif not self._is_stopped:
            self._process.wait()
            on_failure()


def compile_errors(paths: Iterable[Path]) -> Iterator[str]:
    """Why files cannot be Python, for those that are to be."""
    for path in paths:
        if path.suffix != ".py":
            continue
        try:
            compile(path.read_bytes(), str(path), "exec")
        except SyntaxError as error:
            yield f"{path}, line {error.lineno}: {error.msg}"
        except (OSError, ValueError):  # gone, or no text
            continue


def _is_watched(_change: Any, path: str) -> bool:
    found = Path(path)
    return found.suffix in _SUFFIXES and not _IGNORED.intersection(found.parts)


def _watch_function() -> Any:
    try:
        from watchfiles import watch
    except ModuleNotFoundError:
        raise PyTritonValidationError(
            '--reload needs the package watchfiles: pip install "pytriton[cli]"'
        ) from None
    return watch


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[threading.Event]:
    """Let SIGTERM interrupt the block; the event tells it from Ctrl-C: watchfiles raises its own."""
    terminated = threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        terminated.set()
        raise KeyboardInterrupt("SIGTERM")

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield terminated
    finally:
        signal.signal(signal.SIGTERM, before)
