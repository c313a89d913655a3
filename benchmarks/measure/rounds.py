# SPDX-License-Identifier: Apache-2.0
"""The loads: all subjects take turns within each round, so that they see the same machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from benchmarks import process_tree
from benchmarks.loads import Load
from benchmarks.measure.counts import Counts
from benchmarks.measure.generators import Generators
from benchmarks.profiles import Profile
from benchmarks.results import Results, Sample
from benchmarks.running import Running

__all__ = ["run_rounds"]


def run_rounds(
    running: list[Running],
    loads: Sequence[Load],
    generators: Generators,
    profile: Profile,
    results: Results,
    restarted: Callable[[Running], Running | None],
    say: Callable[[str], None],
) -> None:
    """Measure every load on every subject, `profile.rounds` times; only the subject in turn is not paused."""
    for server in running:
        server.pause()
    for number in range(profile.rounds):
        for load in loads:
            first = number % max(len(running), 1)
            for server in [*running[first:], *running[:first]]:
                if generators.fits(load, server) and not _take_turn(
                    server, load, number, generators, profile, results, say
                ):
                    _replace(running, server, restarted(server))
            say(f"  {load.name}, round {number + 1}")
        say(f"round {number + 1} of {profile.rounds} done")


def _replace(running: list[Running], old: Running, new: Running | None) -> None:
    place = running.index(old)
    if new is None:
        del running[place]
    else:
        running[place] = new
        new.pause()


def _take_turn(
    server: Running,
    load: Load,
    number: int,
    generators: Generators,
    profile: Profile,
    results: Results,
    say: Callable[[str], None],
) -> bool:
    """Whether the server is good for another turn."""
    try:
        server.resume()
        results.samples.append(_sample(server, load, number, generators, profile))
    except Exception as error:  # one subject that fails must not end the run of the others
        results.problems.append(f"{load.name} on {server.subject.name}, round {number}: {error}")
        say(f"  {results.problems[-1]}")
        return False
    finally:
        server.pause()
    return True


def _sample(server: Running, load: Load, number: int, generators: Generators, profile: Profile) -> Sample:
    before, cpu_before, own_before = (
        Counts.read(server, load.model),
        process_tree.cpu_seconds(server.pids),
        _own_cpu(),
    )
    measured = generators.send(load, server, profile)
    cpu = process_tree.cpu_seconds(server.pids) - cpu_before
    generator_cpu = _own_cpu() - own_before
    after = Counts.read(server, load.model)
    served = measured.requests
    mean_batch = copies_in = copies_out = None
    if before is not None and after is not None:
        delta = after - before
        served = delta.requests  # perf_analyzer warms up with requests that it does not report
        mean_batch = delta.requests / max(delta.batches, 1)
        if server.subject.counts_copies:
            copies_in = delta.copied_in / max(delta.requests * load.tensor_bytes, 1)
            copies_out = delta.copied_out / max(delta.requests * load.tensor_bytes, 1)
    return Sample(
        load=load.name,
        subject=server.subject.name,
        round=number,
        requests=measured.requests,
        rate=measured.rate,
        p50_us=measured.p50_us,
        p99_us=measured.p99_us,
        mean_us=measured.mean_us,
        failed=measured.failed,
        server_cpu_s_per_1000=cpu / max(served, 1) * 1000,
        generator_cpu_s_per_1000=generator_cpu / max(served, 1) * 1000,
        mean_batch=mean_batch,
        copies_in=copies_in,
        copies_out=copies_out,
    )


def _own_cpu() -> float:
    # The load generators are the only children that end between two calls.
    times = os.times()
    return times.children_user + times.children_system
