# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: the configuration file read again, and what a running server can take of it taken."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pytriton.configuration.layers import Layers
from pytriton.exceptions import PyTritonError, PyTritonServerError
from pytriton.server.config import TritonConfig, options
from pytriton.server.security import TRITON_ACCESS_HEADER
from pytriton.triton import Triton

__all__ = ["REFRESHABLE", "Refresher", "on_hangup"]

LOGGER = logging.getLogger("pytriton.serve")

_LOG_SETTINGS: Final = {
    "log_verbose": "log_verbose_level",
    "log_info": "log_info",
    "log_warning": "log_warning",
    "log_error": "log_error",
    "log_format": "log_format",
}
_LOG_DEFAULTS: Final = {
    "log_verbose": 0,
    "log_info": True,
    "log_warning": True,
    "log_error": True,
    "log_format": "default",
}
_TRACE_SETTINGS: Final = {
    "rate": "trace_rate",
    "level": "trace_level",
    "count": "trace_count",
    "log-frequency": "log_frequency",
}
REFRESHABLE: Final = (*_LOG_SETTINGS, "trace_config", "log_level")
"""Options that a running server takes: of trace_config the rate, levels, count and log frequency."""
_TIMEOUT_S: Final = 10.0


class Refresher:
    """Compares the configuration with that of the running server."""

    def __init__(self, triton: Triton, layers: Layers, read: Callable[[], Layers]) -> None:
        """Take what the server was started with.

        Args:
            triton: The server.
            layers: Its configuration.
            read: Reads the configuration again.
        """
        self._triton = triton
        self._code = triton.given_config
        self._level = layers.value("log_level")
        self._config = layers.config(self._code)
        self._read = read

    def refresh(self) -> str:
        """Do it, and say what was done; PyTritonError if the new configuration cannot be used."""
        try:
            layers = self._read()
            config, level = layers.config(self._code), layers.value("log_level")
        except PyTritonError as error:
            raise PyTritonServerError(f"nothing is changed: {error}") from None
        changed = [
            option.name
            for option in options()
            if getattr(config, option.name) != getattr(self._config, option.name)
        ]
        logs = [name for name in changed if name in _LOG_SETTINGS]
        if logs:
            self._post("/v2/logging", {_LOG_SETTINGS[name]: _value(config, name) for name in logs})
            self._take(config, logs)
        traces = [name for name in changed if name == "trace_config"]
        if traces:
            self._post("/v2/trace/setting", _trace_settings(config))
            self._take(config, traces)
        levels = ["log_level"] if level != self._level else []
        if levels:
            logging.getLogger().setLevel((level or "warning").upper())
            self._level = level
        # What needs a restart is not taken, and is told of again the next time.
        return _summary(logs + traces + levels, [name for name in changed if name not in REFRESHABLE])

    def _take(self, config: TritonConfig, names: Sequence[str]) -> None:
        for name in names:
            setattr(self._config, name, getattr(config, name))

    def _post(self, path: str, document: Mapping[str, Any]) -> None:
        url = next((each.local for each in self._triton.endpoints if each.name == "HTTP"), None)
        if url is None:
            raise PyTritonServerError(
                "The server takes settings over HTTP alone, which allow_http=false shuts."
            )
        request = urllib.request.Request(f"http://{url}{path}", json.dumps(document).encode())
        token = self._triton.get_access_token()
        if token is not None:
            request.add_header(TRITON_ACCESS_HEADER, token)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
                pass
        except urllib.error.HTTPError as error:
            said = error.read(1000).decode("utf-8", "replace")
            raise PyTritonServerError(f"The server refuses the settings {dict(document)}: {said}") from None
        except OSError as error:
            raise PyTritonServerError(f"The server does not take settings: {error}.") from None


@contextlib.contextmanager
def on_hangup(refresh: Callable[[], str]) -> Iterator[None]:
    """Refresh at every SIGHUP; in a terminal it means that the terminal is gone, and ends the process."""
    if threading.current_thread() is not threading.main_thread() or _has_terminal():
        yield
        return

    def run() -> None:
        try:
            LOGGER.warning("SIGHUP: %s", refresh())
        except PyTritonError as error:
            LOGGER.error("SIGHUP: %s", error)

    def handle(_number: int, _frame: object) -> None:
        threading.Thread(target=run, name="pytriton-refresh", daemon=True).start()

    before = signal.signal(signal.SIGHUP, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _summary(taken: list[str], left: list[str]) -> str:
    parts = [f"changed {', '.join(taken)}"] if taken else []
    if left:
        parts.append(f"{', '.join(left)} will change when it is started again")
    return "; ".join(parts) + "." if parts else "the configuration is as it was."


def _value(config: TritonConfig, name: str) -> Any:
    value = getattr(config, name)
    return _LOG_DEFAULTS[name] if value is None else value


def _trace_settings(config: TritonConfig) -> dict[str, Any]:
    """The settings of the server's own API; null is its default."""
    settings: dict[str, Any] = dict.fromkeys(_TRACE_SETTINGS.values())
    levels: list[str] = []
    for entry in config.trace_config or ():
        name, _, value = entry.rpartition(",")[2].partition("=")
        if name == "level":
            levels.append(value)
        elif name in _TRACE_SETTINGS:
            settings[_TRACE_SETTINGS[name]] = value
    settings["trace_level"] = levels or None
    return settings


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
