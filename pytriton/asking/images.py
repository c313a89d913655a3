# SPDX-License-Identifier: Apache-2.0
"""Images as inputs of models."""

from __future__ import annotations

import io
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pytriton.client.exceptions import PyTritonClientValueError
from pytriton.model_config.triton_model_config import TensorSpec

__all__ = ["is_image", "read_image"]

_BEGINNINGS: Final = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"BM",
    b"II*\0",
    b"MM\0*",
)
_MODES: Final = {1: "L", 3: "RGB", 4: "RGBA"}
_WHITE: Final = 255.0


class _Layout(NamedTuple):
    channels: int
    height: int
    width: int
    channels_first: bool
    rank: int


def is_image(data: bytes) -> bool:
    """Whether bytes begin as an image does."""
    return data.startswith(_BEGINNINGS) or (data.startswith(b"RIFF") and data[8:12] == b"WEBP")


def read_image(name: str, data: bytes, spec: TensorSpec, white: float) -> npt.NDArray[Any]:
    """Read an image in the layout, size and dtype of an input: [height, width], or with 1, 3 or 4 channels.

    Args:
        name: Where it is from, for messages.
        data: The file's content.
        spec: The input; its fixed sizes are what the image is resized to.
        white: What white is if the input is of floating point; 255 otherwise.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError:
        raise PyTritonClientValueError(
            f"{name}: images need the package pillow: pip install pillow"
        ) from None
    layout = _layout(name, spec)
    try:
        with Image.open(io.BytesIO(data)) as opened:
            image = opened.convert(_MODES[layout.channels])
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise PyTritonClientValueError(f"{name} is no image that can be read: {error}.") from None
    size = (
        image.width if layout.width < 0 else layout.width,
        image.height if layout.height < 0 else layout.height,
    )
    if size != image.size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    pixels: npt.NDArray[Any] = np.asarray(image)
    if layout.rank == 3:
        pixels = pixels.reshape(size[1], size[0], layout.channels)
    if layout.channels_first:
        pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    target = spec.datatype.numpy_dtype
    if np.issubdtype(target, np.integer):
        return pixels
    return (pixels * (white / _WHITE)).astype(target)


def _layout(name: str, spec: TensorSpec) -> _Layout:
    shape = tuple(spec.shape)
    if len(shape) == 2:
        return _Layout(1, *shape, channels_first=False, rank=2)
    if len(shape) == 3:
        if shape[2] in _MODES:
            return _Layout(shape[2], shape[0], shape[1], channels_first=False, rank=3)
        if shape[0] in _MODES:
            return _Layout(shape[0], shape[1], shape[2], channels_first=True, rank=3)
        if shape[2] == -1 and shape[0] == -1:
            return _Layout(3, shape[0], shape[1], channels_first=False, rank=3)
    raise PyTritonClientValueError(
        f'{name} is an image, but input "{spec.name}" has shape {list(shape)}: expected [height, width], '
        "[height, width, channels] or [channels, height, width] with 1, 3 or 4 channels."
    )
