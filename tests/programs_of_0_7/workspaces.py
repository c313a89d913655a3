# SPDX-License-Identifier: Apache-2.0
"""Workspaces and PYTRITON_HOME."""

import os
import pathlib
import warnings

import numpy as np
from seen import HTTP, attempt, say

from pytriton.client import ModelClient
from pytriton.constants import PYTRITON_HOME
from pytriton.decorators import batch
from pytriton.model_config import Tensor
from pytriton.triton import Triton, TritonLifecyclePolicy, VertextAILifecyclePolicy
from pytriton.utils.workspace import CleanupWarning, Workspace

FLOATS = [Tensor(dtype=np.float32, shape=(1,))]


@batch
def double(INPUT_1):
    return [INPUT_1 * 2]


def ask():
    with ModelClient(HTTP, "m") as client:
        return client.infer_sample(np.ones(1, np.float32))["OUTPUT_1"].item()


home = pathlib.Path(os.environ["PYTRITON_HOME"])
say("home", home.resolve() == PYTRITON_HOME)
own = home / "deep" / "own"
with Triton(workspace=own) as triton:
    triton.bind("m", double, FLOATS, FLOATS)
    say("own", own.is_dir(), ask())
say("gone", own.exists())
own.mkdir(parents=True)
attempt("there already", lambda: Triton(workspace=own))
attempt("there already, text", lambda: Triton(workspace=str(own)))
workspace = Workspace(home / "made")
say(
    "workspace",
    workspace.path.name,
    workspace.model_store_path.name,
    workspace.exists(),
    workspace.is_empty(),
)
(workspace.path / "file").write_text("x")
say("with a file", workspace.is_empty())
workspace.clean()
workspace.clean()
say("cleaned", workspace.exists())
with Triton(workspace=Workspace(home / "object")) as triton:
    triton.bind("m", double, FLOATS, FLOATS)
    say("object", ask())
triton = Triton()
before = [path.name.startswith("workspace_") for path in home.iterdir() if path.name not in ("deep", "log")]
say("temporary", before)
triton.run()
triton.stop()
say("left", sorted(path.name for path in home.iterdir() if path.name not in ("deep", "log")))
say("policies", VertextAILifecyclePolicy, TritonLifecyclePolicy())
say("warning", issubclass(CleanupWarning, UserWarning), warnings.filters is not None)
