# SPDX-License-Identifier: Apache-2.0
"""What the programs print: one line for each thing that a user can see."""

import os
import sys

import numpy as np

__all__ = ["ENDPOINTS", "GRPC", "HTTP", "attempt", "say"]

_PORTS = {
    name: int(os.environ[f"PYTRITON_TRITON_CONFIG_{name}_PORT"]) for name in ("HTTP", "GRPC", "METRICS")
}
HTTP = f"http://127.0.0.1:{_PORTS['HTTP']}"
GRPC = f"grpc://127.0.0.1:{_PORTS['GRPC']}"
ENDPOINTS = {"http": HTTP, "grpc": GRPC}
METRICS = f"http://127.0.0.1:{_PORTS['METRICS']}/metrics"


def plain(value):
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return f"{value.dtype.name if value.dtype.kind not in 'SU' else value.dtype.kind} {value.tolist()}"
    if isinstance(value, np.generic):
        return f"{value.dtype.name} {value.item()}"
    return value


def say(label, *values):
    print(f"{label}:", *(plain(value) for value in values), flush=True)


def attempt(label, function, *args, words=(), **kwargs):
    """Says what a call gives, or which exception it raises and which of the words stand in its text."""
    try:
        result = function(*args, **kwargs)
    except BaseException as error:  # the programs look at every exception
        text = str(error)
        found = [word for word in words if word in text]
        print(f"{label}: raises {type(error).__module__}.{type(error).__name__}", *found, flush=True)
        print(f"    [{label}] {text[-600:]}", file=sys.stderr, flush=True)
        return None
    say(label, "returns", result)
    return result
