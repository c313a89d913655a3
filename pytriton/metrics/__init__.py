# SPDX-License-Identifier: Apache-2.0
"""Metrics of one's own, on the metrics page of the server that serves the function.

Declare them where the function is, and use them wherever the program likes:

    from pytriton.metrics import Counter

    TOKENS = Counter("tokens_total", "Tokens that were generated", ["language"])


    @batch
    def generate(prompt):
        ...
        TOKENS.labels("de").inc(len(tokens))

Every process that serves something reports what it counts to the server, some times a second; there the
threads and processes of all workers are put together.
"""

from __future__ import annotations

from pytriton.metrics.declared import DEFAULT_BUCKETS, Counter, Gauge, Histogram

__all__ = ["DEFAULT_BUCKETS", "Counter", "Gauge", "Histogram"]
