# SPDX-License-Identifier: Apache-2.0
"""Inputs that may be left out."""

import numpy as np
from seen import ENDPOINTS, attempt, say

from pytriton.client import ModelClient
from pytriton.decorators import batch, fill_optionals, first_value, group_by_keys
from pytriton.model_config import Tensor
from pytriton.triton import Triton


def names(requests):
    return [{"y": np.array([[",".join(request).encode()]], object)} for request in requests]


@fill_optionals(w=np.array([2], np.float32), t=np.array([b"word"], dtype=object))
@batch
@first_value("w", "t")
def filled(x, w, t):
    return {
        "y": np.array([[f"{value}*{float(w)} {t.decode()}".encode()] for value in x.ravel().tolist()], object)
    }


@group_by_keys
@batch
def grouped(x=None, w=None, t=None):
    given = [array for array in (x, w, t) if array is not None]
    return {"y": np.array([[str(len(given)).encode()]] * len(given[0]), object)}


@fill_optionals(w=np.array([2], np.float64), x=5)
@batch
def badly_filled(x, w):
    return {"y": x}


X = Tensor(name="x", dtype=np.float32, shape=(1,))
W = Tensor(name="w", dtype=np.float32, shape=(1,), optional=True)
T = Tensor(name="t", dtype=object, shape=(1,), optional=True)
ALL = [Tensor(name="x", dtype=np.float32, shape=(1,), optional=True), W, T]
Y = [Tensor(name="y", dtype=object, shape=(1,))]
x = np.array([[3]], np.float32)
t = np.array([[b"other"]])
with Triton() as triton:
    triton.bind("names", names, [X, W, T], Y)
    triton.bind("filled", filled, [X, W, T], Y)
    triton.bind("grouped", grouped, ALL, Y)
    triton.bind("badly", badly_filled, [X, W], Y)
    for protocol, url in ENDPOINTS.items():
        with ModelClient(url, "names") as client:
            say(protocol, client.infer_batch(x), client.infer_batch(x, x), client.infer_batch(x=x, t=t))
            say("spec", [spec.optional for spec in client.model_config.inputs])
            attempt("without what must be", client.infer_batch, w=x)
        with ModelClient(url, "filled") as client:
            say("filled", client.infer_batch(x), client.infer_batch(x=x, w=x, t=t))
        with ModelClient(url, "grouped") as client:
            say("grouped", client.infer_batch(w=x), client.infer_batch(t=t, x=x))
        with ModelClient(url, "badly") as client:
            attempt("bad default", client.infer_batch, x)
