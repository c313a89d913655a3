# SPDX-License-Identifier: Apache-2.0
"""What a test that runs for hours wants to have written down: logs that rotate, stacks, processes."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gzip
import logging
import logging.handlers
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

from pytriton.check.monitoring import ProcessMonitoring, ProcessMonitoringThread

__all__ = ["DEFAULT_LOG_FORMAT", "TestMonitoringContext"]

DEFAULT_LOG_FORMAT: Final = (
    "%(asctime)s - %(levelname)8s - %(process)8d - %(threadName)s - %(name)s: %(message)s"
)
_KEPT_FILES: Final = 500
_SIZE: Final = 10 * 1024 * 1024


class _Option(NamedTuple):
    flag: str
    kind: type
    default: object
    help: str


_OPTIONS: Final = (
    _Option("--verbose", bool, False, "Log more to the terminal."),
    _Option("--log-path", str, None, "Log everything to this file, too."),
    _Option("--compress-logs", bool, False, "Compress what was rotated out of the file."),
    _Option("--maximum-log-file", int, _SIZE, "Bytes after which the file is rotated."),
    _Option("--enable-fault-handler", bool, False, "Write the stacks down when the process crashes."),
    _Option(
        "--faulthandler-interval", float, None, "Seconds after which the stacks are written, again and again."
    ),
    _Option("--process-monitoring-interval", float, None, "Seconds after which the processes are logged."),
)


class TestMonitoringContext:
    """For the length of a block logs, stacks and processes are written down as the arguments say."""

    __test__ = False  # no test, whatever its name says

    def __init__(self, args: argparse.Namespace) -> None:
        """Describe what is wanted.

        Args:
            args: Values of the options that `extend_args` adds.
        """
        self._args = args
        self._stack = contextlib.ExitStack()

    @staticmethod
    def extend_args(parser: argparse.ArgumentParser) -> None:
        """Add the options to a parser."""
        for flag, kind, default, text in _OPTIONS:
            if kind is bool:
                parser.add_argument(flag, action="store_true", help=text)
            else:
                parser.add_argument(flag, type=kind, default=default, help=text)

    def __enter__(self) -> TestMonitoringContext:
        args, logger = self._args, logging.getLogger()
        with contextlib.ExitStack() as stack:
            terminal = logging.StreamHandler()
            terminal.setLevel(logging.DEBUG if args.verbose else logging.INFO)
            self._add(stack, logger, terminal)
            if args.log_path is not None:
                self._add(stack, logger, _rotating_file(args))
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.DEBUG)
            if args.enable_fault_handler and not faulthandler.is_enabled():
                faulthandler.enable()
                stack.callback(faulthandler.disable)
            if args.faulthandler_interval is not None:
                faulthandler.dump_traceback_later(args.faulthandler_interval, repeat=True)
                stack.callback(faulthandler.cancel_dump_traceback_later)
            if args.process_monitoring_interval is not None:
                monitoring = ProcessMonitoring(os.getpid(), logger, logging.DEBUG, remove_color=True)
                monitoring.register_custom_monitor(lambda pid: logger.debug("%s", _status(pid)))
                stack.enter_context(ProcessMonitoringThread(monitoring, args.process_monitoring_interval))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def _add(self, stack: contextlib.ExitStack, logger: logging.Logger, handler: logging.Handler) -> None:
        handler.setFormatter(logging.Formatter(DEFAULT_LOG_FORMAT))
        logger.addHandler(handler)
        stack.callback(handler.close)
        stack.callback(logger.removeHandler, handler)


def _rotating_file(args: argparse.Namespace) -> logging.Handler:
    handler = logging.handlers.RotatingFileHandler(
        args.log_path, maxBytes=args.maximum_log_file, backupCount=_KEPT_FILES, encoding="utf-8"
    )
    if args.compress_logs:
        handler.namer = lambda name: f"{name}.gz"
        handler.rotator = _compress
    return handler


def _compress(source: str, target: str) -> None:
    with open(source, "rb") as plain, gzip.open(target, "wb") as packed:
        shutil.copyfileobj(plain, packed)
    os.remove(source)


def _status(pid: int) -> str:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        count = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return f"process {pid} has ended"
    wanted = [" ".join(line.split()) for line in lines if line.startswith(("VmRSS", "VmHWM", "Threads"))]
    return f"process {pid}: {', '.join(wanted)}, descriptors: {count}"
