# SPDX-License-Identifier: Apache-2.0
"""The same questions as each framework wants to be asked them, and whether the answers are right."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.comparison.models import WORDS, Projection, classify, tell
from benchmarks.json_http import post, post_json

__all__ = ["BentoML", "FastAPI", "LitServe", "Pytriton", "Questions"]

_LENGTHS: Final = [[5.1, 3.5, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]]
_TEXTS: Final = ["the fox", "saw the hen"]
_PROMPT, _MAX_TOKENS = "the fox", 5
_DEFAULT_SEED: Final = 0
_EXACT: Final = 1e-5


class Questions(ABC):
    """How a framework wants to be asked; every method gives what the model itself would."""

    def check(self, program: str, port: int) -> None:
        """Ask a program.

        Raises:
            OSError: Nobody answers, or not with 200.
            AssertionError: The answer is wrong.
        """
        {"classifier": self._classifier, "embedder": self._embedder, "token_streamer": self._story}[program](
            port
        )

    def _classifier(self, port: int) -> None:
        species, probability = self.classify(port, _LENGTHS)
        right_species, right_probability = classify(np.array(_LENGTHS, np.float32))
        assert species == right_species, f"{species} instead of {right_species}"
        _close(probability, right_probability)

    def _embedder(self, port: int) -> None:
        projection = Projection("cpu")
        _close(self.embed(port, _TEXTS, {}), projection.embed(_TEXTS, True))
        _close(self.embed(port, _TEXTS, {"normalize": False}), projection.embed(_TEXTS, False))

    def _story(self, port: int) -> None:
        async def collect() -> list[str]:
            return [token async for token in tell(_PROMPT, _MAX_TOKENS, _DEFAULT_SEED)]

        told = self.tell(port, {"prompt": _PROMPT, "max_tokens": _MAX_TOKENS})
        right = asyncio.run(collect())
        assert told == right, f"{told} instead of {right}"

    @abstractmethod
    def classify(self, port: int, lengths: list[list[float]]) -> tuple[list[str], list[float]]:
        """Species and probabilities of rows."""

    @abstractmethod
    def embed(self, port: int, texts: list[str], parameters: dict[str, Any]) -> list[list[float]]:
        """Vectors of texts."""

    @abstractmethod
    def tell(self, port: int, prompt: dict[str, Any]) -> list[str]:
        """All tokens of a stream."""


class Pytriton(Questions):
    """KServe's v2 protocol, and Triton's extension for streams."""

    def classify(self, port: int, lengths: list[list[float]]) -> tuple[list[str], list[float]]:
        outputs = self._infer(port, "classifier", "lengths", "FP32", lengths, {})
        return outputs["species"], outputs["probability"]

    def embed(self, port: int, texts: list[str], parameters: dict[str, Any]) -> list[list[float]]:
        (values,) = self._infer(
            port, "embedder", "text", "BYTES", [[text] for text in texts], parameters
        ).values()
        vectors: list[list[float]] = np.reshape(values, (len(texts), -1)).tolist()
        return vectors

    def tell(self, port: int, prompt: dict[str, Any]) -> list[str]:
        return _events(port, "/v2/models/story/generate_stream", prompt)

    @staticmethod
    def _infer(
        port: int, model: str, name: str, datatype: str, data: list[Any], parameters: dict[str, Any]
    ) -> dict[str, Any]:
        tensor = {"name": name, "datatype": datatype, "shape": list(np.shape(data)), "data": data}
        answer = _post(port, f"/v2/models/{model}/infer", {"inputs": [tensor], "parameters": parameters})
        return {output["name"]: output["data"] for output in answer["outputs"]}


class FastAPI(Questions):
    """Documents of the program's own."""

    def classify(self, port: int, lengths: list[list[float]]) -> tuple[list[str], list[float]]:
        answer = _post(port, "/classifier", {"lengths": lengths})
        return answer["species"], answer["probability"]

    def embed(self, port: int, texts: list[str], parameters: dict[str, Any]) -> list[list[float]]:
        vectors: list[list[float]] = _post(port, "/embedder", {"text": texts, **parameters})["output"]
        return vectors

    def tell(self, port: int, prompt: dict[str, Any]) -> list[str]:
        return _events(port, "/story", prompt)


class LitServe(Questions):
    """One sample a request."""

    def classify(self, port: int, lengths: list[list[float]]) -> tuple[list[str], list[float]]:
        answers = [_post(port, "/classifier", {"lengths": row}) for row in lengths]
        return [answer["species"] for answer in answers], [answer["probability"] for answer in answers]

    def embed(self, port: int, texts: list[str], parameters: dict[str, Any]) -> list[list[float]]:
        return [_post(port, "/embedder", {"text": text, **parameters})["output"] for text in texts]

    def tell(self, port: int, prompt: dict[str, Any]) -> list[str]:
        return _events(port, "/story", prompt)


class BentoML(Questions):
    """Arguments by name; the tokens of a stream come as they are."""

    def classify(self, port: int, lengths: list[list[float]]) -> tuple[list[str], list[float]]:
        answer = _post(port, "/classifier", {"lengths": lengths})
        return [each["species"] for each in answer], [each["probability"] for each in answer]

    def embed(self, port: int, texts: list[str], parameters: dict[str, Any]) -> list[list[float]]:
        vectors: list[list[float]] = _post(
            port, "/embedder", {"texts": [{"text": text, **parameters} for text in texts]}
        )
        return vectors

    def tell(self, port: int, prompt: dict[str, Any]) -> list[str]:
        # Nothing is between them, so they are looked for one by one.
        text, tokens = post(port, "/story", json.dumps(prompt).encode()).decode(), []
        words = sorted(set(WORDS), key=len, reverse=True)
        while text:
            token = next((word for word in words if text.startswith(word)), text)
            tokens.append(token)
            text = text[len(token) :]
        return tokens


def _post(port: int, path: str, document: dict[str, Any]) -> Any:
    return post_json(port, path, json.dumps(document).encode())


def _events(port: int, path: str, document: dict[str, Any]) -> list[str]:
    """The output of each server-sent event."""
    lines = post(port, path, json.dumps(document).encode()).decode().splitlines()
    return [json.loads(line.removeprefix("data:"))["output"] for line in lines if line.startswith("data:")]


def _close(given: Any, right: npt.NDArray[np.float32]) -> None:
    assert np.allclose(given, right, rtol=_EXACT, atol=_EXACT), f"{given} instead of {right}"
