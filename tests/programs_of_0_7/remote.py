# SPDX-License-Identifier: Apache-2.0
"""RemoteTriton: models of a second object in the server of the first."""

import numpy as np
from seen import GRPC, HTTP, attempt, say

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.model_config import Tensor
from pytriton.triton import RemoteTriton, Triton, TritonSecurityConfig

FLOATS = [Tensor(dtype=np.float32, shape=(1,))]
one = np.ones(1, np.float32)


@batch
def double(INPUT_1):
    return [INPUT_1 * 2]


@batch
def triple(INPUT_1):
    return [INPUT_1 * 3]


def ask(name):
    with ModelClient(HTTP, name, init_timeout_s=3) as client:
        return client.infer_sample(one)["OUTPUT_1"].item()


with Triton(security_config=TritonSecurityConfig(access_token="word")) as triton:
    triton.bind("local", double, FLOATS, FLOATS)
    remote = RemoteTriton(url=HTTP, access_token="word")
    say("new", remote.is_alive(), remote.is_connected())
    remote.bind("early", triple, FLOATS, FLOATS)
    remote.connect()
    say("connected", remote.is_alive(), remote.is_connected())
    remote.bind("late", triple, FLOATS, FLOATS)
    say("asked", ask("local"), ask("early"), ask("late"))
    attempt("twice", remote.bind, "late", double, FLOATS, FLOATS, words=["late"])
    say("stop", remote.stop())
    say("after", remote.is_alive(), remote.is_connected(), triton.is_alive())
    attempt("early is gone", ask, "early")
    say("local serves on", ask("local"))
    with RemoteTriton(url=GRPC, access_token="word") as other:
        other.bind("early", double, FLOATS, FLOATS)
        say("over grpc", ask("early"))
    attempt("gone again", ask, "early")

    def without_token():
        with RemoteTriton(url=HTTP) as stranger:
            stranger.bind("x", double, FLOATS, FLOATS)

    attempt("without a token", without_token)
    attempt("bad url", lambda: RemoteTriton(url="ftp://a").connect())
    say("alive", triton.is_alive(), ask("local"))
