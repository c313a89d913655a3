# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle
import threading
from math import inf
from typing import Any

import pytest

from pytriton.exceptions import PyTritonValidationError
from pytriton.supervision.payload import pack_job
from pytriton.supervision.seat import Seat
from pytriton.worker.factory import call_factory
from pytriton.workers import Device, WorkerProcesses, WorkerState


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"count": 0}, "count must be a whole number, 1 or more, got 0"),
        ({"count": True}, "count must be"),
        ({"count": "2"}, "count must be"),
        ({"per_device": 0}, "per_device must be"),
        ({"count": 2, "per_device": 2}, "give one of them"),
        ({"max_restarts": -1}, "max_restarts must be a whole number, 0 or more"),
        ({"start_timeout_s": 0}, "start_timeout_s must be positive seconds, got 0"),
        ({"start_timeout_s": None}, "start_timeout_s must be positive"),
        ({"hang_timeout_s": float("nan")}, "hang_timeout_s must be positive"),
        ({"restart_delay_s": -0.1}, "restart_delay_s must be 0 or more seconds"),
        ({"devices": 0}, r"devices must be a list, got 0; write \[0\]"),
        ({"devices": "GPU-1"}, "devices must be a list"),
        ({"devices": [-1]}, "a device is 0 or more"),
        ({"devices": [1.5]}, "a device is a number, .* or a list of these"),
        ({"devices": [[]]}, "a device is a number, .* or a list of these"),
        ({"args": "weights"}, r"write \('weights',\)"),
        ({"env": {"A": 1}}, r"env\['A'\] must be text"),
        ({"health_check": 3}, "health_check must be the name of a method or a function"),
    ],
)
def test_settings_are_checked(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(PyTritonValidationError, match=expected):
        WorkerProcesses(**options)


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        (WorkerProcesses(), [None]),
        (WorkerProcesses(2), [None, None]),
        (WorkerProcesses(devices=[0, 1]), [0, 1]),
        (WorkerProcesses(devices=[0, 1], per_device=2), [0, 1, 0, 1]),
        (WorkerProcesses(3, devices=["GPU-a", "cpu"]), ["GPU-a", "cpu", "GPU-a"]),
    ],
)
def test_processes_and_their_devices(workers: WorkerProcesses, expected: list[Device | None]) -> None:
    assert [workers.device(index) for index in range(workers.total)] == expected


def test_devices_are_those_that_this_process_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    workers = WorkerProcesses(devices=[1, "GPU-7", (0, 2)], env={"A": "b"})
    seen = [workers.environment(index) for index in range(3)]
    assert seen == [{"CUDA_VISIBLE_DEVICES": one, "A": "b"} for one in ("1", "GPU-7", "0,2")]
    assert WorkerProcesses().environment(0) == {}
    workers = WorkerProcesses(devices=["cuda:1", "0", "MIG-1,MIG-2", "cpu", ["cuda:0", 1]])
    assert [workers.environment(index)["CUDA_VISIBLE_DEVICES"] for index in range(5)] == [
        "1",
        "0",
        "MIG-1,MIG-2",
        "cpu",
        "0,1",
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, GPU-5")
    assert WorkerProcesses(devices=[1]).environment(0) == {"CUDA_VISIBLE_DEVICES": "GPU-5"}
    with pytest.raises(PyTritonValidationError, match=r"no device 2: .* has 2 of them"):
        WorkerProcesses(devices=[2])


@pytest.mark.parametrize("devices", [["gpu"], ["cuda"], ["cuda:x"], [""], ["0,gpu"], [["gpu"]], [1.5], []])
def test_what_names_no_device_is_refused(devices: Any) -> None:
    with pytest.raises(PyTritonValidationError, match="device"):
        WorkerProcesses(devices=devices)


def test_factories_are_told_their_device_if_they_want_to_know() -> None:
    def asks(weights: str, device: Any) -> Any:
        return weights, device

    def may_ask(device: Any = "cpu") -> Any:
        return device

    def does_not_ask(**options: Any) -> Any:
        return options

    assert call_factory(asks, ["w"], {}, 1) == ("w", 1)
    assert call_factory(asks, ["w"], {}, None) == ("w", None)
    assert call_factory(asks, ["w", "mine"], {}, 1) == ("w", "mine")
    assert call_factory(asks, ["w"], {"device": "mine"}, 1) == ("w", "mine")
    assert call_factory(may_ask, [], {}, 1) == 1
    assert call_factory(may_ask, [], {}, None) == "cpu"
    assert call_factory(does_not_ask, [], {"a": 1}, 1) == {"a": 1}
    assert call_factory(dict, [], {"a": 1}, 1) == {"a": 1}


def test_functions_keep_the_names_of_their_files() -> None:
    def local() -> str:
        raise ValueError

    job = pickle.loads(pack_job("m", local, WorkerProcesses()))
    assert job["infer_func"] is not local
    assert job["infer_func"].__code__.co_filename == local.__code__.co_filename


def test_what_is_behind_an_attribute_is_named() -> None:
    class Holder:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def infer(self, requests: Any) -> Any:
            return requests

    with pytest.raises(PyTritonValidationError, match=r'model "m": infer_func .*, which uses "lock"'):
        pack_job("m", Holder().infer, WorkerProcesses())


def test_delays_double_and_end() -> None:
    settings = WorkerProcesses(restart_delay_s=1, max_restart_delay_s=5, max_restarts=4, stable_after_s=10)
    seat = Seat(0, settings)
    assert [seat.delay_s(now) for now in (0, 1, 2, 3, 4)] == [1, 2, 4, 5, None]


def test_a_process_that_was_ready_for_long_begins_anew() -> None:
    seat = Seat(0, WorkerProcesses(restart_delay_s=1, max_restarts=2, stable_after_s=10))
    for now in (0.0, 100.0, 200.0):
        seat.ready_at = now
        assert seat.delay_s(now + 10) == 1
        seat.ready_at = now + 20
        assert seat.delay_s(now + 29) == 2
    assert seat.delay_s(229) is None


def test_a_start_has_its_time() -> None:
    seat = Seat(0, WorkerProcesses(start_timeout_s=5))
    assert seat.state is WorkerState.STARTING
    assert seat.fault(1e9) == ""
    seat.due = 5.0
    assert seat.fault(4.9) == ""
    assert seat.fault(5.0) == "was not ready within start_timeout_s=5"
    seat.note_ready(4.9)
    assert seat.fault(1e9) == ""
    assert seat.next_look(0) == inf
