# SPDX-License-Identifier: Apache-2.0
"""The peer with the same promise: a Python function behind HTTP, with batching."""

from __future__ import annotations

import signal

from benchmarks.subjects.fastapi import FastAPI

__all__ = ["LitServe"]


class LitServe(FastAPI):
    """LitServe with batches of up to 128; its `fast_queue` was tried and is no faster here."""

    name = "litserve"
    title = "LitServe"
    infer_path = "/predict"
    script = "serve_litserve.py"
    stop_signal = signal.SIGINT  # SIGTERM would end its first process alone
    packages = ("litserve", "fastapi", "uvicorn", "numpy")
