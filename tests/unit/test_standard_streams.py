# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys

_PROGRAM = """
import os, threading
from pytriton.standard_streams import standard_streams

def are_open():
    try:
        return [os.stat(number).st_rdev == os.stat(os.devnull).st_rdev for number in range(3)] == [True] * 3
    except OSError:
        return False

inside, go_on, found = threading.Event(), threading.Event(), []

def other():
    with standard_streams():
        inside.set()
        go_on.wait(60)
        found.append(are_open())

said = os.dup(1)
os.closerange(0, 3)
thread = threading.Thread(target=other)
with standard_streams():
    found.append(are_open())
    thread.start()
    inside.wait(60)
go_on.set()
thread.join()
found.append(are_open())
os.write(said, str(found).encode())
"""


def test_streams_stay_as_long_as_any_thread_needs_them() -> None:
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=dict(os.environ), stdout=subprocess.PIPE, timeout=60, check=True
    )
    assert result.stdout == b"[True, True, False]"
