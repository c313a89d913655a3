# SPDX-License-Identifier: Apache-2.0
"""How what is logged looks: as text or as JSON, each line with the ids of the requests that it concerns.

    import pytriton.logs

    pytriton.logs.configure(json=True)

Nothing of this happens by itself: a program that sets up logging in its own way can take `RequestIdFilter`,
`JsonFormatter` or both from here. The environment variable PYTRITON_LOG_FORMAT, `json` or `text`, does the
same as `configure` for programs that do not call it.
"""

from __future__ import annotations

import json as json_module
import logging
import os
import re
from datetime import datetime, timezone
from typing import Any, Final, TextIO

from pytriton.batching.current import current_records
from pytriton.exceptions import PyTritonValidationError

__all__ = [
    "FORMAT_VARIABLE",
    "JsonFormatter",
    "RequestIdFilter",
    "TextFormatter",
    "configure",
    "configure_from_environment",
    "extras_of",
    "note_request_ids",
    "request_ids",
]

FORMAT_VARIABLE: Final = "PYTRITON_LOG_FORMAT"

_ATTRIBUTE: Final = "request_ids"
_TEXT: Final = "%(asctime)s %(levelname)s %(name)s%(ids)s: %(message)s"
# In lines of the server.
_ID: Final = re.compile(r"\[request id: ([^\]]+)\]")
_NO_ID: Final = "<id_unknown>"
_STANDARD: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "ids", _ATTRIBUTE}
)


def request_ids() -> tuple[str, ...]:
    """Ids of the requests that the calling function works on, of those that have one; empty elsewhere."""
    records = current_records()
    if records is None:
        return ()
    return tuple(filter(None, (records.id(index) for index in range(len(records)))))


class RequestIdFilter(logging.Filter):
    """Gives records `request_ids`, a tuple, for handlers and formatters of one's own; lets all of them pass.

    It belongs on handlers, since a logger's filter does not see what its children log; on one that hands
    records to another thread they are not known any more, unless `note_request_ids` was called.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Note the ids, if nobody has yet."""
        if not hasattr(record, _ATTRIBUTE):
            setattr(record, _ATTRIBUTE, _ids_for(record))
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_ids, process and thread.

    Besides, exception and stack where there are any, source for lines of the server, and what was given as
    `extra`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if ids := _ids_for(record):
            fields[_ATTRIBUTE] = list(ids)
        fields.update(process=record.process, thread=record.threadName)
        if record.exc_info or record.exc_text:
            fields["exception"] = record.exc_text or self.formatException(record.exc_info)  # type: ignore[arg-type]
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        return _dumped({**extras_of(record), **fields})


class TextFormatter(logging.Formatter):
    """Time, level, logger, the ids of requests in brackets, and the message."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The first line."""
        ids = _ids_for(record)
        record.ids = f" [{', '.join(ids)}]" if ids else ""
        return super().formatMessage(record)


def configure(*, json: bool = False, level: int | str = logging.INFO, stream: TextIO | None = None) -> None:
    """Log to a stream what this process, its workers and its server say.

    It sets up the root logger, so lines of the program and its libraries look the same. Calling it again
    changes what it did before; other handlers stay, but those that write to the console would say everything
    twice and get the same form.

    Args:
        json: Whether every line is a JSON object, else it is text.
        level: What is logged: a level of the logging module or its name.
        stream: Where to; standard error by default.
    """
    number = _number_of(level)
    note_request_ids()
    formatter = JsonFormatter() if json else TextFormatter()
    console = [handler for handler in logging.root.handlers if type(handler) is logging.StreamHandler]
    ours: list[logging.Handler] = [
        handler for handler in logging.root.handlers if isinstance(handler, _Handler)
    ]
    if stream is not None or not (ours or console):
        for handler in ours:
            logging.root.removeHandler(handler)
        ours = [_Handler(stream)]
        logging.root.addHandler(ours[0])
    for handler in (*ours, *console):
        handler.setFormatter(formatter)
    logging.root.setLevel(number)


def configure_from_environment() -> None:
    """Do what PYTRITON_LOG_FORMAT says, if it says something and `configure` was not called."""
    wanted = os.environ.get(FORMAT_VARIABLE, "")
    if not wanted or any(isinstance(handler, _Handler) for handler in logging.root.handlers):
        return
    if wanted.lower() not in ("json", "text"):
        raise PyTritonValidationError(f'{FORMAT_VARIABLE} is "json" or "text", got {wanted!r}.')
    # The level of a program that has set up logging stays.
    level = logging.root.level if logging.root.handlers else logging.INFO
    configure(json=wanted.lower() == "json", level=level)


def extras_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra` when a record was made."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def note_request_ids() -> None:
    """Let every record of this process have `request_ids` from when it is made."""
    global _factory_before
    if logging.getLogRecordFactory() is not _make_record:
        _factory_before = logging.getLogRecordFactory()
        logging.setLogRecordFactory(_make_record)


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    """One that `configure` has made."""


_factory_before: Any = logging.LogRecord


def _make_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record: logging.LogRecord = _factory_before(*args, **kwargs)
    if ids := _current_ids():
        setattr(record, _ATTRIBUTE, ids)
    return record


def _current_ids() -> tuple[str, ...]:
    try:
        return request_ids()
    except Exception:  # a line without ids is better than none
        return ()


def _ids_for(record: logging.LogRecord) -> tuple[str, ...]:
    noted: tuple[str, ...] | None = getattr(record, _ATTRIBUTE, None)
    if noted is not None:
        return noted
    if record.name.startswith("pytriton.server"):
        found = _ID.findall(record.getMessage())
        return tuple(dict.fromkeys(request for request in found if request != _NO_ID))
    return _current_ids()


def _number_of(level: int | str) -> int:
    number = logging.getLevelName(level.upper()) if isinstance(level, str) else level
    if not isinstance(number, int):
        raise PyTritonValidationError(f"level: expected a level of the logging module, got {level!r}.")
    return number


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, timezone.utc)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _dumped(fields: dict[str, Any]) -> str:
    try:
        return json_module.dumps(fields, default=str, allow_nan=False)
    except (TypeError, ValueError):  # keys that are no text, circles, numbers that JSON has not
        sound = {name: value if _is_sound(value) else str(value) for name, value in fields.items()}
        return json_module.dumps(sound)


def _is_sound(value: object) -> bool:
    try:
        json_module.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
