# SPDX-License-Identifier: Apache-2.0
"""The short form of the hour of mixed traffic: python -m tests.chaos is the long one."""

from __future__ import annotations

import pytest

from tests.chaos.soak import run_soak

MEGABYTE = 1 << 20
KINDS_OF_OUTCOMES = (
    "http: right",
    "grpc: right",
    "processes: right",
    "strings: right",
    "streams: whole",
    "streams: left",
    "aborts: right",
    "aborts: taken back",
    "leavers: left",
    "malformed: refused",
)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_answer_is_wrong_and_nothing_is_left() -> None:
    outcome = run_soak(4, 10.0, clients_of_a_kind=1, kill_every=2)
    assert outcome.wrong == []
    killed = [kill.what for kill in outcome.kills if kill.what in ("worker", "server")]
    assert killed == ["worker", "server"] * 2
    for kind in KINDS_OF_OUTCOMES:
        assert outcome.counts[kind] > 10, kind
    first, last = outcome.looks[0], outcome.looks[-1]
    assert last.processes == first.processes
    assert last.app_threads <= first.app_threads
    assert last.app_descriptors <= first.app_descriptors + 8
    assert last.server_descriptors <= first.server_descriptors + 8
    assert last.app_anonymous <= first.app_anonymous + 64 * MEGABYTE
