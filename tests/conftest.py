# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import signal


def pytest_configure() -> None:
    # A job in the background of a script inherits SIGINT as ignored, and so do the programs that tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
