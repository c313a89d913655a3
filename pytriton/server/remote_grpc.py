# SPDX-License-Identifier: Apache-2.0
"""The same over gRPC; of its messages only the few fields that are needed are written and read here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import grpc

from pytriton.exceptions import PyTritonServerError
from pytriton.server.remote import Files, RemoteServer, ServerUrl
from pytriton.server.security import TRITON_ACCESS_HEADER

__all__ = ["GrpcServer"]

_SERVICE: Final = "/inference.GRPCInferenceService/"
_HEADER: Final = f"triton-grpc-protocol-{TRITON_ACCESS_HEADER}"
_OPTIONS: Final = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_BYTES: Final = 2
_TRUE: Final = b"\x08\x01"
"""A message whose first field is true."""
_MODEL, _PARAMETERS = 2, 3
_TEXT, _VALUE = 1, 2
_STRING_VALUE, _BYTES_VALUE = 3, 4


class GrpcServer(RemoteServer):
    """Over gRPC, each time on a channel of its own."""

    def __init__(self, url: ServerUrl, access_token: str | None) -> None:
        super().__init__(url, access_token)
        self._metadata = [(_HEADER, access_token)] if access_token else []

    def check_live(self, timeout_s: float) -> None:
        """Raise PyTritonServerError if the server does not answer, or does not live."""
        try:
            reply = self._call("ServerLive", b"", timeout_s)
        except grpc.RpcError as error:
            raise self.unreachable(_details(error)) from error
        if reply != _TRUE:
            raise self.unreachable("it is not live")

    def check_access(self, timeout_s: float) -> None:
        """Raise PyTritonServerError if the server does not let us at its models."""
        try:
            self._call("RepositoryIndex", b"", timeout_s)
        except grpc.RpcError as error:
            raise self.closed(_details(error)) from error

    def has_model(self, name: str, timeout_s: float) -> bool:
        """Whether a version of a model is loaded, whoever has loaded it."""
        try:
            if self._call("ModelReady", _field(1, name.encode()), timeout_s) == _TRUE:
                return True
        except grpc.RpcError as error:
            raise self.unreachable(_details(error)) from error
        try:  # one whose workers have gone is not ready, but there
            self._call("ModelMetadata", _field(1, name.encode()), timeout_s)
        except (grpc.RpcError, PyTritonServerError):
            return False
        return True

    def parameter(self, name: str, key: str, timeout_s: float) -> str:
        """A parameter in the configuration of a model; "" if there is none, or it is not told."""
        try:
            reply = self._call("ModelConfig", _field(1, name.encode()), timeout_s)
        except (grpc.RpcError, PyTritonServerError):
            return ""
        # An entry of the map of parameters: its key, and a message whose first field is the text.
        _, _, entry = reply.partition(_field(1, key.encode()))
        try:
            return _first_field(_first_field(entry, _VALUE << 3 | _BYTES), _TEXT << 3 | _BYTES).decode()
        except (IndexError, ValueError):
            return ""

    def load(self, name: str, config: Mapping[str, Any], files: Files, timeout_s: float) -> None:
        """Load a model of these files; returns when it is ready."""
        request = _field(_MODEL, name.encode())
        request += _parameter("config", _field(_STRING_VALUE, json.dumps(config).encode()))
        for path, content in files.items():
            request += _parameter(f"file:{path}", _field(_BYTES_VALUE, content))
        try:
            self._call("RepositoryModelLoad", request, timeout_s)
        except grpc.RpcError as error:
            raise self.load_failure(name, _details(error)) from error

    def unload(self, name: str, timeout_s: float) -> None:
        """Begin to unload a model."""
        try:
            self._call("RepositoryModelUnload", _field(_MODEL, name.encode()), timeout_s)
        except grpc.RpcError as error:
            raise self.unload_failure(name, _details(error)) from error

    def _call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        with grpc.insecure_channel(self.url.address, options=_OPTIONS) as channel:
            call = channel.unary_unary(_SERVICE + method)
            try:
                reply: bytes = call(request, timeout=timeout_s, metadata=self._metadata)
            except grpc.RpcError as error:
                if "is restricted" in (text := _details(error)):
                    raise self.restricted(text) from error
                raise
        return reply


def _details(error: grpc.RpcError) -> str:
    return str(error.details()) if isinstance(error, grpc.Call) else str(error)


def _parameter(key: str, value: bytes) -> bytes:
    return _field(_PARAMETERS, _field(1, key.encode()) + _field(2, value))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _first_field(message: bytes, tag: int) -> bytes:
    if message[0] != tag:
        raise ValueError(f"expected field {tag}, got {message[0]}")
    length, position, shift = 0, 1, 0
    while True:
        byte = message[position]
        length |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return message[position : position + length]


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
