# SPDX-License-Identifier: Apache-2.0
"""What annotations make of a function, and what is said of those that describe no model."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt
import pytest
from typing_extensions import TypeAliasType

from pytriton import App, Router
from pytriton.app import Model
from pytriton.arrays import F32, I64, Strings
from pytriton.exceptions import PyTritonDefinitionError, PyTritonValidationError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.workers import WorkerProcesses


def define(target: Any, **options: Any) -> Model:
    app = App()
    app.model(**options)(target)
    (model,) = app.models
    return model


class Scores(NamedTuple):
    score: Annotated[F32, "batch"]
    label: list[str]


@dataclasses.dataclass
class Boxes:
    corners: Annotated[F32, "boxes", 4]
    names: Annotated[Strings, "boxes"]


class Counts(TypedDict):
    words: int
    letters: np.int32


def test_inputs_and_outputs_of_a_batch() -> None:
    def linear(
        x: Annotated[F32, "batch", 2], mask: Annotated[npt.NDArray[np.bool_], "batch", "n", -1] | None = None
    ) -> Annotated[npt.NDArray[np.float64], "batch", 3]:
        """Multiply."""
        raise NotImplementedError

    model = define(linear)
    assert model.name == "linear"
    assert model.description == "Multiply."
    assert model.signature.batched
    assert model.tensors() == (
        [
            Tensor(name="x", shape=(2,), dtype=np.float32),
            Tensor(name="mask", shape=(-1, -1), dtype=np.bool_, optional=True),
        ],
        [Tensor(name="output", shape=(3,), dtype=np.float64)],
    )
    assert (model.config.max_batch_size, model.config.decoupled) == (64, False)


def test_samples_have_no_batch() -> None:
    def count(text: str, image: bytes, x: Annotated[I64, "n"], weight: float) -> Counts:
        raise NotImplementedError

    model = define(count)
    assert not model.signature.batched
    inputs, outputs = model.tensors()
    assert [(each.name, each.shape, each.dtype) for each in inputs] == [
        ("text", (), str),
        ("image", (), bytes),
        ("x", (-1,), np.int64),
        ("weight", (), np.float64),
    ]
    assert [(each.name, each.shape, each.dtype) for each in outputs] == [
        ("words", (), np.int64),
        ("letters", (), np.int32),
    ]


@pytest.mark.parametrize(("container", "names"), [(Scores, ["score", "label"]), (list[bytes], ["output"])])
def test_outputs_of_batches(container: Any, names: list[str]) -> None:
    def function(text: list[str]) -> None: ...

    function.__annotations__["return"] = container
    assert list(define(function).outputs) == names


def test_outputs_of_a_dataclass() -> None:
    def detect(image: bytes) -> Boxes:
        raise NotImplementedError

    assert [(each.name, each.shape) for each in define(detect).tensors()[1]] == [
        ("corners", (-1, 4)),
        ("names", (-1,)),
    ]


def test_scalars_with_defaults_are_parameters() -> None:
    def function(
        text: str, times: int = 2, scale: float = 1, mode: Literal["a", "b"] = "a", seed: int | None = None
    ) -> str:
        raise NotImplementedError

    model = define(function)
    assert [each.name for each in model.inputs] == ["text"]
    assert [(each.name, each.type, each.default, each.choices) for each in model.parameters] == [
        ("times", int, 2, ()),
        ("scale", float, 1, ()),
        ("mode", str, "a", ("a", "b")),
        ("seed", int, None, ()),
    ]


def test_streams_of_samples_are_of_one_row() -> None:
    def tokens(prompt: str) -> Iterator[str]:
        raise NotImplementedError

    async def tokens_async(prompt: str) -> AsyncIterator[str]:
        yield prompt

    for function in (tokens, tokens_async):
        config = define(function).config
        assert (config.decoupled, config.max_batch_size) == (True, 1)


def test_streams_of_batches() -> None:
    def tokens(prompt: list[str]) -> Iterator[list[str]]:
        raise NotImplementedError

    config = define(tokens, max_batch_size=8).config
    assert (config.decoupled, config.max_batch_size) == (True, 8)


def test_names_that_type_statements_give() -> None:
    scalar = TypeVar("scalar", bound=np.generic)
    array = TypeAliasType("array", np.ndarray[Any, np.dtype[scalar]], type_params=(scalar,))
    rows = TypeAliasType("rows", Annotated[array[np.float32], "batch"])
    label = TypeAliasType("label", Literal["a", "b"])
    several = TypeAliasType("several", Iterator[Scores])
    app = App()

    @app.model
    def function(x: rows | None = None, y: Annotated[rows, 3] | None = None, mode: label = "a") -> several:
        raise NotImplementedError

    (model,) = app.models
    assert [(each.name, each.shape) for each in model.tensors()[0]] == [("x", ()), ("y", (3,))]
    assert [each.choices for each in model.parameters] == [("a", "b")]
    assert (list(model.outputs), model.streaming) == (["score", "label"], True)


def test_options() -> None:
    def function(x: Annotated[F32, "batch", 2]) -> Annotated[F32, "batch", 2]:
        return x

    model = define(function, name="Other", version=3, output="y", config=ModelConfig(max_batch_size=9))
    assert (model.name, model.version, list(model.outputs), model.config.max_batch_size) == (
        "Other",
        3,
        ["y"],
        9,
    )


def test_the_function_stays_as_it_is() -> None:
    app = App()

    @app.model
    def double(x: Annotated[F32, "batch"]) -> Annotated[F32, "batch"]:
        return 2 * x

    assert double(np.ones(1, np.float32)).tolist() == [2.0]


def test_routers_prefix_names_and_bring_what_comes_later() -> None:
    app, vision, old = App(), Router(prefix="vision."), Router()
    app.include(vision, prefix="v1-")
    vision.include(old)

    @vision.model
    def blur(image: bytes) -> bytes:
        return image

    old.bind("Sharpen", lambda requests: [], [Tensor((1,), np.float32)], [Tensor((1,), np.float32)])
    assert [model.name for model in app.models] == ["v1-vision.blur"]
    assert [bound.name for bound in app._all_bound()] == ["v1-vision.Sharpen"]
    with pytest.raises(PyTritonDefinitionError, match="cannot include itself"):
        old.include(app)


def test_only_routers_are_included() -> None:
    with pytest.raises(PyTritonDefinitionError, match="takes a Router or an App, got 3"):
        App().include(3)  # type: ignore[arg-type]


def test_names_are_given_once() -> None:
    app = App()

    def double(x: str) -> str:
        return x

    app.model(double)
    with pytest.raises(PyTritonDefinitionError, match='is a model "Double" version 1 already'):
        app.model(name="Double")(double)
    app.model(version=2)(double)


# --- what describes no model ---

X = Annotated[F32, "batch", 2]


def no_annotation(x) -> X: ...  # type: ignore[no-untyped-def, empty-body]
def no_return(x: X): ...  # type: ignore[no-untyped-def]
def rank(x: F32) -> X: ...  # type: ignore[empty-body]
def no_dtype(x: Annotated[np.ndarray, "batch"]) -> X: ...  # type: ignore[empty-body]
def dtype(x: Annotated[npt.NDArray[np.complex64], "batch"]) -> X: ...  # type: ignore[empty-body]
def dimension(x: Annotated[F32, "batch", 0]) -> X: ...  # type: ignore[empty-body]
def batch_behind(x: Annotated[F32, 3, "batch"]) -> X: ...  # type: ignore[empty-body]
def capital_batch(x: Annotated[F32, "Batch", 3]) -> X: ...  # type: ignore[empty-body]
def capital_behind(x: X) -> Annotated[F32, "batch", "BATCH"]: ...  # type: ignore[empty-body]
def pair(x: X) -> tuple[X, Iterator[str], int | None]: ...  # type: ignore[empty-body]
def other(x: X, when: complex) -> X: ...  # type: ignore[empty-body]
def mixed(x: X, text: str) -> X: ...  # type: ignore[empty-body]
def mixed_return(x: X) -> float: ...  # type: ignore[empty-body]
def nullable(x: X | None) -> X: ...  # type: ignore[empty-body]
def nothing(x: X) -> None: ...
def unnamed(x: X) -> tuple[X, X]: ...  # type: ignore[empty-body]
def stars(*x: X) -> X: ...  # type: ignore[empty-body]
def wrong_default(x: X, times: int = "2") -> X: ...  # type: ignore[assignment, empty-body]
def no_choice(x: X, mode: Literal["a"] = "b") -> X: ...  # type: ignore[assignment, empty-body]
def unknown(x: "Unknown") -> X: ...  # type: ignore[name-defined, empty-body]  # noqa: F821, UP037
def positional(x: X, /) -> X: ...  # type: ignore[empty-body]
def no_inputs() -> X: ...  # type: ignore[empty-body]
def no_tensors(times: int = 1) -> X: ...  # type: ignore[empty-body]
def bare_iterator(x: X) -> Iterator: ...  # type: ignore[type-arg, empty-body]
def bare_typing_iterator(x: X) -> typing.AsyncIterator: ...  # type: ignore[type-arg, empty-body]
def bare_list(x: typing.List) -> X: ...  # type: ignore[type-arg, empty-body]  # noqa: UP006
def mixed_choices(x: X, mode: Literal["a", 1] = "a") -> X: ...  # type: ignore[empty-body]
def reserved(x: X, priority: int = 1) -> X: ...  # type: ignore[empty-body]
def reserved_prefix(x: X, triton_mode: str = "") -> X: ...  # type: ignore[empty-body]


async def sync_stream(x: str) -> Iterator[str]:  # type: ignore[misc]
    yield x


async def coroutine_of_stream(x: str) -> Iterator[str]:
    return iter(x)


async def async_value(x: str) -> str:  # type: ignore[misc]
    yield x


def async_stream(x: str) -> AsyncIterator[str]:  # type: ignore[misc]
    yield x


def value(x: str) -> str:  # type: ignore[misc]
    yield x


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (no_annotation, ['parameter "x"', "has no annotation", "Annotated[NDArray[np.float32]"]),
        (no_return, ["what it returns", "has no annotation"]),
        (rank, ['parameter "x"', "got NDArray[np.float32]", "how many dimensions", '"batch", 3]']),
        (no_dtype, ['parameter "x"', "without a dtype"]),
        (dtype, ['parameter "x"', "complex64", "float32"]),
        (dimension, ['parameter "x"', "dimension 0", "-1 for any size"]),
        (batch_behind, ['parameter "x"', '"batch" behind other dimensions']),
        (
            capital_batch,
            ['parameter "x"', "got the dimension 'Batch'", 'write "batch" for the rows of a batch'],
        ),
        (capital_behind, ["what it returns", "got the dimension 'BATCH'"]),
        (
            pair,
            ["got tuple[Annotated[NDArray[np.float32], 'batch', 2], Iterator[str], int | None], whose parts"],
        ),
        (other, ['parameter "when"', "got complex", "possible are arrays"]),
        (mixed, ['parameter "text"', "str is typed per sample", 'parameter "x"', "list[str]"]),
        (mixed_return, ["what it returns", "float is typed per sample", "list[float]"]),
        (nullable, ['parameter "x"', "without a default", "None"]),
        (nothing, ["what it returns", "returns None"]),
        (unnamed, ["what it returns", "have no names", "NamedTuple"]),
        (stars, ['parameter "x"', "*x"]),
        (wrong_default, ['parameter "times"', "the default '2' is no int"]),
        (no_choice, ['parameter "mode"', "the default 'b' is none of 'a'"]),
        (unknown, ['parameter "x"', "'Unknown' is not defined"]),
        (positional, ['parameter "x"', "by name"]),
        (no_inputs, ["has no inputs"]),
        (no_tensors, ["has no inputs", "with a default are parameters of requests"]),
        (bare_iterator, ["what it returns", "Iterator without", "Iterator[str]"]),
        (bare_typing_iterator, ["what it returns", "AsyncIterator[str]"]),
        (bare_list, ['parameter "x"', "possible are arrays"]),
        (mixed_choices, ['parameter "mode"', "different types: int, str"]),
        (reserved, ['parameter "priority"', "the server itself", "another name"]),
        (reserved_prefix, ['parameter "triton_mode"', "the server itself"]),
        (sync_stream, ["what it returns", "got Iterator[str]", "-> AsyncIterator[str]"]),
        (coroutine_of_stream, ["what it returns", "-> AsyncIterator[str]"]),
        (async_value, ["what it returns", "got str", "-> AsyncIterator[str]"]),
        (async_stream, ["what it returns", "is a generator", "-> Iterator[str]"]),
        (value, ["what it returns", "is a generator", "-> Iterator[str]"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_errors_point_at_the_parameter(function: Callable[..., Any], words: list[str]) -> None:
    with pytest.raises(PyTritonDefinitionError) as caught:
        define(function)
    text = str(caught.value)
    assert f'model "{function.__name__}"' in text
    assert [word for word in words if word not in text] == []
    path, line = re.match(r"(.+?):(\d+): ", text).groups()  # type: ignore[union-attr]
    assert f"def {function.__name__}(" in Path(path).read_text(encoding="utf-8").splitlines()[int(line) - 1]


def test_errors_point_at_the_line_of_the_parameter() -> None:
    with pytest.raises(PyTritonDefinitionError) as caught:

        @App().model
        def function(
            x: X,
            y: complex,  # here
        ) -> X:
            raise NotImplementedError

    path, line = re.match(r"(.+?):(\d+): ", str(caught.value)).groups()  # type: ignore[union-attr]
    assert Path(path).read_text(encoding="utf-8").splitlines()[int(line) - 1].endswith("# here")


def test_classes() -> None:
    class Embedder:
        def __init__(self, device: str, size: int = 3) -> None:
            self.device = device

        def __call__(self, text: list[str]) -> Annotated[F32, "batch", 3]:
            """Embed."""
            return np.zeros((len(text), 3), np.float32)

    model = define(Embedder, devices=["cpu", "cuda:1"], workers=2)
    assert (model.name, [each.name for each in model.inputs]) == ("Embedder", ["text"])
    processes = model.bind_arguments()["workers"]
    assert (list(processes.devices), processes.total) == (["cpu", 1], 4)
    make = model.bind_arguments()["infer_func"]
    assert callable(make(device="cpu"))


def test_devices_are_named_as_the_process_sees_them() -> None:
    told = []

    class Embedder:
        def __init__(self, device: Any = "none") -> None:
            told.append(device)

        def __call__(self, text: list[str]) -> list[str]:
            return text

    make = define(Embedder, devices=["cuda:3"]).bind_arguments()["infer_func"]
    for device in ("cpu", 3, "GPU-8932f937", [1, 2], None):
        make(device=device)
    assert told == ["cpu", "cuda:0", "cuda:0", "cuda:0,cuda:1", "none"]
    make = define(Embedder, workers=WorkerProcesses(devices=[3])).bind_arguments()["infer_func"]
    make(device=3)
    assert told[-1] == 3
    assert callable(define(Embedder, devices=["cuda:5"]).function())
    assert told[-1] == "cuda:0"


def test_functions_are_served_by_threads_unless_processes_are_asked_for() -> None:
    def function(x: X) -> X:
        return x

    arguments = define(function, workers=3).bind_arguments()
    assert len(arguments["infer_func"]) == 3
    assert "workers" not in arguments
    assert define(function, workers=WorkerProcesses(3)).bind_arguments()["workers"].total == 3


def test_classes_that_cannot_be_made() -> None:
    class NoCall: ...

    class NeedsMore:
        def __init__(self, path: str) -> None: ...

        def __call__(self, x: X) -> X:
            return x

    with pytest.raises(PyTritonDefinitionError, match="has no method __call__"):
        define(NoCall)
    with pytest.raises(PyTritonDefinitionError, match="missing a required argument: 'path'"):
        define(NeedsMore)
    assert define(NeedsMore, workers=WorkerProcesses(kwargs={"path": "here"})).name == "NeedsMore"


def test_no_cache_for_what_depends_on_parameters() -> None:
    def function(x: X, times: int = 1) -> X:
        return x

    with pytest.raises(PyTritonDefinitionError, match=r"response_cache=True, but .* parameters \(times\)"):
        define(function, config=ModelConfig(response_cache=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_batch_size": 3, "config": ModelConfig()}, "both given"),
        ({"config": ModelConfig(batching=False)}, "batching=False"),
        ({"workers": 0}, "workers is 0"),
        ({"devices": [-1]}, "a device is 0 or more"),
        ({"devices": [0], "workers": WorkerProcesses()}, "both given"),
        ({"max_batch_size": 0}, "max_batch_size is 0; give 1 or more"),
        ({"version": "one"}, "version is 'one'; give a whole number of 0 or more"),
        ({"version": -1}, "version is -1; give a whole number of 0 or more"),
        ({"max_batch_size": "8"}, "max_batch_size is '8'"),
        ({"output": 3}, "output is 3; give the name"),
        ({"output": ""}, "give the name of the output"),
        ({"devices": ["gpu"]}, r"devices is \['gpu'\].*a device is a number, \"cuda:N\""),
        ({"devices": []}, r"devices is \[\]; name at least one"),
        ({"devices": "cuda:0"}, r"give a list: devices=\['cuda:0'\]"),
        ({"name": "a b"}, "Model name can only contain"),
        ({"name": "x" * 300}, "at most 255"),
    ],
)
def test_options_that_are_not_possible(options: dict[str, Any], message: str) -> None:
    def function(x: X) -> X:
        return x

    with pytest.raises(PyTritonValidationError, match=message):
        define(function, **options)


def test_batch_sizes_of_streams_of_samples() -> None:
    def tokens(prompt: str) -> Iterator[str]:
        raise NotImplementedError

    with pytest.raises(PyTritonDefinitionError, match="one sample at a time"):
        define(tokens, max_batch_size=8)


def test_a_function_without_a_name_is_given_one() -> None:
    with pytest.raises(
        PyTritonDefinitionError, match=r"got '<lambda>'\. Write @app\.model\(name=\.\.\.\)\.$"
    ):
        define(lambda x: x)
