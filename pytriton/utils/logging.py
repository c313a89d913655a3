# SPDX-License-Identifier: Apache-2.0
"""Quiet for the libraries that this package calls."""

from __future__ import annotations

import logging
from typing import Final

__all__ = ["silence_3rd_party_loggers"]

_TALKATIVE: Final = ("asyncio", "grpc", "httpcore", "httpx", "urllib3")


def silence_3rd_party_loggers() -> None:
    """Let libraries under this package log nothing below WARNING; nothing calls it on its own."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
