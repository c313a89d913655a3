# SPDX-License-Identifier: Apache-2.0
"""The clients in a process of their own: what they hold is not what the application holds."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
from types import TracebackType
from typing import Final

from tests.chaos.traffic import Results, Traffic
from tests.helpers.server import Address

__all__ = ["Clients"]

_END_S: Final = 20.0


class Clients:
    """The process, seen from the application's."""

    def __init__(self, address: Address, clients_of_a_kind: int) -> None:
        numbers = address.http_port, address.grpc_port, address.metrics_port, clients_of_a_kind
        command = [sys.executable, "-m", __name__, *map(str, numbers)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def start(self, seed: int) -> None:
        """Let them ask."""
        self._tell(str(seed))

    def stop(self) -> Results:
        """Let them finish what they have begun; what came of it all."""
        self._tell("stop")
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process of the clients has ended by itself")
        found = json.loads(line)
        return Results(found["counts"], found["wrong"], [tuple(lost) for lost in found["lost"]])

    def __enter__(self) -> Clients:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.communicate(timeout=_END_S)
        finally:
            self._process.kill()
            self._process.wait()

    def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()


def _main() -> None:
    *ports, clients_of_a_kind = map(int, sys.argv[1:])
    traffic: Traffic | None = None
    for line in sys.stdin:
        if line != "stop\n":
            traffic = Traffic(Address(*ports), int(line))
            traffic.start(clients_of_a_kind)
        elif traffic is not None:
            print(json.dumps(dataclasses.asdict(traffic.stop())), flush=True)


if __name__ == "__main__":
    _main()
