# SPDX-License-Identifier: Apache-2.0
"""One process of a load: python -m pytriton.bench.worker, with a plan on standard input.

It says when it is connected, reads when to start, and writes what it has seen early and in the end, pickled.
"""

from __future__ import annotations

import contextlib
import gc
import pickle
import signal
import sys
from typing import Any

from pytriton.bench.early import look_early
from pytriton.bench.plan import METHOD, Plan

__all__ = ["main"]


def main() -> None:
    """Run a plan."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    commands, news = sys.stdin.buffer, sys.stdout.buffer
    plan: Plan = pickle.load(commands)
    load = _load(plan)
    with contextlib.closing(load):
        try:
            load.connect()
        except Exception as error:
            _say(news, str(error) or type(error).__name__)
            return
        _say(news, "")
        start = commands.readline()
        if not start:
            return
        gc.disable()
        look = look_early(plan, load.seen, int(start), lambda found: _say(news, found))
        seen = load.run(int(start))
        if look is not None:
            look.join()
    _say(news, seen)


def _load(plan: Plan) -> Any:
    if plan.encrypted:
        from pytriton.bench.grpc_load import GrpcLoad

        return GrpcLoad(plan)
    from pytriton.bench.socket_load import SocketLoad

    if plan.protocol == "grpc":
        from pytriton.bench.http2 import GrpcExchange, grpc_headers

        headers = grpc_headers(METHOD, plan.target, plan.metadata)
        return SocketLoad(plan, lambda: GrpcExchange(headers, plan.message))
    from pytriton.bench.exchange import Http1Exchange

    return SocketLoad(plan, lambda: Http1Exchange(plan.message))


def _say(news: Any, what: Any) -> None:
    pickle.dump(what, news)
    news.flush()


if __name__ == "__main__":
    main()
