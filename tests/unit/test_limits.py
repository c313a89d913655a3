# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from pytriton.exceptions import PyTritonValidationError
from pytriton.limits import Limits, default_worker_shared_memory_bytes
from pytriton.model_config import DynamicBatcher, ModelConfig
from pytriton.model_config.rules import check_config
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.restarts import RestartPolicy, Restarts
from tests.helpers.serving import FLOAT


def test_defaults_are_shares_of_the_memory() -> None:
    limits = Limits()
    assert 0 < limits.all_stream_memory_bytes <= limits.all_shared_memory_bytes
    assert limits.all_stream_memory_bytes * 2 == pytest.approx(limits.all_shared_memory_bytes, abs=8)
    assert Limits(shared_memory_bytes=1 << 20).all_shared_memory_bytes == 1 << 20


@pytest.mark.parametrize(
    ("addresses", "all_bytes", "expected"),
    [
        (None, 64 << 30, 6 << 30),
        (None, 3 << 30, 3 << 30),
        (4 << 30, 64 << 30, 256 << 20),
        (4 << 30, 64 << 20, 64 << 20),
        (1 << 20, 64 << 30, 1 << 20),
        (1 << 40, 64 << 30, 6 << 30),
    ],
)
def test_a_worker_reserves_no_more_addresses_than_there_are(
    monkeypatch: pytest.MonkeyPatch, addresses: int | None, all_bytes: int, expected: int
) -> None:
    monkeypatch.setattr("pytriton.limits.address_space_limit", lambda: addresses)
    assert default_worker_shared_memory_bytes(all_bytes) == expected


@pytest.mark.parametrize(
    ("drain_timeout_s", "exit_timeout_s", "expected"),
    [(None, None, 30), (None, 7, 7), (0.5, 7, 0.5), (0, None, 0)],
)
def test_drain_timeout(drain_timeout_s: float | None, exit_timeout_s: int | None, expected: float) -> None:
    assert Limits(drain_timeout_s=drain_timeout_s).drain_s(exit_timeout_s) == expected


@pytest.mark.parametrize("value", [0, -1, 1000, 1.5, True, "1 GB", 1 << 63])
def test_bytes(value: Any) -> None:
    for name in ("shared_memory_bytes", "stream_memory_bytes"):
        with pytest.raises(PyTritonValidationError, match=f"Limits: {name} must be a number of bytes"):
            Limits(**{name: value})
    for name in ("shared_memory_bytes", "worker_shared_memory_bytes", "stream_memory_bytes"):
        with pytest.raises(PyTritonValidationError, match=f'model "m": {name} must be a number of bytes'):
            check_config("m", ModelConfig(**{name: value}))


@pytest.mark.parametrize("value", [-1, "1", True, float("nan")])
def test_seconds(value: Any) -> None:
    with pytest.raises(PyTritonValidationError, match="drain_timeout_s must be a number"):
        Limits(drain_timeout_s=value)


@pytest.mark.parametrize("value", [-1, 1.5, True, "1", None, 1 << 32])
def test_requests(value: Any) -> None:
    with pytest.raises(PyTritonValidationError, match="must be a number of 1 to 4294967295"):
        Limits(requests_per_model=value)


def test_queues_have_no_policy_of_which_nobody_has_spoken() -> None:
    # With one, Triton does not form the next batch while all workers are busy.
    model = TritonModelConfig.create("m", [FLOAT], [FLOAT], ModelConfig(batcher=DynamicBatcher()))
    assert model.batcher == DynamicBatcher()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_restarts": -1}, "max_restarts must be an integer of 0 or more, got -1"),
        ({"max_restarts": 1.5}, "max_restarts must be an integer"),
        ({"period_s": 0}, "period_s must be a positive number"),
        ({"delay_s": -1}, "delay_s must be a number of 0 or more"),
        ({"hang_timeout_s": 0}, "hang_timeout_s must be a positive number"),
        ({"delay_s": None}, "delay_s must be a number"),
    ],
)
def test_restart_policy(options: dict[str, Any], words: str) -> None:
    with pytest.raises(PyTritonValidationError, match=words):
        RestartPolicy(**options)


def test_restarts_back_off_and_end() -> None:
    now = 0.0
    restarts = Restarts(RestartPolicy(max_restarts=4, period_s=60, delay_s=1, max_delay_s=3), lambda: now)
    assert [restarts.next_delay() for _ in range(5)] == [0, 1, 2, 3, None]
    now = 59.9
    assert restarts.next_delay() is None
    now = 60.0
    assert [restarts.next_delay() for _ in range(2)] == [0, 1]


def test_no_restarts() -> None:
    assert Restarts(RestartPolicy(max_restarts=0)).next_delay() is None
