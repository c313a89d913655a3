# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from pytriton.exceptions import PyTritonBadParameterError, PyTritonValidationError
from pytriton.model_config import DynamicBatcher, ModelConfig, QueuePolicy, Tensor, TimeoutAction, rules
from pytriton.model_config.triton_model_config import ResponseCache, TensorSpec, TritonModelConfig

DELAY = QueuePolicy(timeout_action=TimeoutAction.DELAY, default_timeout_microseconds=1)


def model(**changes: Any) -> TritonModelConfig:
    return TritonModelConfig("simple", **changes)


def batched(*, max_batch_size: int = 4, **batcher: Any) -> TritonModelConfig:
    return model(max_batch_size=max_batch_size, batcher=DynamicBatcher(**batcher))


@pytest.mark.parametrize("name", ["a", "A-b_c.9", ".hidden", "-x", "...", "a" * 255])
def test_model_names(name: str) -> None:
    rules.check_model_name(name)


@pytest.mark.parametrize("name", ["a b", "a/b", "a\n", "\n", "é", "a:b", "../a", "a\x00", "a\\b", " a"])
def test_model_names_with_other_characters_are_refused(name: str) -> None:
    text = "Model name can only contain alphanumeric characters, dots, underscores and dashes"
    with pytest.raises(PyTritonValidationError, match=text) as error:
        rules.check_model_name(name)
    assert repr(name) in error.value.message


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("", "Model name cannot be empty"),
        (".", "name of a directory"),
        ("..", "name of a directory"),
        ("pytriton_bootstrap", "used by PyTriton itself"),
        ("a" * 256, "256 characters, at most 255"),
        (None, "must be a string"),
        (b"m", "must be a string"),
    ],
)
def test_impossible_model_names_are_refused(name: Any, match: str) -> None:
    with pytest.raises(PyTritonValidationError, match=match):
        rules.check_model_name(name)


@pytest.mark.parametrize("version", [0, 1, 2**63 - 1, np.int64(3)])
def test_model_versions(version: Any) -> None:
    rules.check_model_version(model(model_version=version))


@pytest.mark.parametrize("version", [-1, 2**63, "1", 1.0, None, True])
def test_impossible_model_versions_are_refused(version: Any) -> None:
    with pytest.raises(PyTritonValidationError, match='version of model "simple" must be an integer'):
        rules.check_model_version(model(model_version=version))


@pytest.mark.parametrize("size", [1, 4, 2**31 - 1, np.int32(5)])
def test_max_batch_sizes(size: Any) -> None:
    rules.check_max_batch_size(model(max_batch_size=size))


@pytest.mark.parametrize("size", [0, -1])
def test_max_batch_size_is_at_least_one(size: int) -> None:
    with pytest.raises(
        PyTritonBadParameterError, match=r"The `max_batch_size` must be greater or equal to 1\."
    ):
        rules.check_max_batch_size(model(max_batch_size=size))


@pytest.mark.parametrize("size", [2**31, 8.0, "8", None, True])
def test_max_batch_size_is_an_integer(size: Any) -> None:
    with pytest.raises(PyTritonBadParameterError, match=re.escape(f"was given {size!r}")):
        rules.check_max_batch_size(model(max_batch_size=size))


@pytest.mark.parametrize("size", [0, -1, None])
def test_max_batch_size_means_nothing_without_batching(size: Any) -> None:
    rules.check_max_batch_size(model(max_batch_size=size, batching=False))


@pytest.mark.parametrize(("levels", "default"), [(0, 0), (1, 1), (5, 1), (5, 5)])
def test_default_priorities(levels: int, default: int) -> None:
    rules.check_default_priority_level(batched(priority_levels=levels, default_priority_level=default))


@pytest.mark.parametrize("default", [0, 6, -1])
def test_the_default_priority_is_one_of_the_levels(default: int) -> None:
    with pytest.raises(
        PyTritonBadParameterError, match=r"The `default_priority_level` must be between 1 and 5\."
    ):
        rules.check_default_priority_level(batched(priority_levels=5, default_priority_level=default))


def test_the_default_priority_needs_levels() -> None:
    with pytest.raises(PyTritonBadParameterError, match="`default_priority_level` needs `priority_levels`"):
        rules.check_default_priority_level(batched(default_priority_level=1))


@pytest.mark.parametrize("policies", [None, {}, {1: QueuePolicy()}, {1: DELAY, 5: QueuePolicy()}])
def test_priority_queue_policies(policies: Any) -> None:
    rules.check_priority_queue_policy(batched(priority_levels=5, priority_queue_policy=policies))


