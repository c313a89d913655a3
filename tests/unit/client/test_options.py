# SPDX-License-Identifier: Apache-2.0
"""What cannot be meant is refused where it is said, with what was given and what is expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton.client import AsyncioModelClient, FuturesModelClient, InferOptions, ModelClient, Retry, Tls
from pytriton.client.exceptions import PyTritonClientValueError
from tests.helpers.tls import make_certificates


def test_pauses_of_many_tries() -> None:
    retry = Retry(attempts=3000, backoff_s=1e-4, max_backoff_s=1e-4)
    assert {retry.pause_s(failures) for failures in range(1, 3000)} == {1e-4}
    assert [Retry(9, 1, 5).pause_s(failures) for failures in (1, 2, 3, 4, 2000)] == [1, 2, 4, 5, 5]
    assert Retry(9, 0).pause_s(2000) == 0


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"attempts": "3"}, "attempts must be an integer of 1 or more, got '3'"),
        ({"attempts": 2.5}, "attempts must be an integer of 1 or more, got 2.5"),
        ({"attempts": True}, "attempts must be an integer of 1 or more, got True"),
        ({"attempts": 0}, "attempts must be an integer of 1 or more, got 0"),
        ({"backoff_s": "1"}, "backoff_s must be a number of seconds of 0 or more, got '1'"),
        ({"backoff_s": -1}, "backoff_s must be a number of seconds of 0 or more, got -1"),
        ({"max_backoff_s": None}, "max_backoff_s must be a number of seconds of 0 or more, got None"),
        ({"max_backoff_s": float("nan")}, "max_backoff_s must be a number of seconds of 0 or more, got nan"),
        ({"idempotent": "no"}, "idempotent must be True or False, got 'no'"),
    ],
)
def test_retries_of_wrong_types(wrong: Any, expected: str) -> None:
    with pytest.raises(PyTritonClientValueError, match=f"Retry: {expected}"):
        Retry(**wrong)


def test_numbers_of_numpy() -> None:
    assert Retry(np.int64(3), np.float32(0.5)).pause_s(2) == 1  # type: ignore[arg-type]
    assert InferOptions(timeout_s=np.float32(0.5)).timeout_s == 0.5  # type: ignore[arg-type]
    FuturesModelClient("localhost", "m", max_workers=np.int64(3)).close()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["ca_file", "certificate_file", "key_file"])
def test_files_of_wrong_types(name: str) -> None:
    wrong: Any = {name: 5}
    with pytest.raises(
        PyTritonClientValueError, match=f"Tls: {name} must be the path of a file or None, got 5"
    ):
        Tls(**wrong)


def test_checks_of_certificates_of_wrong_types() -> None:
    with pytest.raises(PyTritonClientValueError, match="Tls: verify must be True or False, got 'no'"):
        Tls(verify="no")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [ModelClient, AsyncioModelClient, FuturesModelClient])
@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"retry": 3}, r"retry must be a Retry, such as Retry\(attempts=3\), or None, got 3"),
        ({"tls": "ca.pem"}, r"tls must be a Tls, such as Tls\(ca_file=...\), or None, got 'ca.pem'"),
        ({"access_token": 5}, "access_token must be a text or None, got 5"),
    ],
)
def test_settings_of_wrong_types(kind: Any, wrong: Any, expected: str) -> None:
    with pytest.raises(PyTritonClientValueError, match=expected):
        kind("localhost", "m", **wrong)


@pytest.mark.parametrize("name", ["max_workers", "max_queue_size"])
@pytest.mark.parametrize("wrong", ["3", 2.5, True, b"1"])
def test_limits_of_wrong_types(name: str, wrong: Any) -> None:
    limits: Any = {name: wrong}
    with pytest.raises(
        PyTritonClientValueError, match=f"{name} must be an integer greater than 0, or None .*, got {wrong!r}"
    ):
        FuturesModelClient("localhost", "m", **limits)


@pytest.mark.parametrize("protocol", ["https", "grpcs"])
@pytest.mark.parametrize("name", ["ca_file", "certificate_file", "key_file"])
def test_files_that_are_not_there(protocol: str, name: str, tmp_path: Path) -> None:
    there = tmp_path / "there.pem"
    there.write_text("")
    files: Any = {"certificate_file": there, "key_file": there, name: tmp_path / "gone.pem"}
    with (
        ModelClient(f"{protocol}://localhost:1", "m", tls=Tls(**files)) as client,
        pytest.raises(
            PyTritonClientValueError, match=f"Tls: {name} .*gone.pem.* cannot be read: No such file"
        ),
    ):
        client.infer_sample([1])


@pytest.mark.parametrize("name", ["ca_file", "certificate_file"])
def test_files_that_are_no_certificates(name: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("wrong")
    files: Any = {name: wrong}
    with (
        ModelClient("https://localhost:1", "m", tls=Tls(**files)) as client,
        pytest.raises(PyTritonClientValueError, match=f"Tls: {name} '.*wrong.pem' cannot be used"),
    ):
        client.infer_sample([1])


def test_files_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make_certificates(tmp_path)
    monkeypatch.setattr(Tls, "contents", lambda _: pytest.fail("the ssl module reads them"))
    context = Tls(files / "ca.crt", files / "client.crt", files / "client.key").context()
    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"request_id": 5}, "request_id must be a text or None, got 5"),
        ({"request_id": b""}, "request_id must be a text or None, got b''"),
        ({"timeout_s": "5"}, "timeout_s must be a number of seconds greater than 0, or None, got '5'"),
        ({"timeout_s": True}, "timeout_s must be a number of seconds greater than 0, or None, got True"),
        ({"timeout_s": 0}, "timeout_s must be a number of seconds greater than 0, or None, got 0"),
        ({"timeout_s": float("nan")}, "timeout_s must be a number .*, got nan"),
        ({"sequence_id": None}, r"sequence_id must be a text or an integer of 0 to 2\*\*63 - 1, got None"),
        ({"sequence_id": 1.5}, r"sequence_id must be a text or an integer of 0 to 2\*\*63 - 1, got 1.5"),
        ({"sequence_id": True}, "sequence_id must be a text or an integer .*, got True"),
        ({"sequence_id": -1}, "sequence_id must be a text or an integer .*, got -1"),
        ({"priority": 1 << 70}, rf"priority must be an integer of 0 to 2\*\*64 - 1, got {1 << 70}"),
        ({"priority": 1.0}, r"priority must be an integer of 0 to 2\*\*64 - 1, got 1.0"),
        ({"queue_timeout_us": 1 << 63}, r"queue_timeout_us must be None or an integer of 0 to 2\*\*63 - 1"),
        ({"queue_timeout_us": "1"}, "queue_timeout_us must be None or an integer .*, got '1'"),
        ({"outputs": "y"}, "outputs must be a sequence of names, got 'y'"),
    ],
)
def test_options_of_wrong_types(wrong: Any, expected: str) -> None:
    with pytest.raises(PyTritonClientValueError, match=f"InferOptions: {expected}"):
        InferOptions(**wrong)


def test_options_at_their_limits() -> None:
    InferOptions(request_id="", priority=(1 << 64) - 1, queue_timeout_us=(1 << 63) - 1)
    InferOptions(sequence_id=(1 << 63) - 1, sequence_start=True)
    InferOptions(sequence_id="a", sequence_end=True, queue_timeout_us=0, timeout_s=float("inf"))
