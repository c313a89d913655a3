# SPDX-License-Identifier: Apache-2.0
"""What can be said about a client and about one request beyond its tensors."""

from __future__ import annotations

import numbers
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pytriton.client._texts import check_text
from pytriton.client.exceptions import PyTritonClientValueError

if TYPE_CHECKING:
    import ssl

__all__ = [
    "Compression",
    "InferOptions",
    "Retry",
    "SharedMemory",
    "Tls",
    "check_compression",
    "check_retry",
    "check_shared_memory",
    "check_tls",
    "is_integer",
]

Compression = Literal["gzip", "deflate"]
SharedMemory = Literal["off", "auto", "always"]

_DOUBLINGS: Final = 1000  # a float has room for no more than 1023


@dataclass(frozen=True)
class InferOptions:
    """Options of one request.

    Args:
        request_id: Id in the server's logs and traces; numbers of the client's own by default.
        priority: Priority in the server's queue, 1 is the highest; 0 is the model's default.
        queue_timeout_us: Microseconds that the request may wait in the server's queue, where the model's
            queue policy allows requests to say so.
        timeout_s: Seconds for the whole call, instead of the client's inference_timeout_s.
        sequence_id: Sequence that the request belongs to, a number or a text.
        sequence_start: Whether it is the first of its sequence.
        sequence_end: Whether it is the last of its sequence.
        outputs: Names of the outputs to return; all by default.
        compression: How the request is compressed, instead of the client's own choice.
    """

    request_id: str | None = None
    priority: int = 0
    queue_timeout_us: int | None = None
    timeout_s: float | None = None
    sequence_id: int | str = 0
    sequence_start: bool = False
    sequence_end: bool = False
    outputs: Sequence[str] | None = None
    compression: Compression | None = None

    def __post_init__(self) -> None:
        if isinstance(self.outputs, str):
            raise PyTritonClientValueError(
                f"InferOptions: outputs must be a sequence of names, got {self.outputs!r}; "
                f"for one output write [{self.outputs!r}]."
            )
        if self.request_id is not None and not isinstance(self.request_id, str):
            raise PyTritonClientValueError(
                f"InferOptions: request_id must be a text or None, got {self.request_id!r}."
            )
        for name in ("request_id", "sequence_id"):
            if isinstance(text := getattr(self, name), str):
                check_text(f"InferOptions: {name}", text)
        self._check_numbers()
        if (self.sequence_start or self.sequence_end) and not self.sequence_id:
            raise PyTritonClientValueError(
                "InferOptions: sequence_start and sequence_end need a sequence_id that is not 0 or empty."
            )
        check_compression(self.compression)

    def _check_numbers(self) -> None:
        # The protocols have 64 bits for each, and a sign where the server wants one.
        for name, bits in (("priority", 64), ("queue_timeout_us", 63)):
            value = getattr(self, name)
            if value is not None and not _has_bits(value, bits):
                either = "None or " if name == "queue_timeout_us" else ""
                raise PyTritonClientValueError(
                    f"InferOptions: {name} must be {either}an integer of 0 to 2**{bits} - 1, got {value!r}."
                )
        if not isinstance(self.sequence_id, str) and not _has_bits(self.sequence_id, 63):
            raise PyTritonClientValueError(
                "InferOptions: sequence_id must be a text or an integer of 0 to 2**63 - 1, "
                f"got {self.sequence_id!r}."
            )
        if self.timeout_s is not None and not (_is_number(self.timeout_s) and self.timeout_s > 0):
            raise PyTritonClientValueError(
                "InferOptions: timeout_s must be a number of seconds greater than 0, or None, "
                f"got {self.timeout_s!r}."
            )