@pytest.mark.parametrize("priority", [0, -1, 6, "1"])
def test_a_policy_belongs_to_one_of_the_priorities(priority: Any) -> None:
    text = f"Invalid `priority`={priority} provided. The value must be between 1 and 5."
    with pytest.raises(PyTritonBadParameterError, match=re.escape(text)):
        rules.check_priority_queue_policy(
            batched(priority_levels=5, priority_queue_policy={priority: QueuePolicy()})
        )


def test_policies_need_priority_levels() -> None:
    text = "Provide the `priority_levels` if you want to define `priority_queue_policy` for Dynamic Batching."
    with pytest.raises(PyTritonBadParameterError, match=re.escape(text)):
        rules.check_priority_queue_policy(batched(priority_queue_policy={1: QueuePolicy()}))


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("max_queue_delay_microseconds", 2**64 - 1),
        ("priority_levels", 2**64 - 1),
        ("default_priority_level", 2**64 - 1),
    ],
)
def test_numbers_of_the_batcher(name: str, limit: int) -> None:
    good: list[Any] = [0, 1, limit, np.uint8(3)]
    bad: list[Any] = [-1, limit + 1, 1.5, "1", None, True]
    for value in good:
        rules.check_queue_numbers(batched(**{name: value}))
    for value in bad:
        with pytest.raises(PyTritonBadParameterError, match=f"`{name}` must be an integer between 0 and"):
            rules.check_queue_numbers(batched(**{name: value}))


@pytest.mark.parametrize(
    ("name", "limit"), [("default_timeout_microseconds", 2**64 - 1), ("max_queue_size", 2**32 - 1)]
)
@pytest.mark.parametrize("by_priority", [False, True])
def test_numbers_of_the_queue_policies(name: str, limit: int, by_priority: bool) -> None:
    def with_policy(value: Any) -> TritonModelConfig:
        policy = QueuePolicy(**{name: value})
        if by_priority:
            return batched(priority_queue_policy={1: QueuePolicy(), 2: policy})
        return batched(default_queue_policy=policy)

    bad: list[Any] = [-1, limit + 1, 0.5]
    for value in (0, limit):
        rules.check_queue_numbers(with_policy(value))
    for value in bad:
        with pytest.raises(PyTritonBadParameterError, match=f"`{name}` must be an integer between 0 and"):
            rules.check_queue_numbers(with_policy(value))


@pytest.mark.parametrize("sizes", [None, [], [1], [1, 4], (2, 3), [np.int64(4)]])
def test_preferred_batch_sizes(sizes: Any) -> None:
    rules.check_preferred_batch_size(batched(preferred_batch_size=sizes))


@pytest.mark.parametrize("sizes", [[5], [1, 5], [0], [-1], [2.0], ["2"]])
def test_a_preferred_batch_fits_into_the_largest(sizes: Any) -> None:
    with pytest.raises(PyTritonBadParameterError, match="between 1 and the `max_batch_size` 4"):
        rules.check_preferred_batch_size(batched(preferred_batch_size=sizes))


def test_preferred_batch_sizes_are_a_list() -> None:
    with pytest.raises(PyTritonBadParameterError, match="must be a list of sizes"):
        rules.check_preferred_batch_size(batched(preferred_batch_size=4))


@pytest.mark.parametrize(
    "batcher",
    [
        {"priority_levels": 1, "default_priority_level": 1},
        {"default_queue_policy": QueuePolicy(default_timeout_microseconds=5)},
        {"default_queue_policy": QueuePolicy(timeout_action=TimeoutAction.DELAY)},
    ],
)
def test_preserved_ordering(batcher: dict[str, Any]) -> None:
    rules.check_preserve_ordering(batched(preserve_ordering=True, **batcher))


@pytest.mark.parametrize(
    ("batcher", "match"),
    [
        ({"priority_levels": 2}, "`preserve_ordering` and more than one `priority_levels`"),
        ({"default_queue_policy": DELAY}, "TimeoutAction.DELAY"),
        ({"priority_levels": 1, "priority_queue_policy": {1: DELAY}}, "TimeoutAction.DELAY"),
    ],
)
def test_preserved_ordering_excludes_priorities_and_delays(batcher: dict[str, Any], match: str) -> None:
    rules.check_preserve_ordering(batched(**batcher))
    with pytest.raises(PyTritonBadParameterError, match=match):
        rules.check_preserve_ordering(batched(preserve_ordering=True, **batcher))


@pytest.mark.parametrize(("cache", "decoupled"), [(None, True), (False, True), (True, False)])
def test_response_caches(cache: bool | None, decoupled: bool) -> None:
    response_cache = None if cache is None else ResponseCache(enable=cache)
    rules.check_response_cache(model(response_cache=response_cache, decoupled=decoupled))


