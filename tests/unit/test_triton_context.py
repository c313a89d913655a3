# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import builtins
import functools
import pickle
import threading
from typing import Any

import numpy as np
import pytest

from pytriton.batching.triton_context import share_context
from pytriton.decorators import (
    ModelConfigDict,
    TritonContext,
    batch,
    fill_optionals,
    first_value,
    get_model_config,
    get_triton_context,
    group_by_keys,
    group_by_values,
    pad_batch,
    sample,
    triton_context,
)
from pytriton.exceptions import PyTritonValidationError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.request import Request
from tests.helpers.fake_backend import FakeRequest
from tests.helpers.kinds import KINDS, outcomes
from tests.helpers.serving import FLOAT, describe_model, running_for, serving

X = np.ones((2, 3), np.float32)


class Service:
    def __call__(self, requests: Any) -> Any:
        return requests

    @batch
    @triton_context
    def infer(self, x: Any, triton_context: TritonContext) -> Any:
        assert isinstance(self, Service)
        assert triton_context.model_configs[self.infer] is triton_context.model_config
        return {"y": x}


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_above_and_under_batch(kind: str, above: bool) -> None:
    def function(x: Any, triton_context: TritonContext) -> Any:
        return {triton_context.model_config.model_name: x}

    made = KINDS[kind](function)
    decorated = triton_context(batch(made)) if above else batch(triton_context(made))
    with running_for(describe_model()):
        for responses in outcomes(decorated([Request({"x": X})])):
            assert list(responses[0]) == ["m"]


@pytest.mark.parametrize("as_object", [True, False])
def test_served_functions_find_themselves(as_object: bool) -> None:
    seen: list[tuple[TritonContext, Any]] = []

    class Own:
        @triton_context
        def __call__(self, requests: Any, triton_context: TritonContext) -> Any:
            seen.append((triton_context, self))
            return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    @triton_context
    @batch
    def function(triton_context: TritonContext, INPUT_1: Any) -> Any:
        seen.append((triton_context, function))
        return [INPUT_1]

    with serving(Own() if as_object else function) as served:
        served.echo(X)
        served.echo(X)
        ((context, served_function), (again, _)) = seen
        assert again is context
        assert context.model_configs[served_function] is served.model
        assert list(context.model_configs) == [served_function]


def test_one_function_of_two_models_knows_which_it_serves() -> None:
    @batch
    def function(INPUT_1: Any) -> Any:
        return [INPUT_1]

    @batch
    @triton_context
    def named(triton_context: TritonContext, **inputs: Any) -> Any:
        (spec,) = triton_context.model_configs[named].outputs or ()
        return {spec.name: inputs["INPUT_1"]}

    for infer in (function, named):
        with (
            serving(infer, outputs=[Tensor((-1,), np.float32, name="one")]) as first,
            serving(infer, outputs=[Tensor((-1,), np.float32, name="other")]) as second,
        ):
            request = FakeRequest({"INPUT_1": X})
            for served in (first, second, first):
                np.testing.assert_array_equal(served.infer(request).output(), X)


def test_method_serves_as_itself() -> None:
    service = Service()
    context = TritonContext()
    context.model_configs[service.infer] = describe_model()
    service.__triton_context__ = context  # type: ignore[attr-defined]
    assert service.infer([Request({"x": X})])[0]["y"].shape == X.shape


class Closed:
    """Takes no attributes, and says so in its own way, as models of pydantic do."""

    def __setattr__(self, name: str, value: object) -> None:
        raise ValueError(f"there is no field {name}")

    @batch
    def __call__(self, x: Any) -> Any:
        return [x]


def test_objects_that_take_no_context() -> None:
    context, closed = TritonContext(), Closed()
    share_context(context, [closed, closed.__call__, len, functools.partial(len)])
    assert not hasattr(builtins, "__triton_context__")
    with running_for(describe_model()):
        assert closed([Request({"x": X})])[0]["OUTPUT_1"].shape == X.shape


def test_published_models_are_seen_beside_ones_own() -> None:
    def own() -> None: ...

    def other() -> None: ...

    shared = TritonContext()
    share_context(shared, [own, other])
    mine, theirs = describe_model(), describe_model()
    configs = ModelConfigDict(shared.model_configs)
    configs[own] = mine
    assert list(configs) == [own]
    shared.model_configs.publish([(own, theirs), (other, theirs)])
    assert configs[own] is mine
    assert configs[other] is theirs
    assert len(configs) == 2
    assert get_model_config(other, None) is theirs
    assert list(pickle.loads(pickle.dumps(configs))) == []


