# SPDX-License-Identifier: Apache-2.0
"""How programs that serve end: by signals, by themselves, and by an unrecoverable error."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
from seen import HTTP, say

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.exceptions import PyTritonUnrecoverableError
from pytriton.model_config import Tensor
from pytriton.triton import Triton

FLOATS = [Tensor(dtype=np.float32, shape=(1,))]
PORT = int(HTTP.rsplit(":", 1)[1])


stoppers = []


@batch
def double(INPUT_1):
    if INPUT_1[0, 0] < 0:
        raise PyTritonUnrecoverableError("no further inferences possible")
    if stoppers:
        stoppers.pop().start()
    return [INPUT_1 * 2]


def serve(how):
    if how == "exception":
        with Triton() as triton:
            triton.bind("m", double, FLOATS, FLOATS)
            raise RuntimeError("of the program")
    if how == "forgets to stop":
        triton = Triton()
        triton.bind("m", double, FLOATS, FLOATS)
        triton.run()
        sys.exit(3)
    with Triton() as triton:
        triton.bind("m", double, FLOATS, FLOATS)
        if how == "stop":
            stoppers.append(threading.Timer(1, triton.stop))
        triton.serve(monitoring_period_s=1)
    print("served")


def ask(value):
    with ModelClient(HTTP, "m", init_timeout_s=60) as client:
        try:
            return client.infer_sample(np.array([value], np.float32))["OUTPUT_1"].item()
        except Exception as error:
            return type(error).__name__


def free():
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", PORT)) != 0:
                return True
        time.sleep(0.1)
    return False


def run(how):
    home = pathlib.Path(os.environ["PYTRITON_HOME"]) / how.replace(" ", "-")
    home.mkdir()
    child = subprocess.Popen(
        [sys.executable, __file__, how],
        env={**os.environ, "PYTRITON_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    if how.startswith("SIG") or how == "stop":
        answer = ask(1)
    if how.startswith("SIG"):
        child.send_signal(getattr(signal, how))
    elif how == "unrecoverable":
        answer = ask(-1)
    output, _ = child.communicate(timeout=100)
    say(how, child.returncode, "served" in output)
    if how in ("SIGINT", "SIGTERM", "unrecoverable"):
        say(how + ", answered", answer)
    say(how + ", left", free(), [path.name[:9] for path in home.iterdir()])


if len(sys.argv) > 1:
    serve(sys.argv[1])
else:
    for how in ("SIGINT", "SIGTERM", "SIGKILL", "stop", "unrecoverable", "exception", "forgets to stop"):
        run(how)
