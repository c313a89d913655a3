# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from pytriton.batching.batch import batch
from pytriton.request import Array, Request
from pytriton.worker.failures import describe, encode_text


class Witness:
    """Something that can be seen to go."""


@pytest.fixture(autouse=True)
def without_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def caught(function: object, *args: object) -> BaseException:
    assert callable(function)
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_traceback_starts_at_the_function() -> None:
    def infer(x: Array) -> None:
        raise ZeroDivisionError("division by zero")

    error = caught(batch(infer), [Request({"x": np.zeros((1, 1))})])
    text = describe(error)
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("\nZeroDivisionError: division by zero")
    assert "in infer" in text

    own = caught(batch(lambda x: None), [Request({"x": np.zeros((1, 1))})])
    assert own.__traceback__ is not None
    own.__traceback__ = own.__traceback__.tb_next
    assert describe(own).startswith("pytriton.exceptions.PyTritonValidationError: Unsupported output type")


def test_causes_are_told() -> None:
    def infer() -> None:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise RuntimeError("second") from error

    text = describe(caught(infer))
    assert text.index("KeyError: 'first'") < text.index("RuntimeError: second")


def test_frames_let_go_of_their_variables() -> None:
    witnesses: list[weakref.ref[Witness]] = []

    def inner() -> None:
        witness = Witness()
        witnesses.append(weakref.ref(witness))
        raise KeyError

    def infer() -> None:
        witness = Witness()
        witnesses.append(weakref.ref(witness))
        kept = None
        try:
            inner()
        except KeyError as error:
            kept = error  # a cycle: the exception knows this frame, and the frame the exception
        raise RuntimeError from kept

    error = caught(infer)
    assert all(witness() is not None for witness in witnesses)
    describe(error)
    assert [witness() for witness in witnesses] == [None, None]


def test_exceptions_of_a_group_let_go_as_well() -> None:
    class Group(Exception):
        def __init__(self, *exceptions: BaseException) -> None:
            self.exceptions = exceptions

    witness = Witness()
    seen = weakref.ref(witness)

    def infer(kept: Witness) -> None:
        raise KeyError

    group = Group(caught(infer, witness), KeyError("itself"))
    group.__context__ = group.exceptions[0]
    del witness
    assert seen() is not None
    describe(group)
    assert seen() is None


def test_short_texts_stay() -> None:
    assert encode_text("żółw") == "żółw".encode()
    assert encode_text("x" * 16384) == b"x" * 16384
    assert encode_text("\ud800") == rb"\ud800"
    assert encode_text("a\0b") == rb"a\0b"


@pytest.mark.parametrize("filler", ["x", "ż", "€", "😀"])
def test_long_texts_keep_both_ends(filler: str) -> None:
    text = "first" + filler * 20_000 + "last"
    encoded = encode_text(text)
    assert 16_000 < len(encoded) <= 16_384
    decoded = encoded.decode()
    assert decoded.startswith("first" + filler)
    assert decoded.endswith(filler + "last")
    assert "\n... cut ...\n" in decoded
