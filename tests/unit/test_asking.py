# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton.asking import results
from pytriton.asking.inputs import inputs_of, is_batch, parameters_of
from pytriton.client._core.tensors import as_array, encode_array
from pytriton.client.exceptions import PyTritonClientValueError
from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig

PAGE = Path(__file__).parents[2] / "docs/command-line.md"
X = TensorSpec("x", (-1,), np.float32)
TEXT = TensorSpec("text", (1,), np.bytes_)
IMAGE = TensorSpec("image", (4, 6, 3), np.float32)


def model(*specs: TensorSpec, batching: bool = True) -> TritonModelConfig:
    return TritonModelConfig("Model", batching=batching, inputs=specs, outputs=())


def ask(arguments: list[str], *specs: TensorSpec, file: str | None = None, stdin: bytes = b"") -> Any:
    return inputs_of(arguments, file, model(*specs), lambda: stdin)


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def png(width: int, height: int, color: tuple[int, int, int]) -> bytes:
    image = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    image.new("RGB", (width, height), color).save(buffer, "PNG")
    return buffer.getvalue()


def written(cell: str) -> str:
    """What is between the first two backticks of a cell."""
    return cell.split("`")[1]


def rows_of_the_page() -> list[list[str]]:
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("| Given |") :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def on_the_wire(given: str, spec: TensorSpec) -> Any:
    value = ask([f"x={given}"], spec)["x"]
    return encode_array(as_array(value, spec.datatype, "x"), spec.datatype, "x")


def check(given: str, cell: str, scalar: TensorSpec) -> None:
    """Compare what an input without dimensions makes of a value with what the page says."""
    if "refused" in cell:
        with pytest.raises(PyTritonClientValueError):
            on_the_wire(given, scalar)
        return
    assert ask([f"x={given}"], scalar)["x"] == json.loads(written(cell))
    on_the_wire(given, scalar)


@pytest.mark.parametrize("row", rows_of_the_page())
def test_the_notations_of_the_page(row: list[str]) -> None:
    (given,) = shlex.split(written(row[0]))
    check(given, row[1], TensorSpec("x", (), np.bool_ if "BOOL" in row[1] else np.float32))
    check(given, row[2], TensorSpec("x", (), np.bytes_))
    assert parameters_of([f"p={given}"]) == {"p": json.loads(written(row[3]))}


def test_the_page_has_the_notations() -> None:
    assert len(rows_of_the_page()) == 9


@pytest.mark.parametrize(
    ("shape", "number", "text"), [((), 3, "a"), ((1,), [3], ["a"]), ((-1, 1), [[3]], [["a"]]), ((2,), 3, "a")]
)
def test_one_value_needs_no_brackets(shape: tuple[int, ...], number: Any, text: Any) -> None:
    specs = TensorSpec("n", shape, np.int64), TensorSpec("s", shape, np.bytes_)
    assert ask(["n=3", "s=a"], *specs) == {"n": number, "s": text}
    assert ask([], *specs, file="-", stdin=b'{"n": 3, "s": "a"}') == {"n": number, "s": text}
    assert not is_batch({"n": number, "s": text}, model(*specs))


def test_values_are_json_or_text() -> None:
    assert ask(["[1, 2]"], X) == {"x": [1, 2]}
    assert ask(["x=[1, 2]", "text=a=b"], X, TEXT) == {"x": [1, 2], "text": ["a=b"]}
    assert ask(["hello world"], TEXT) == {"text": ["hello world"]}
    assert ask(["12"], TEXT) == {"text": ["12"]}
    assert ask(['["a", "b"]'], TEXT) == {"text": ["a", "b"]}


@pytest.mark.parametrize("arguments", [["hello", "world"], ["hello", "text=world"], ["text=a", "text=a"]])
def test_no_input_is_given_twice(arguments: list[str]) -> None:
    with pytest.raises(PyTritonClientValueError, match=r'input "text" is given twice.* needs quotes'):
        ask(arguments, TEXT)


