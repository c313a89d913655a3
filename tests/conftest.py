# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Final

import pytest

_PATIENCE_S: Final = 5.0


def pytest_configure() -> None:
    # A job in the background of a script inherits SIGINT as ignored, and so do the programs that tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test that failed can leave a thread that never ends; the interpreter would wait for it for ever."""
    session.config.add_cleanup(lambda: _end(session.exitstatus))


def _end(status: int) -> None:
    threads = [thread for thread in threading.enumerate() if not thread.daemon]
    threads.remove(threading.main_thread())
    for thread in threads:
        thread.join(_PATIENCE_S)
    if left := [thread.name for thread in threads if thread.is_alive()]:
        print(f"Threads that tests have left do not end: {', '.join(left)}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(status or 1)
