# SPDX-License-Identifier: Apache-2.0
"""Free loopback ports."""

from __future__ import annotations

import random
import socket

__all__ = ["free_ports"]

# Below Linux's ephemeral range (32768-60999): no outgoing connection of a load generator can take one of
# these between our choice and the server's bind.
_FIRST, _LAST = 20_000, 32_000


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nothing on the loopback interface listens on."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(_FIRST, _LAST), k=_LAST - _FIRST):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports between {_FIRST} and {_LAST}")
