# SPDX-License-Identifier: Apache-2.0
"""The words of the page on faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["BESIDE", "DEPARTURES", "INTRODUCTION", "MALFORMED", "SECTIONS", "Section"]

INTRODUCTION: Final = """\
# What happens when something fails

This page is written by `python -m benchmarks.faults page`; do not edit it.
[benchmarks](../benchmarks/README.md#faults) explains how to run the faults on your own machine.

Each fault was applied to a freshly started server while six clients sent requests over HTTP without pause.
The model returns its input and takes 50 ms for a batch, and the clients checked each answer. Everywhere it
has two workers: two processes in this package (`WorkerProcesses(count=2)`) and in LitServe, two instances in
Triton's Python backend, and in PyTriton 0.7.0 two functions, which are threads of the application behind
two processes of the server. Everything else has its default, and nothing outside restarted anything.

A request without an answer for 10 s counts as hung. The longest time without answers is that of all clients
together. A cell has the median of the rounds with the lowest and the highest in brackets, or what all rounds
agree on.
"""

BESIDE: Final = "A start that failed was tried again, up to three times."

MALFORMED: Final = {
    "broken_json": "truncated JSON",
    "wrong_content": "data that does not fit",
    "binary_size_above": "binary size too large",
    "binary_size_below": "binary size too small",
    "header_length_above": "JSON length beyond the body",
    "content_length_above": "Content-Length beyond the body",
}
"""Malformed requests, and their columns."""

DEPARTURES: Final = {
    "http_computed": "HTTP, computed",
    "http_queued": "HTTP, queued",
    "grpc_computed": "gRPC, computed",
    "grpc_queued": "gRPC, queued",
}
"""Ways of leaving, and their columns."""


@dataclass(frozen=True)
class Section:
    """One table."""

    title: str
    fault: str
    note: str
    head: list[str]


_KILLED: Final = [
    "requests that failed",
    "what they were told",
    "hung",
    "longest time without answers",
    "all answered again after",
]
_ORPHANED: Final = [
    "nothing alive after",
    "alive after 5 s",
    "left in `/dev/shm`",
    "left in `/tmp`",
    "files left in its workspace",
    "ports that take connections",
]
_ENDED: Final = [
    "exit code",
    "it ended after",
    "all its processes ended after",
    "requests on their way",
    "requests that came later",
]
_END: Final = (
    "{} is sent to the process that was started, while two more clients request 0.5 s of work each. The "
    "clients continue until nobody answers. Observed for 40 s. A negative exit code is the signal that ended "
    "the process."
)

SECTIONS: Final = (
    Section(
        "A worker is killed",
        "worker",
        "SIGKILL is sent to one of the two processes that run the function. In PyTriton 0.7.0, whose "
        "functions run in the application, it is sent to one of the two processes between the application "
        "and the server. Observed for 20 s.",
        _KILLED,
    ),
    Section(
        "The server is killed",
        "server",
        "SIGKILL is sent to the process that receives the requests: tritonserver, or LitServe's uvicorn. "
        "Triton with its Python backend consists of this process alone, so nothing is left to restart it. "
        "Observed for 20 s.",
        _KILLED,
    ),
    Section(
        "The application is killed",
        "application",
        "SIGKILL is sent to the process that was started. Observed for 40 s. Files in `/dev/shm` and `/tmp` "
        "are those that its processes had open, mapped or as an argument, and that were still there at the "
        "end. Its workspace is the directory that it is given for its files.",
        _ORPHANED,
    ),
    Section(
        "The application is killed while idle",
        "application_at_rest",
        "The same, but the clients have closed their connections.",
        _ORPHANED,
    ),
    Section(
        "A function raises for one of four requests",
        "exception",
        "One request in a batch of four is bad. The function raises or, where this is possible, fails only "
        "that request.",
        ["raises: its caller", "the other three", "fails one request: its caller", "the other three then"],
    ),
    Section(
        "A client leaves",
        "departure",
        "A client requests 2 s of work. The work consists of steps of 50 ms, between which the function "
        "checks, where it can, whether the result is still wanted. The client then leaves: it closes its "
        "HTTP connection, or cancels its gRPC call, either 0.3 s after the work has begun or while the "
        "request waits behind another one. The cell says how long the next request waited for work that "
        "nobody wanted.",
        list(DEPARTURES.values()),
    ),
    Section("SIGTERM under load", "sigterm", _END.format("SIGTERM"), _ENDED),
    Section(
        "SIGTERM while idle",
        "sigterm_at_rest",
        "The same, but the clients have closed their connections.",
        _ENDED,
    ),
    Section("SIGINT under load", "sigint", _END.format("SIGINT"), _ENDED),
    Section(
        "Malformed requests",
        "malformed",
        "Each is sent once; LitServe has no binary requests. If not all requests of the six clients in the "
        "following second were answered, the cell says what became of them.",
        list(MALFORMED.values()),
    ),
)
