# SPDX-License-Identifier: Apache-2.0
"""Output of the server as records of Python logging."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections import deque
from typing import Final, NamedTuple

__all__ = ["LogLine", "LogPump", "explain", "parse_line"]

LOGGER = logging.getLogger("pytriton.server")

_LEVELS: Final = {
    "V": logging.DEBUG,
    "I": logging.INFO,
    "W": logging.WARNING,
    "E": logging.ERROR,
    "F": logging.CRITICAL,
}
# "I1122 10:38:19.491895 3882 server.cc:604] text", or "2025-11-22T10:38:19Z I 3882 server.cc:604] text".
_HEAD: Final = re.compile(
    r"(?:(?P<level>[VIWEF])\d{4} [\d:.]+|\d{4}-\d\d-\d\dT[\d:.]+Z (?P<iso_level>[VIWEF])) +\d+ "
    r"(?P<source>[^\]\s]+:\d+)\] ?(?P<text>.*)"
)
# The server says these of every machine without a GPU; there they mean nothing.
_HARMLESS: Final = (
    "CudaDriverHelper has not been initialized",
    "DCGM unable to start",
    "Failed to initialize NVML",
    "Unable to allocate pinned system memory",
)
# Sentences without a head: of the option parser, the dynamic loader, an uncaught exception, a signal.
_BARE_FAILURE: Final = re.compile(
    r"error: |Error: |Bad option: |Unexpected argument|terminate called|  what\(\)|Signal \((?:4|6|7|8|11)\)"
    r"|.*: unrecognized option|.*: option .* (?:requires|doesn't allow) an argument"
    r"|.*: error while loading shared libraries|.*: version `.*' not found|The server cannot listen"
    r"|Failed to build Triton option|invalid argument for"
)
_BAD_OPTION: Final = "Bad option"
# Appended by gRPC to each of its messages.
_GRPC_DETAILS: Final = re.compile(r" \{(?:created_time|children|fd|syscall|grpc_status|file):?.*")
_LAST_LINES: Final = 20
_KEPT_LINES: Final = 200
_KEPT_FAILURES: Final = 20
_KEPT_CHARACTERS: Final = 4096


class LogLine(NamedTuple):
    """A line of the server's log."""

    level: int
    text: str
    failure: bool
    source: str = ""
    """File and line of the server."""


def parse_line(line: str, previous_level: int = logging.INFO) -> LogLine:
    """Read a line; one of a table has the level of the line before."""
    head = _HEAD.match(line)
    if head is None:
        failure = bool(_BARE_FAILURE.match(line)) and not _is_harmless(line)
        level = previous_level if line.startswith(("+", "|")) else logging.INFO
        return LogLine(logging.ERROR if failure else level, line, failure)
    level = _LEVELS[head["level"] or head["iso_level"]]
    text = _unquoted(head["text"].strip())
    if _is_harmless(text):
        return LogLine(logging.DEBUG, text, failure=False, source=head["source"])
    return LogLine(level, text, level >= logging.ERROR, head["source"])


def explain(lines: list[str]) -> str:
    """The lines that say why the server ended, in one sentence; empty if there are none."""
    failures = [line for text in lines if (line := parse_line(text)).failure]
    return _joined([line.text for line in failures])


class LogPump:
    """Thread that turns the server's output into log records and keeps the last lines."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._failures: deque[str] = deque(maxlen=_KEPT_FAILURES)
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="pytriton-server-log", daemon=True)

    def start(self) -> None:
        """Start to read."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until all that the server said was read."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    @property
    def lines(self) -> list[str]:
        """The last lines, as the server wrote them."""
        return list(self._lines)

    def take_failure(self, word: str, timeout_s: float) -> str:
        """Take out the last failure that mentions a word, which may be on its way; empty if none comes."""
        with self._news:
            self._news.wait_for(lambda: any(word in failure for failure in self._failures), timeout_s)
            found = [failure for failure in self._failures if word in failure]
            for failure in found:
                self._failures.remove(failure)
        return found[-1] if found else ""

    def explanation(self, *, at_start: bool) -> str:
        """The lines that say why the server ended; its last words if none does and it has hardly begun."""
        if at_start:
            return _joined(list(self._failures)) or _joined(
                [line for line in self._lines if line.strip()][-3:]
            )
        # Failures of long ago have been survived.
        return explain(self.lines[-_LAST_LINES:])

    def _run(self) -> None:
        level = logging.INFO
        with open(self._descriptor, "rb") as output:
            for raw in output:
                line = raw.decode("utf-8", errors="replace").rstrip()
                level = self._take(line, level)

    def _take(self, line: str, previous_level: int) -> int:
        parsed = parse_line(line, previous_level)
        if self._lines and self._lines[-1].startswith(_BAD_OPTION):  # what is bad about it comes next
            parsed = LogLine(logging.ERROR, line, failure=True)
        self._lines.append(line[:_KEPT_CHARACTERS])
        if parsed.failure:
            with self._news:
                self._failures.append(parsed.text[:_KEPT_CHARACTERS])
                self._news.notify_all()
        if parsed.text:
            extra = {"source": parsed.source} if parsed.source else None
            LOGGER.log(parsed.level, "%s", parsed.text, extra=extra)
        return parsed.level


def _is_harmless(text: str) -> bool:
    return any(sentence in text for sentence in _HARMLESS)


def _unquoted(text: str) -> str:
    # Since 2.46 the server writes messages as JSON strings.
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        try:
            value = json.loads(text)
        except ValueError:
            return text
        if isinstance(value, str):
            return value
    return text


def _joined(sentences: list[str]) -> str:
    distinct: list[str] = []
    for sentence in sentences:
        text = _GRPC_DETAILS.sub("", sentence).strip().rstrip(".; ")
        # The server repeats the cause in each sentence that leads up to it.
        if text and not any(text in other for other in distinct):
            distinct = [other for other in distinct if other not in text] + [text]
    return "; ".join(distinct)


def tail(path: os.PathLike[str] | str, offset: int) -> list[str]:
    """Last lines of a log file, from what was written to it after the offset."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(offset if offset <= size else 0)
            return file.read().decode("utf-8", errors="replace").splitlines()[-_KEPT_LINES:]
    except OSError:
        return []
