# SPDX-License-Identifier: Apache-2.0
"""The request that a load repeats: made-up inputs of the shapes that the model takes, or given ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pytriton.client._core.operations import Infer
from pytriton.client._core.request import Call
from pytriton.client._core.session import Session
from pytriton.client._grpc.wire import encode as encode_grpc
from pytriton.client._http.body import message_of
from pytriton.client._http.wire import encode as encode_http
from pytriton.client.exceptions import PyTritonClientValueError
from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig
from pytriton.model_config.warmup import WarmupInput, generate_warmup_data

__all__ = ["made_up", "message_for", "shapes_of"]


def shapes_of(texts: Sequence[str], model: TritonModelConfig) -> dict[str, tuple[int, ...]]:
    """Shapes by input of texts such as `image:224,224,3`."""
    specs = {spec.name: spec for spec in model.inputs or ()}
    shapes = {}
    for text in texts:
        name, _, sizes = text.rpartition(":")
        if not name or name not in specs:
            raise PyTritonClientValueError(
                f"--shape: expected input:size,size,..., got {text!r}; inputs are {', '.join(specs)}."
            )
        try:
            shape = tuple(int(size) for size in sizes.split(",")) if sizes else ()
        except ValueError:
            raise PyTritonClientValueError(f"--shape: {sizes!r} are no sizes; expected numbers.") from None
        if not _fits(shape, specs[name]):
            raise PyTritonClientValueError(
                f"--shape: {list(shape)} does not fit input {name!r}, whose shape is "
                f"{list(specs[name].shape)} (without the batch dimension; -1 is any size)."
            )
        shapes[name] = shape
    return shapes


def made_up(
    model: TritonModelConfig, shapes: Mapping[str, tuple[int, ...]], batch_size: int, *, zeros: bool
) -> dict[str, Any]:
    """Inputs of random values, or zeros; sizes that are free and not given are 1.

    Args:
        model: The model.
        shapes: Shapes by input, without the batch dimension.
        batch_size: Rows.
        zeros: Whether values are zeros, or empty strings.
    """
    inputs = {}
    for spec in model.inputs or ():
        if spec.optional and spec.name not in shapes:
            continue
        shape = shapes.get(spec.name) or tuple(max(size, 1) for size in spec.shape)
        wanted = WarmupInput(spec.dtype, shape, zero_data=zeros, random_data=not zeros)
        inputs[spec.name] = generate_warmup_data(wanted, batch_size if model.batching else None)
    return inputs


def message_for(
    session: Session,
    inputs: Mapping[str, Any],
    parameters: Mapping[str, Any],
    *,
    as_batch: bool,
    binary: bool,
) -> bytes:
    """The whole HTTP request, or the gRPC message, that asks a model.

    Args:
        session: What is known of the model.
        inputs: Values by input.
        parameters: Parameters of the request.
        as_batch: Whether the values begin with the batch dimension.
        binary: Whether values travel as bytes over HTTP, not as JSON.
    """
    settings = session.settings
    if session.signature.decoupled:
        raise PyTritonClientValueError(
            f"{settings.what} is decoupled: it may give any number of responses; a load is made of requests "
            "that have one each."
        )
    call = Call.create((), dict(inputs), dict(parameters) or None, is_batch=as_batch)
    operation = session.command(call).operation
    assert isinstance(operation, Infer)
    if settings.url.protocol == "grpc":
        return encode_grpc(operation)
    request = encode_http(dataclasses.replace(operation, binary=binary))
    return b"".join(message_of(request, settings.url.without_scheme, settings.headers))


def _fits(shape: Sequence[int], spec: TensorSpec) -> bool:
    return len(shape) == len(spec.shape) and all(
        size >= 0 and want in (-1, size) for size, want in zip(shape, spec.shape, strict=True)
    )
