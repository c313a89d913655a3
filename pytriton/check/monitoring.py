# SPDX-License-Identifier: Apache-2.0
"""Watch a process and its children: what they are, and where they are in their code."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from pytriton.check.parents import parents

__all__ = ["ObservedProcess", "ProcessMonitoring", "ProcessMonitoringThread"]

_COLOR: Final = re.compile(r"\x1b\[.*?m")
_DUMP_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True)
class ObservedProcess:
    """A process by its number."""

    pid: int

    def is_running(self) -> bool:
        """Whether it still exists."""
        return Path(f"/proc/{self.pid}").exists()

    def cmdline(self) -> list[str]:
        """Its command and arguments; none once it has ended."""
        try:
            text = Path(f"/proc/{self.pid}/cmdline").read_text(errors="replace")
        except OSError:
            return []
        return text.rstrip("\0").split("\0")

    def children(self) -> Iterator[ObservedProcess]:
        """Its children and theirs."""
        by_parent = parents().items()
        family = [self.pid]
        for member in family:
            children = [child for child, parent in by_parent if parent == member]
            family += children
            yield from map(ObservedProcess, children)


class ProcessMonitoring:
    """Logs command lines and, where py-spy is installed, stacks of a process and its descendants."""

    def __init__(
        self,
        pid: int,
        logger: logging.Logger | None = None,
        loglevel: int = logging.INFO,
        remove_color: bool = False,
    ) -> None:
        """Observe a process.

        Args:
            pid: Its number.
            logger: Where the states go.
            loglevel: At which level.
            remove_color: Whether terminal colours are taken out of what py-spy says.
        """
        self._process = ObservedProcess(pid)
        self._logger = logger or logging.getLogger("monitoring")
        self._level = loglevel
        self._remove_color = remove_color
        self._monitors: list[Callable[[int], None]] = []
        self._known: dict[int, ObservedProcess] = {}

    @property
    def children(self) -> list[ObservedProcess]:
        """All descendants that were ever seen."""
        self._known.update((child.pid, child) for child in self._process.children())
        return list(self._known.values())

    def register_custom_monitor(self, custom_monitor: Callable[[int], None]) -> None:
        """Have a function called with the number of every process at every dump."""
        self._monitors.append(custom_monitor)

    def dump_state(self) -> None:
        """Log the state now."""
        for process in (self._process, *self.children):
            if not process.is_running():
                self._log(f"process {process.pid} has ended")
                continue
            self._log(f"process {process.pid}: {' '.join(process.cmdline())}")
            self._log(self._stacks(process.pid))
            for monitor in self._monitors:
                monitor(process.pid)

    def _log(self, text: str) -> None:
        self._logger.log(self._level, "%s", text)

    def _stacks(self, pid: int) -> str:
        command = shutil.which("py-spy")
        if command is None:
            return "no stacks: py-spy is not installed"
        result = subprocess.run(
            [command, "dump", "-ll", "--nonblocking", "-p", str(pid)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_DUMP_TIMEOUT_S,
            check=False,
        )
        return _COLOR.sub("", result.stdout) if self._remove_color else result.stdout


class ProcessMonitoringThread:
    """Dumps the state of a process again and again."""

    def __init__(self, monitoring: ProcessMonitoring, interval: float = 60) -> None:
        """Describe the thread.

        Args:
            monitoring: What is dumped.
            interval: Seconds between two dumps.
        """
        self._monitoring = monitoring
        self._interval = interval
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="process-monitoring", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> ProcessMonitoringThread:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while True:
            self._monitoring.dump_state()
            if self._stopped.wait(self._interval):
                return