def test_context_that_is_set_by_hand() -> None:
    """How programs written for earlier versions try their functions out without a server."""

    @fill_optionals(b=np.array([5.0], np.float32))
    @group_by_keys
    @batch
    @group_by_values("b")
    @first_value("b")
    @triton_context
    def function(triton_context: TritonContext, a: Any, b: Any) -> Any:
        assert triton_context is context
        assert triton_context.model_configs[function] is model
        return [a * b]

    column = Tensor((1,), np.float32, name="a"), Tensor((1,), np.float32, name="b", optional=True)
    model = TritonModelConfig.create("m", column, [FLOAT], ModelConfig())
    context = TritonContext()
    context.model_configs[function] = model
    requests = [Request({"a": X[:1, :1]}), Request({"a": X[:, :1], "b": 2 * X[:, :1]})]
    with pytest.raises(PyTritonValidationError, match="not bound to a model"):
        function(requests)
    function.__triton_context__ = context  # type: ignore[attr-defined]
    responses = function(requests)
    assert [response["OUTPUT_1"].tolist() for response in responses] == [[[5]], [[2], [2]]]
    with pytest.raises(PyTritonValidationError, match="does not serve a model"):
        get_triton_context(len, None)


@pytest.mark.parametrize("kind", KINDS)
def test_context_that_is_set_by_hand_on_every_kind(kind: str) -> None:
    decorated = sample(pad_batch(KINDS[kind](lambda x: {"y": x})))
    decorated.__triton_context__ = TritonContext()  # type: ignore[attr-defined]
    decorated.__triton_context__.model_configs[decorated] = describe_model()  # type: ignore[attr-defined]
    if "hidden" in kind:
        # What such a function does is done after its call.
        with running_for(describe_model()):
            assert outcomes(decorated([Request({"x": X})]))[0][0]["y"].shape == X.shape
    assert outcomes(decorated([Request({"x": X})]))[0][0]["y"].shape == X.shape


def test_helpers_for_decorators_of_ones_own() -> None:
    def function() -> None: ...

    with pytest.raises(PyTritonValidationError, match=r"<function .*function.*no Triton context.*bind"):
        get_triton_context(function, None)
    with pytest.raises(PyTritonValidationError, match="no Triton context"):
        get_model_config(function, None)
    model = describe_model()
    with running_for(model):
        assert get_model_config(function, None) is model
        assert get_triton_context(function, None).model_configs[function] is model
    owner = Service()
    owner.__triton_context__ = TritonContext()  # type: ignore[attr-defined]
    assert get_triton_context(owner.infer, owner) is owner.__triton_context__  # type: ignore[attr-defined]
    with pytest.raises(PyTritonValidationError, match="does not serve a model"):
        get_model_config(owner.infer, owner)


def test_contexts_belong_to_threads() -> None:
    failures = []

    def call() -> None:
        try:
            get_model_config(len, None)
        except PyTritonValidationError as error:
            failures.append(error)

    with running_for(describe_model()):
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    assert len(failures) == 1


def test_dict_knows_callables_by_what_they_call() -> None:
    one, other = Service(), Service()
    partial = functools.partial(len)
    models = {name: TritonModelConfig(name) for name in ("one", "other", "infer", "partial", "len")}
    configs = ModelConfigDict()
    configs[one], configs[other], configs[one.infer] = models["one"], models["other"], models["infer"]
    configs[partial], configs[len] = models["partial"], models["len"]

    assert configs[one] is configs[one.__call__] is models["one"]
    assert configs[other] is models["other"]
    assert configs[one.infer] is models["infer"]
    assert other.infer not in configs
    assert configs[batch(len)] is configs[sample(batch(len))] is models["len"]
    assert configs[partial] is models["partial"]
    assert list(configs) == [one, other, one.infer, partial, len]

    configs[one.__call__] = models["len"]
    assert len(configs) == 5
    assert configs[one] is models["len"]
    del configs[one]
    assert one not in configs
    assert list(configs) == [other, one.infer, partial, len]
    for missing in (lambda: configs[one], lambda: configs.__delitem__(one)):
        with pytest.raises(KeyError, match="Service"):
            missing()
