# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from pytriton.decorators import ConstantPadder, batch, group_by_values, triton_context
from pytriton.exceptions import PyTritonRuntimeError
from pytriton.request import Request
from tests.helpers.kinds import KINDS, outcomes
from tests.helpers.serving import describe_model, running_for

KEYS = np.array([[2], [1], [2], [1]])
ROWS = np.arange(4).reshape(4, 1)


def strings(*values: Any) -> Any:
    return np.array(values, dtype=object).reshape(-1, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_under_batch(kind: str) -> None:
    decorated = batch(
        group_by_values("k")(KINDS[kind](lambda k, x: {"y": 10 * k + x, "rows": k * 0 + len(k)}))
    )
    requests = [Request({"k": KEYS[:1], "x": ROWS[:1]}), Request({"k": KEYS[1:], "x": ROWS[1:]})]
    for responses in outcomes(decorated(requests)):
        assert [response["y"].ravel().tolist() for response in responses] == [[20], [11, 22, 13]]
        assert [response["rows"].ravel().tolist() for response in responses] == [[2], [2, 2, 2]]


def groups_of(*keys: str, **inputs: Any) -> list[Any]:
    groups = []

    @group_by_values(*keys)
    def note(**inputs: Any) -> dict[str, Any]:
        groups.append(inputs["x"].ravel().tolist())
        return inputs

    outputs = note(x=ROWS, **inputs)
    for name, array in inputs.items():
        np.testing.assert_array_equal(outputs[name], array)
        assert outputs[name].dtype == array.dtype
    assert outputs["x"].tolist() == ROWS.tolist()
    return groups


@pytest.mark.parametrize(
    ("keys", "groups"),
    [
        (KEYS, [[1, 3], [0, 2]]),
        (strings(b"b", b"a", b"b", b"a"), [[1, 3], [0, 2]]),
        (strings("b", b"a", b"b", "a"), [[1, 3], [0, 2]]),
        (strings(b"bb", b"a", b"b", b"a\0"), [[1], [2], [3], [0]]),
        (np.array(["b", "a", "b", "a"]).reshape(4, 1), [[1, 3], [0, 2]]),
        (np.array([b"b", b"a", b"b", b"a"]), [[1, 3], [0, 2]]),
        (np.array([2, 1, 2, 1]), [[1, 3], [0, 2]]),
        (np.array([[np.nan], [1], [np.nan], [1]]), [[1, 3], [0, 2]]),
        (np.array([[[1, 2]], [[2, 1]], [[1, 2]], [[1, 1]]]), [[3], [0, 2], [1]]),
        (np.array([[2], [1], [2], [1]], ml_dtypes.bfloat16), [[0, 2], [1, 3]]),
        (np.array([[True], [False], [True], [False]]), [[1, 3], [0, 2]]),
    ],
)
def test_rows_of_equal_values_come_together(keys: Any, groups: list[Any]) -> None:
    assert groups_of("k", k=keys) == groups


def test_strings_are_not_run_together() -> None:
    pairs = np.array([[b"ab", b"c"], [b"a", b"bc"], [b"ab", b"c"], [b"a", b"bc"]], dtype=object)
    assert sorted(groups_of("k", k=pairs)) == [[0, 2], [1, 3]]


def test_several_keys() -> None:
    assert groups_of("k", "l", k=KEYS, l=np.array([[0], [0], [0], [5]])) == [[1], [3], [0, 2]]


def test_rows_that_are_all_equal_are_passed_as_they_are() -> None:
    keys = np.zeros((4, 1))
    assert group_by_values("k")(lambda k, x: {"same": np.bool_(x is ROWS and k is keys)})(k=keys, x=ROWS)[
        "same"
    ]


def by_group(first: Any, second: Any) -> Any:
    @group_by_values("k")
    def function(k: Any) -> dict[str, Any]:
        return {"y": first if k[0, 0] == 1 else second}

    return function(k=KEYS)["y"]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (["a", "b"], ["longer", "c"], ["longer", "a", "c", "b"]),
        ([b"a", b"b"], [b"longer", b"c"], [b"longer", b"a", b"c", b"b"]),
        (np.array([b"a", "b"], object), [b"longer", b"c"], [b"longer", b"a", b"c", "b"]),
        (["a", "b"], [b"longer", b"c"], [b"longer", "a", b"c", "b"]),
        ([1, 2], [0.5, 1.5], [0.5, 1.0, 1.5, 2.0]),
        ([True, False], [7, 8], [7, 1, 8, 0]),
        (np.array([1, 2], np.int8), np.array([300, 400]), [300, 1, 400, 2]),
        (np.array([1, 2], np.float16), np.array([1e6, 2e6], np.float32), [1e6, 1, 2e6, 2]),
    ],
)
def test_results_keep_their_values(first: Any, second: Any, expected: list[Any]) -> None:
    assert by_group(np.array(first), np.array(second)).tolist() == expected


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            np.zeros((2, 3)),
            np.zeros((2, 4)),
            r'"y" have different shapes: \(2, 3\), \(2, 4\).*ConstantPadder',
        ),
        (np.zeros((2, 3)), np.zeros((2, 1)), "different shapes"),
        (np.zeros(2), np.array(["a", "b"]), 'output "y" are strings and numbers: float64, <U1'),
        (np.zeros(2), np.zeros(1), r'output "y" of a group of 2 rows has shape \(1,\)'),
        (np.zeros(2), [1, 2], 'output "y" of a group of 2 rows has type list'),
    ],
)
def test_results_that_do_not_fit(first: Any, second: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        by_group(first, second)


def test_padding() -> None:
    seen = []

    def pad(results: Any) -> Any:
        seen.append([result["y"].shape for result in results])
        return ConstantPadder(-1)(results)

    @group_by_values("k", pad_fn=pad)
    def function(k: Any) -> dict[str, Any]:
        return {"y": np.ones((len(k), int(k[0, 0]), 2), np.int64)}

    padded = function(k=KEYS)["y"]
    assert seen == [[(2, 1, 2), (2, 2, 2)]]
    assert padded[:, 1].tolist() == [[1, 1], [-1, -1], [1, 1], [-1, -1]]
    assert function(k=KEYS[:1])["y"].shape == (1, 2, 2)
    assert seen[1:] == [[(1, 2, 2)]]


@pytest.mark.parametrize("missing_in", [1, 2])
def test_outputs_that_a_group_lacks(missing_in: int) -> None:
    @group_by_values("k")
    def function(k: Any) -> dict[str, Any]:
        outputs = {"k": k, "number": k + 5, "text": strings(*map(str, k.ravel()))}
        return outputs if k[0, 0] != missing_in else {"k": k}

    result = function(k=KEYS)
    other = 3 - missing_in
    assert result["number"].ravel().tolist() == [other + 5 if k == other else 0 for k in KEYS.ravel()]
    assert result["text"].ravel().tolist() == [str(other) if k == other else b"" for k in KEYS.ravel()]


def test_outputs_by_position() -> None:
    with running_for(describe_model()):
        assert group_by_values("k")(lambda k: [k])(k=KEYS)["OUTPUT_1"].tolist() == KEYS.tolist()


def test_above_batch_it_has_no_inputs() -> None:
    decorated = group_by_values("k")(batch(lambda k: {"y": k}))
    with pytest.raises(PyTritonRuntimeError, match="must be used after the @batch decorator"):
        decorated([Request({"k": KEYS})])
    with pytest.raises(PyTritonRuntimeError, match="must be used after the @batch decorator"):
        group_by_values("k")(lambda requests: requests)([Request({"k": KEYS})])


def test_key_that_is_no_input() -> None:
    with pytest.raises(KeyError, match=r"no input 'missing'.*'k'"):
        group_by_values("missing")(lambda k: {"y": k})(k=KEYS)


def test_under_triton_context() -> None:
    with running_for(describe_model()):

        @batch
        @triton_context
        @group_by_values("k")
        def function(k: Any, triton_context: Any) -> dict[str, Any]:
            return {"y": k + len(triton_context.model_config.model_name)}

        assert function([Request({"k": KEYS})])[0]["y"].tolist() == [[3], [2], [3], [2]]


def test_methods() -> None:
    class Service:
        @batch
        @group_by_values("k")
        def infer(self, k: Any) -> Any:
            assert isinstance(self, Service)
            return {"y": k * 0 + len(k)}

    assert Service().infer([Request({"k": KEYS[:3]})])[0]["y"].ravel().tolist() == [2, 1, 2]
