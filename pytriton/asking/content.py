# SPDX-License-Identifier: Apache-2.0
"""What a file or standard input holds: arrays of NumPy, JSON, an image, text."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from pytriton.asking.images import is_image, read_image
from pytriton.client.exceptions import PyTritonClientValueError
from pytriton.model_config.triton_model_config import TensorSpec

__all__ = ["Content"]

_NPY: Final = b"\x93NUMPY"
_ZIP: Final = b"PK"


@dataclass(frozen=True)
class Content:
    """Bytes and where they are from."""

    name: str
    data: bytes

    @classmethod
    def of_argument(cls, text: str) -> Content:
        """Read the file that an argument names."""
        if not text:
            raise PyTritonClientValueError("@ is followed by the name of a file, got nothing.")
        return cls.of_file(Path(text))

    @classmethod
    def of_file(cls, path: Path) -> Content:
        """Read a file."""
        try:
            return cls(str(path), path.read_bytes())
        except OSError as error:
            raise PyTritonClientValueError(f"{path} cannot be read: {error.strerror or error}.") from None

    def value_for(self, spec: TensorSpec, white: float) -> Any:
        """What an input shall have: an array, or what one can be made of.

        Args:
            spec: The input.
            white: What white is in an image for an input of floating point.
        """
        if self.data.startswith(_NPY):
            return self._npy()
        if self.data.startswith(_ZIP):
            return self._only_array()
        if spec.datatype.name == "BYTES":
            return self._text()
        if is_image(self.data):
            return read_image(self.name, self.data, spec, white)
        value = self._json()
        if isinstance(value, dict):
            raise PyTritonClientValueError(
                f"{self.name} holds an object of JSON; give it with --input, which takes values by the "
                "names of inputs."
            )
        return value

    def by_name(self) -> dict[str, Any]:
        """Arrays by the names of inputs: of an .npz file, a JSON object, or a request of the v2 protocol."""
        if self.data.startswith(_ZIP):
            return self._npz()
        if self.data.startswith(_NPY):
            raise PyTritonClientValueError(
                f"{self.name} holds one array, which has no name; give it as an input: name=@{self.name}."
            )
        document = self._json()
        if isinstance(document, dict) and isinstance(document.get("inputs"), list):
            return {str(tensor["name"]): self._of_request(tensor) for tensor in document["inputs"]}
        if not isinstance(document, dict):
            raise PyTritonClientValueError(
                f"{self.name}: expected an object of values by the names of inputs, got a "
                f"{type(document).__name__}."
            )
        return document

    def _of_request(self, tensor: Any) -> Any:
        try:
            flat = np.array(tensor["data"], object if tensor.get("datatype") == "BYTES" else None)
            return flat.reshape(tensor["shape"])
        except (KeyError, TypeError, ValueError) as error:
            raise PyTritonClientValueError(
                f"{self.name}: input {tensor.get('name')!r} is none of the v2 protocol: {error}."
            ) from None

    def _npy(self) -> Any:
        try:
            return np.load(io.BytesIO(self.data), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise self._no_array(error) from None

    def _npz(self) -> dict[str, Any]:
        try:
            with np.load(io.BytesIO(self.data), allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile) as error:
            raise self._no_array(error) from None

    def _only_array(self) -> Any:
        arrays = self._npz()
        if len(arrays) != 1:
            raise PyTritonClientValueError(
                f"{self.name} holds {len(arrays)} arrays ({', '.join(arrays)}); give it with --input, which "
                "takes them by the names of inputs."
            )
        return next(iter(arrays.values()))

    def _json(self) -> Any:
        try:
            return json.loads(self.data)
        except (ValueError, UnicodeDecodeError) as error:
            why = f" (as JSON: {error})" if self.data.lstrip()[:1] in (b"[", b"{") else ""
            raise PyTritonClientValueError(
                f"{self.name} is no array: expected .npy, .npz, JSON or an image{why}."
            ) from None

    def _text(self) -> Any:
        try:
            value = json.loads(self.data)
        except (ValueError, UnicodeDecodeError):
            return self.data
        return value if isinstance(value, list) else self.data

    def _no_array(self, error: Exception) -> PyTritonClientValueError:
        return PyTritonClientValueError(f"{self.name} is no array that NumPy can read: {error}.")
