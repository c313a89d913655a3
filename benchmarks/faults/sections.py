# SPDX-License-Identifier: Apache-2.0
"""The words of the page on faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["BESIDE", "DEPARTURES", "INTRODUCTION", "MALFORMED", "SECTIONS", "Section"]

INTRODUCTION: Final = """\
# What happens when something fails

`python -m benchmarks.faults page` writes this page; do not edit it.
[benchmarks](../benchmarks/README.md#faults) says how to give the faults on a machine of your own.

Each fault was given to a freshly started server, while six clients asked a model for its input over HTTP,
again and again, and checked each answer; the model takes 50 ms for a batch. It has two workers everywhere:
two processes in this package (`WorkerProcesses(count=2)`) and in LitServe, two instances in Triton's Python
backend, and in PyTriton 0.7.0 two functions, which are threads of the application behind two processes of
the server. All else is at its defaults, and nothing outside started anything again. A request without an
answer for 10 s counts as hung. The longest time without answers is that of all clients together. A cell has
the median of the rounds, and in brackets the lowest and the highest; or what all rounds agree on.
"""

BESIDE: Final = "A start that failed was tried again, up to three times."

MALFORMED: Final = {
    "broken_json": "JSON that breaks off",
    "wrong_content": "data that does not fit",
    "binary_size_above": "binary size too large",
    "binary_size_below": "binary size too small",
    "header_length_above": "JSON length beyond the body",
    "content_length_above": "Content-Length beyond the body",
}
"""Requests that are none, and their columns."""

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
    "{} to the process that was started, while two more clients ask for 0.5 s of work each. The clients go "
    "on asking until nobody answers. Looked at for 40 s; a negative exit code is the signal that ended it."
)

SECTIONS: Final = (
    Section(
        "A worker is killed",
        "worker",
        "SIGKILL to one of the two processes that run the function; in PyTriton 0.7.0, whose functions run "
        "in the application, to one of the two processes between it and the server. Looked at for 20 s.",
        _KILLED,
    ),
    Section(
        "The server is killed",
        "server",
        "SIGKILL to the process that takes the requests: tritonserver, or LitServe's uvicorn. Triton with "
        "its Python backend is nothing else, so that nobody is there to start it again. Looked at for 20 s.",
        _KILLED,
    ),
    Section(
        "The application is killed",
        "application",
        "SIGKILL to the process that was started. Looked at for 40 s; files in `/dev/shm` and `/tmp` are "
        "those that its processes had open, mapped or as an argument, and that were still there then. Its "
        "workspace is the directory that it is given for its files.",
        _ORPHANED,
    ),
    Section(
        "The application is killed while nobody asks",
        "application_at_rest",
        "The same, but the clients have closed their connections.",
        _ORPHANED,
    ),
    Section(
        "A function raises for one of four requests",
        "exception",
        "A batch of four, of which one is bad. The function raises; or, where there is a way, it fails that "
        "request alone.",
        ["raises: its caller", "the other three", "fails one request: its caller", "the other three then"],
    ),
    Section(
        "A client leaves",
        "departure",
        "A client asks for 2 s of work, in steps of 50 ms between which the function looks whether it is "
        "still wanted, where it can, and leaves: it closes its HTTP connection, or cancels its gRPC call, "
        "0.3 s after the work has begun, or while the request waits behind another one. The cell says how "
        "long the next request had to wait for nothing.",
        list(DEPARTURES.values()),
    ),
    Section("SIGTERM under load", "sigterm", _END.format("SIGTERM"), _ENDED),
    Section(
        "SIGTERM while nobody asks",
        "sigterm_at_rest",
        "The same, but the clients have closed their connections.",
        _ENDED,
    ),
    Section("SIGINT under load", "sigint", _END.format("SIGINT"), _ENDED),
    Section(
        "Requests that are none",
        "malformed",
        "Each sent once; LitServe has no binary requests. What became of the requests of the six clients in "
        "the second after it is told where not all of them were answered.",
        list(MALFORMED.values()),
    ),
)