def test_decoupled_models_have_no_response_cache() -> None:
    with pytest.raises(PyTritonBadParameterError, match="one of `response_cache` and `decoupled`"):
        rules.check_response_cache(model(response_cache=ResponseCache(enable=True), decoupled=True))


@pytest.mark.parametrize(
    ("batcher", "match"),
    [
        ({}, "must be a DynamicBatcher or None"),
        (True, "must be a DynamicBatcher or None"),
        (DynamicBatcher, "must be a DynamicBatcher or None"),
        (DynamicBatcher(default_queue_policy={}), "must be a QueuePolicy"),  # type: ignore[arg-type]
        (DynamicBatcher(priority_queue_policy={1: "x"}), "must be a QueuePolicy"),  # type: ignore[dict-item]
        (DynamicBatcher(priority_queue_policy=[DELAY]), "must be a dict"),  # type: ignore[arg-type]
        (
            DynamicBatcher(default_queue_policy=QueuePolicy(timeout_action="DELAY")),  # type: ignore[arg-type]
            "must be a TimeoutAction, got 'DELAY'",
        ),
    ],
)
def test_the_batcher_is_made_of_our_classes(batcher: Any, match: str) -> None:
    with pytest.raises(PyTritonBadParameterError, match=f'model "simple".*{match}'):
        rules.check_batcher_types(model(batcher=batcher))
    rules.check_batcher_types(model(batcher=batcher, batching=False))


@pytest.mark.parametrize("batcher", [None, DynamicBatcher(), DynamicBatcher(default_queue_policy=DELAY)])
def test_batchers_of_our_classes(batcher: Any) -> None:
    rules.check_batcher_types(model(batcher=batcher))


def test_optional_outputs_are_listed() -> None:
    outputs = [TensorSpec(name, (1,), np.int8, optional=name != "B") for name in "ABC"]
    text = "Optional flag for outputs is not supported. Outputs marked as optional: A, C."
    with pytest.raises(PyTritonBadParameterError, match=re.escape(text)):
        rules.check_outputs_not_optional(outputs)
    rules.check_outputs_not_optional(outputs[1:2])


def test_the_position_of_an_optional_output_is_named() -> None:
    tensors = [Tensor((1,), np.int8), Tensor((1,), np.int8, optional=True)]
    rules.check_tensors("m", "input", tensors)
    with pytest.raises(PyTritonValidationError, match=r"Output tensors cannot be optional.*position 2"):
        rules.check_tensors("m", "output", tensors)


@pytest.mark.parametrize(
    "changes",
    [
        {"model_name": "a\n"},
        {"model_version": -1},
        {"max_batch_size": 0},
        {"batcher": {}},
        {"batcher": DynamicBatcher(max_queue_delay_microseconds=-1)},
        {"batcher": DynamicBatcher(preferred_batch_size=[99])},
        {"batcher": DynamicBatcher(preserve_ordering=True, default_queue_policy=DELAY)},
        {"batcher": DynamicBatcher(priority_levels="2")},  # type: ignore[arg-type]
        {"batcher": DynamicBatcher(default_priority_level=1)},
        {"decoupled": True, "response_cache": ResponseCache(enable=True)},
        {"inputs": [TensorSpec("x", (1,), np.int8)] * 2},
        {"outputs": [TensorSpec("x", (1,) * 16, np.int8)]},
        {"outputs": [TensorSpec("x", (), np.int8)], "batching": False},
    ],
)
def test_a_model_is_checked_against_every_rule(changes: dict[str, Any]) -> None:
    rules.check_model(model())
    with pytest.raises((PyTritonBadParameterError, PyTritonValidationError)):
        rules.check_model(TritonModelConfig(**{"model_name": "simple", **changes}))


def test_the_batcher_means_nothing_without_batching() -> None:
    batcher = DynamicBatcher(preferred_batch_size=[99], default_priority_level=3, priority_levels=-1)
    rules.check_model(model(batching=False, max_batch_size=0, batcher=batcher))


@pytest.mark.parametrize("count", [None, 1, 64, 128])
def test_batches_in_flight(count: int | None) -> None:
    rules.check_config("simple", ModelConfig(batches_in_flight=count))


@pytest.mark.parametrize("count", [0, -1, 129, True, 1.5, "4"])
def test_batches_in_flight_that_cannot_be(count: Any) -> None:
    with pytest.raises(PyTritonBadParameterError, match=f'"simple": batches_in_flight .* got {count!r}'):
        rules.check_config("simple", ModelConfig(batches_in_flight=count))
