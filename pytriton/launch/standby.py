# SPDX-License-Identifier: Apache-2.0
"""A process that has imported what serving needs and waits for the word: python -m pytriton.launch.standby.

It is told to import, says that it has, is told to serve when the ports are free, and says that it does, over
two pipes. When the first one closes the process ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Final

__all__ = ["IMPORTED", "PIPES_VARIABLE", "READY", "Watched", "main", "watched"]

PIPES_VARIABLE: Final = "PYTRITON_RELOAD_PIPES"
IMPORTED: Final = b"i"
READY: Final = b"r"


class Watched:
    """This process as one that `serve --reload` starts anew when files change."""

    def __init__(self, lifeline: int, news: int) -> None:
        self._lifeline = lifeline
        self._news = news
        self.changed_at: float | None = None
        """When the files changed, of time.monotonic(); None in the first such process."""

    def wait(self) -> bool:
        """Wait for the word to import; False if this process is not needed any more."""
        word = os.read(self._lifeline, 64).decode()
        self.changed_at = float(word) if word and float(word) else None
        return bool(word)

    def wait_for_ports(self) -> None:
        """Tell that everything is imported, and wait until the ports are free."""
        os.write(self._news, IMPORTED)
        if not os.read(self._lifeline, 1):
            sys.exit(0)
        threading.Thread(target=self._end_with_parent, name="pytriton-reload", daemon=True).start()

    def say_ready(self) -> float | None:
        """Tell that it serves; seconds since the files changed."""
        os.write(self._news, READY)
        return None if self.changed_at is None else time.monotonic() - self.changed_at

    def _end_with_parent(self) -> None:
        os.read(self._lifeline, 1)
        os.kill(os.getpid(), signal.SIGTERM)


watched: Watched | None = None
"""Set in a process that serves under `serve --reload`."""


def main() -> None:
    """Import, wait, serve."""
    global watched
    # Until it serves nothing of the terminal's is for this process.
    from pytriton.__main__ import main as run
    from pytriton.cli import app  # noqa: F401

    lifeline, news = map(int, os.environ.pop(PIPES_VARIABLE).split(","))
    process = Watched(lifeline, news)
    if not process.wait():
        sys.exit(0)
    # The module under its own name, not __main__, is what the command looks at.
    from pytriton.launch import standby

    standby.watched = process
    run()


if __name__ == "__main__":
    main()
