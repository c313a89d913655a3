# SPDX-License-Identifier: Apache-2.0
"""Texts and bytes, in and out."""

import numpy as np
from seen import ENDPOINTS, attempt, say

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.model_config import Tensor
from pytriton.triton import Triton


@batch
def reverse(text):
    say("given", text.dtype, type(text.flat[0]).__name__, text.shape)
    texts = np.char.decode(text.astype("bytes"), "utf-8")
    return {"text": np.char.encode(np.array([[t[::-1] for t in row] for row in texts.tolist()]), "utf-8")}


@batch
def identity(text):
    return {"text": text}


@batch
def unicode_out(text):
    return {"text": np.array([["grüße"]] * len(text))}


@batch
def str_objects(text):
    return {"text": np.array([["str"]] * len(text), dtype=object)}


@batch
def numbers_as_text(text):
    return {"text": np.array([[1.5]] * len(text))}


with Triton() as triton:
    for dtype in (bytes, np.bytes_, object, np.object_):
        name = f"identity_{np.dtype(dtype).kind}_{dtype.__name__}"
        tensors = [Tensor(name="text", dtype=dtype, shape=(-1,))]
        triton.bind(name, identity, tensors, tensors)
    for function in (reverse, unicode_out, str_objects, numbers_as_text):
        tensors = [Tensor(name="text", dtype=bytes, shape=(-1,))]
        triton.bind(function.__name__, function, tensors, tensors)
    triton.bind("strict", str_objects, tensors, tensors, strict=True)
    triton.bind("strict_unicode", unicode_out, tensors, tensors, strict=True)
    encoded = np.char.encode(np.array([["hello", "wörld"]]), "utf-8")
    raw = np.array([[b"\x00a\x00", b"", b"\xff\x00"]], dtype=object)
    for protocol, url in ENDPOINTS.items():
        with ModelClient(url, "reverse") as client:
            say(protocol, client.infer_batch(encoded), client.infer_batch(encoded.astype(object)))
            attempt("unicode array", client.infer_batch, np.array([["hello"]]))
            attempt("objects of str", client.infer_batch, np.array([["hello"]], dtype=object))
            attempt("numbers", client.infer_batch, np.array([[1]], dtype=object))
        for name in ("identity_S_bytes", "identity_S_bytes_", "identity_O_object", "identity_O_object"):
            with ModelClient(url, name) as client:
                say(name, client.infer_batch(raw), client.infer_batch(np.array([[b"ab\0"]])))
        for name in ("unicode_out", "str_objects", "numbers_as_text", "strict", "strict_unicode"):
            with ModelClient(url, name) as client:
                attempt(name, client.infer_batch, encoded)
