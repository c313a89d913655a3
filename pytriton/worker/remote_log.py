# SPDX-License-Identifier: Apache-2.0
"""Log records of a worker process, which its application logs under its own settings."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from typing import Any, Final

from pytriton.logs import extras_of
from pytriton.worker.line import MOST_TEXT, Line

__all__ = ["LineHandler", "levels", "log_remote", "set_levels"]

_FIELDS: Final = ("levelno", "levelname", "pathname", "filename", "module", "lineno", "funcName")
_MOST_IDS: Final = 128
_MOST_ID: Final = 128
_MOST_EXTRAS: Final = 32
_MOST_EXTRA: Final = 512
_TIMES: Final = ("created", "msecs", "process", "processName", "thread", "threadName")


class LineHandler(logging.Handler):
    """Sends records to the application; what cannot be sent goes to standard error."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, its message and traceback as text."""
        try:
            fields = {name: getattr(record, name) for name in (*_FIELDS, *_TIMES)}
            text = record.getMessage()
            if record.exc_info:
                text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
            fields["pathname"] = str(fields["pathname"])[:1024]
            fields["request_ids"] = [
                request[:_MOST_ID] for request in getattr(record, "request_ids", ())[:_MOST_IDS]
            ]
            extras = {name: _plain(value) for name, value in list(extras_of(record).items())[:_MOST_EXTRAS]}
            sent = self._line.send(
                "log", logger=record.name, text=text[:MOST_TEXT], fields=fields, extras=extras
            )
        except Exception:
            self.handleError(record)
            return
        if not sent and logging.lastResort is not None:
            logging.lastResort.handle(record)


def log_remote(message: Mapping[str, Any]) -> None:
    """Log a record that came from a worker process; KeyError, TypeError or ValueError if it is none."""
    fields = message["fields"]
    logger = logging.getLogger(message["logger"])
    if not logger.isEnabledFor(int(fields["levelno"])):
        return
    record = logging.makeLogRecord(
        {**message.get("extras", {}), **fields, "name": message["logger"], "msg": str(message["text"])}
    )
    try:
        logger.handle(record)
    except Exception:  # of a handler or filter of the application's; the worker cannot help it
        traceback.print_exc()


def levels() -> dict[str, int]:
    """The levels of this process's loggers, where they have one; "" is the root."""
    names = [name for name, logger in logging.root.manager.loggerDict.items() if not _is_placeholder(logger)]
    loggers = {name: logging.getLogger(name) for name in names}
    set_ones = {name: logger.level for name, logger in loggers.items() if logger.level != logging.NOTSET}
    return {"": logging.root.level, **set_ones}


def set_levels(given: Mapping[str, int]) -> None:
    """Give loggers their levels."""
    for name, level in given.items():
        logging.getLogger(name or None).setLevel(level)


def _plain(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)[:_MOST_EXTRA]


def _is_placeholder(logger: object) -> bool:
    return not isinstance(logger, logging.Logger)
