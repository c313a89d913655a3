# SPDX-License-Identifier: Apache-2.0
"""Functions that call one another: parts of a pipeline are models too."""

import numpy as np
from seen import HTTP, attempt, say

from pytriton.client import ModelClient
from pytriton.decorators import batch, fill_optionals, triton_context
from pytriton.model_config import ModelConfig, Tensor
from pytriton.proxy.types import Request
from pytriton.triton import Triton


@batch
def embed(text):
    return [np.array([[len(item)] for item in text.ravel()], np.float32)]


@fill_optionals(factor=np.array([10], np.float32))
@batch
def classify(embedding, factor):
    return [embedding * factor, embedding > 3]


class Pipeline:
    @batch
    @triton_context
    def classify(self, embedding, triton_context):
        limit = triton_context.model_configs[self.classify].max_batch_size
        return [embedding * limit]

    def __call__(self, requests):
        embedded = embed(requests)
        results = classify([Request({"embedding": result["embedding"]}) for result in embedded])
        own = self.classify([Request({"embedding": result["embedding"]}) for result in embedded])
        return [
            {"label": result["large"], "score": result["score"], "own": other["score"]}
            for result, other in zip(results, own, strict=True)
        ]


pipeline = Pipeline()
TEXT = [Tensor(name="text", dtype=bytes, shape=(1,))]
EMBEDDING = [Tensor(name="embedding", dtype=np.float32, shape=(1,))]
FACTOR = [Tensor(name="factor", dtype=np.float32, shape=(1,), optional=True)]
SCORE = [Tensor(name="score", dtype=np.float32, shape=(1,))]
LARGE = [Tensor(name="large", dtype=np.bool_, shape=(1,))]
LABEL = [Tensor(name="label", dtype=np.bool_, shape=(1,))]
OWN = [Tensor(name="own", dtype=np.float32, shape=(1,))]
texts = np.array([[b"ab"], [b"abcde"]])
with Triton() as triton:
    triton.bind("embed", embed, TEXT, EMBEDDING)
    triton.bind("classify", classify, EMBEDDING + FACTOR, SCORE + LARGE)
    triton.bind("own", pipeline.classify, EMBEDDING, SCORE, config=ModelConfig(max_batch_size=77))
    triton.bind("pipeline", pipeline, TEXT, LABEL + SCORE + OWN)
    for name in ("embed", "pipeline"):
        with ModelClient(HTTP, name) as client:
            say(name, client.infer_batch(texts))
    attempt("called here", embed, [Request({"text": texts})])
    attempt("called here too", classify, [Request({"embedding": np.ones((1, 1), np.float32)})])
say("afterwards", embed([Request({"text": texts})]))