def test_files_and_standard_input(tmp_path: Path) -> None:
    array = np.arange(3, dtype=np.float32)
    (tmp_path / "x.npy").write_bytes(npy(array))
    (tmp_path / "x.json").write_text("[1, 2]")
    (tmp_path / "x.txt").write_text("some text")
    np.savez(tmp_path / "one.npz", anything=array)
    np.savez(tmp_path / "two.npz", x=array, y=array)
    assert np.array_equal(ask([f"@{tmp_path / 'x.npy'}"], X)["x"], array)
    assert np.array_equal(ask([f"x=@{tmp_path / 'one.npz'}"], X)["x"], array)
    assert ask([f"@{tmp_path / 'x.json'}"], X) == {"x": [1, 2]}
    assert ask([f"@{tmp_path / 'x.txt'}"], TEXT) == {"text": [b"some text"]}
    assert np.array_equal(ask(["x=-"], X, TEXT, stdin=npy(array))["x"], array)
    assert sorted(ask([], X, file=str(tmp_path / "two.npz"))) == ["x", "y"]
    assert ask([], X, file="-", stdin=b'{"x": [5]}') == {"x": [5]}
    request = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 1], "data": [1, 2]}]}
    assert ask([], X, file="-", stdin=json.dumps(request).encode())["x"].tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((4, 6, 3), np.float32, [1.0, 128 / 255, 0.0]),
        ((3, 4, 6), np.uint8, [255, 128, 0]),
        ((-1, -1, 3), np.uint8, [255, 128, 0]),
        ((4, 6, 4), np.uint8, [255, 128, 0, 255]),
    ],
)
def test_images_take_the_layout_of_the_input(
    shape: tuple[int, ...], dtype: Any, expected: list[float]
) -> None:
    spec = TensorSpec("image", shape, dtype)
    pixels = ask(["-"], spec, stdin=png(12, 8, (255, 128, 0)))["image"]
    channels_first = shape[0] == 3
    assert pixels.shape == tuple(
        size if size > 0 else given for size, given in zip(shape, (8, 12, 3), strict=True)
    )
    assert pixels.dtype == dtype
    pixel = pixels[:, 0, 0] if channels_first else pixels[0, 0]
    assert pixel.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "stdin", "specs", "message"),
    [
        ([], b"", (X,), "no input was given; it takes x (FP32, shape (-1,))"),
        (["y=1"], b"", (X, TEXT), 'model "Model" has no input "y"; its inputs are x (FP32'),
        (["1"], b"", (X, TEXT), "'1' names no input; it takes x"),
        (
            ["some.npy"],
            b"",
            (X,),
            "'some.npy' is no JSON, such as 1.5 or [1, 2]; for a file write @some.npy.",
        ),
        (["True"], b"", (TensorSpec("x", (), np.bool_),), "is no JSON, such as true or [true, false]."),
        (["@"], b"", (X,), "@ is followed by the name of a file"),
        (["-"], b'{"x": [1]}', (X,), "standard input holds an object of JSON; give it with --input"),
        (["-"], b"[1, 2", (X,), "an image (as JSON: Expecting ',' delimiter: line 1 column 6"),
        (["@nowhere.npy"], b"", (X,), "nowhere.npy cannot be read: No such file or directory."),
        (["-"], b"garbage", (X,), "standard input is no array: expected .npy, .npz, JSON or an image."),
        (["-"], b"\x93NUMPY garbage", (X,), "standard input is no array that NumPy can read"),
        (["-"], b"PK garbage", (X,), "standard input is no array that NumPy can read"),
        (["-"], b"\x89PNG garbage", (IMAGE,), "standard input is no image that can be read"),
        (["-"], b"\x89PNG garbage", (X,), 'is an image, but input "x" has shape [-1]'),
    ],
)
def test_says_what_is_wrong(
    arguments: list[str], stdin: bytes, specs: tuple[TensorSpec, ...], message: str
) -> None:
    if "PNG" in repr(stdin):
        pytest.importorskip("PIL")
    with pytest.raises(PyTritonClientValueError) as raised:
        ask(arguments, *specs, stdin=stdin)
    assert message in str(raised.value)


def test_one_array_has_no_name() -> None:
    with pytest.raises(PyTritonClientValueError, match="standard input holds one array, which has no name"):
        ask([], X, file="-", stdin=npy(np.ones(3)))


def test_an_array_of_objects_is_refused() -> None:
    with pytest.raises(PyTritonClientValueError, match="is no array that NumPy can read"):
        ask(["-"], X, stdin=npy(np.array([{"a": 1}], object)))


def test_a_dimension_more_is_a_batch() -> None:
    assert not is_batch({"x": [1, 2]}, model(X))
    assert is_batch({"x": [[1, 2]]}, model(X))
    assert is_batch({"x": np.zeros((2, 2))}, model(X))
    assert not is_batch({"x": [[1, 2]]}, model(X, batching=False))
    with pytest.raises(PyTritonClientValueError) as caught:
        is_batch({"x": [[1], [2]], "text": ["a"]}, model(X, TEXT))
    assert str(caught.value) == (
        'model "Model": inputs of a batch ("x") and of one sample ("text") are mixed; a batch has one '
        "dimension more than the model's input. Give all of them in the same way."
    )


def test_parameters() -> None:
    assert parameters_of(["a=1", "b=true", "c=text", "d=1.5", "e=x=y"]) == {
        "a": 1,
        "b": True,
        "c": "text",
        "d": 1.5,
        "e": "x=y",
    }
    assert parameters_of(['a="1"', 'b="true"', "c='1'"]) == {"a": "1", "b": "true", "c": "'1'"}
    with pytest.raises(PyTritonClientValueError, match="expected name=value, got 'a'"):
        parameters_of(["a"])


def test_results_as_text_and_document() -> None:
    strings = np.array([b"a", "ż".encode(), b"\xff"], object)
    assert results.as_text(np.array([[1.5, 2.0]], np.float32), 80) == "[[1.5, 2. ]]"
    assert results.as_text(strings, 80) == "['a', 'ż', '\\\\xff']"
    assert len(results.as_text(np.zeros(100_000), 80)) < 200
    assert results.as_document({"y": strings}) == {
        "y": {"datatype": "BYTES", "shape": [3], "data": ["a", "ż", "\\xff"]}
    }


def test_results_are_saved(tmp_path: Path) -> None:
    outputs = {"y": np.arange(3), "text": np.array([b"a", b"bc"], object)}
    results.save([outputs], tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as saved:
        assert saved["y"].tolist() == [0, 1, 2]
        assert saved["text"].tolist() == [b"a", b"bc"]
    results.save([{"y": np.arange(3)}], tmp_path / "y.npy")
    assert np.load(tmp_path / "y.npy").tolist() == [0, 1, 2]
    results.save([outputs, outputs], tmp_path / "a.json")
    assert [each["y"]["data"] for each in json.loads((tmp_path / "a.json").read_text())] == [[0, 1, 2]] * 2
    with pytest.raises(PyTritonClientValueError, match=r"there are 2 arrays \(y, text\); save them as .npz"):
        results.save([outputs], tmp_path / "y.npy")
    with pytest.raises(PyTritonClientValueError, match="expected a file that ends in"):
        results.check_path(tmp_path / "y.txt")
    with pytest.raises(PyTritonClientValueError, match="there is no directory"):
        results.check_path(tmp_path / "none" / "y.npy")