@dataclass(frozen=True)
class Retry:
    """When a request is sent again: the server cannot be reached, or says that it is unavailable.

    A request that may have reached the model is sent again only when `idempotent` says that running it twice
    does no harm. All tries together have the time of one.

    Args:
        attempts: How often a request is sent at most, the first time included.
        backoff_s: Pause before the second try; it doubles with every further one.
        max_backoff_s: Longest pause.
        idempotent: Whether requests may run twice.
    """

    attempts: int = 3
    backoff_s: float = 0.05
    max_backoff_s: float = 2.0
    idempotent: bool = False

    def __post_init__(self) -> None:
        if not is_integer(self.attempts) or self.attempts < 1:
            raise PyTritonClientValueError(
                f"Retry: attempts must be an integer of 1 or more, got {self.attempts!r}."
            )
        for name in ("backoff_s", "max_backoff_s"):
            value = getattr(self, name)
            if not _is_number(value) or not value >= 0:
                raise PyTritonClientValueError(
                    f"Retry: {name} must be a number of seconds of 0 or more, got {value!r}."
                )
        _check_flag("Retry: idempotent", self.idempotent)

    def pause_s(self, failures: int) -> float:
        """The pause after so many failures."""
        doublings = min(failures - 1, _DOUBLINGS)
        pause: float = min(self.max_backoff_s, self.backoff_s * 2**doublings)
        return pause


@dataclass(frozen=True)
class Tls:
    """Certificates for https and grpcs; without them the system's authorities vouch for the server.

    Args:
        ca_file: Certificates of the authorities to trust, in PEM form.
        certificate_file: The client's own certificate, where the server asks for one.
        key_file: Its private key.
        verify: Whether the server's certificate is checked; gRPC always does.
    """

    ca_file: str | os.PathLike[str] | None = None
    certificate_file: str | os.PathLike[str] | None = None
    key_file: str | os.PathLike[str] | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        for name, path in self._files().items():
            if path is not None and not isinstance(path, (str, bytes, os.PathLike)):
                raise PyTritonClientValueError(
                    f"Tls: {name} must be the path of a file or None, got {path!r}."
                )
        _check_flag("Tls: verify", self.verify)

    def context(self) -> ssl.SSLContext:
        """The settings as Python's ssl module wants them."""
        import ssl

        used = ["ca_file"]
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            used = ["certificate_file", "key_file"]
            if self.certificate_file is not None:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except OSError as error:
            self.contents()  # says which of the files cannot be read; the ssl module does not
            given = {name: path for name, path in self._files().items() if name in used and path is not None}
            shown = " with ".join(f"{name} {os.fsdecode(path)!r}" for name, path in given.items())
            raise PyTritonClientValueError(f"Tls: {shown} cannot be used: {error}.") from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def contents(self) -> dict[str, bytes | None]:
        """What is in the files, by the names of the settings."""
        return {name: _content(name, path) for name, path in self._files().items()}

    def _files(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("ca_file", "certificate_file", "key_file")}


def check_compression(compression: object) -> None:
    """There are two ways of compressing."""
    if compression not in (None, "gzip", "deflate"):
        raise PyTritonClientValueError(
            f'The compression must be "gzip", "deflate" or None, got {compression!r}.'
        )


def check_shared_memory(mode: object) -> None:
    """There are three modes."""
    if mode not in ("off", "auto", "always"):
        raise PyTritonClientValueError(
            f'shared_memory must be "off", "auto" (where it can be used and pays) or "always" '
            f"(where it cannot be used, requests fail), got {mode!r}."
        )


def check_retry(retry: object) -> None:
    """A number of tries is none."""
    if retry is not None and not isinstance(retry, Retry):
        raise PyTritonClientValueError(
            f"retry must be a Retry, such as Retry(attempts=3), or None, got {retry!r}."
        )


def check_tls(tls: object) -> None:
    """The path of a certificate is none."""
    if tls is not None and not isinstance(tls, Tls):
        raise PyTritonClientValueError(f"tls must be a Tls, such as Tls(ca_file=...), or None, got {tls!r}.")


def is_integer(value: object) -> bool:
    """Whether it is one, NumPy's included; a boolean is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _has_bits(value: object, bits: int) -> bool:
    """Whether it is an integer of so many bits, without a sign."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << bits


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _check_flag(what: str, value: object) -> None:
    if not isinstance(value, bool):
        raise PyTritonClientValueError(f"{what} must be True or False, got {value!r}.")


def _content(name: str, path: Any) -> bytes | None:
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        shown = os.fsdecode(path)
        raise PyTritonClientValueError(f"Tls: {name} {shown!r} cannot be read: {error.strerror}.") from error
