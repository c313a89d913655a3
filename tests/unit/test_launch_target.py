# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytriton.launch.reload import compile_errors
from pytriton.launch.target import TargetError, UserCodeError, load_triton
from pytriton.triton import Triton

SERVICE = """
from pytriton.triton import Triton
triton = Triton()
other = Triton()
number = 1
class Holder:
    triton = triton
class Application:
    def triton(self):
        return triton
application = Application()
def make():
    return triton
def make_application():
    return application
def make_nothing():
    pass
def fail():
    raise RuntimeError("on purpose")
"""


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Callable[[str, str], Path]]:
    before, path = set(sys.modules), list(sys.path)

    def write(name: str, text: str) -> Path:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return tmp_path

    yield write
    sys.path[:] = path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    "attribute",
    ["", ":triton", ":Holder.triton", ":application", ":make", ":make_application"],
)
@pytest.mark.parametrize("place", ["probe_service", "probe_service.py"])
def test_loads(module: Callable[[str, str], Path], place: str, attribute: str) -> None:
    directory = module("probe_service.py", SERVICE)
    triton = load_triton(place + attribute, directory)
    assert isinstance(triton, Triton)
    assert triton is sys.modules["probe_service"].triton


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("probe_service:nope", 'has no attribute "nope". It could serve triton, other, application.'),
        ("probe_service:number", "is an object of type int; expected an App, a Triton"),
        ("probe_service:Application", "is the class Application"),
        ("probe_service:make_nothing", "returned None; expected an App or a Triton"),
        ("no_such_module:app", 'There is no module "no_such_module" in '),
        ("no_such_package.module", 'There is no module "no_such_package" in '),
        ("nowhere.py:app", "There is no file "),
        ("a-b.py:app", "There is no file "),
        ("1x:app", "'1x' is no name of a module"),
        (":app", "names nothing to serve"),
        ("probe_service:", "names nothing to serve"),
        ("a:b:c", "names nothing to serve"),
    ],
)
def test_says_why_not(module: Callable[[str, str], Path], target: str, message: str) -> None:
    directory = module("probe_service.py", SERVICE)
    with pytest.raises(TargetError) as raised:
        load_triton(target, directory)
    assert message in str(raised.value)


def test_without_a_default_name_it_says_what_there_is(module: Callable[[str, str], Path]) -> None:
    directory = module("probe_two.py", "from pytriton.triton import Triton\none, two = Triton(), Triton()")
    with pytest.raises(TargetError, match=r"probe_two:attribute. It could serve one, two."):
        load_triton("probe_two", directory)
    directory = module("probe_one.py", "from pytriton.triton import Triton\none = Triton()")
    assert isinstance(load_triton("probe_one", directory), Triton)


@pytest.mark.parametrize(
    ("text", "attribute", "error"),
    [
        ("import no_such_library", "", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("1 / 0", "", "ZeroDivisionError"),
        ("import sys\nsys.exit(3)", "", "SystemExit: 3"),
        ("x =", "", "SyntaxError"),
        (SERVICE, ":fail", "RuntimeError: on purpose"),
    ],
)
def test_the_traceback_is_that_of_the_users_code(
    module: Callable[[str, str], Path], text: str, attribute: str, error: str
) -> None:
    directory = module("probe_broken.py", text)
    with pytest.raises(UserCodeError) as raised:
        load_triton(f"probe_broken{attribute}", directory)
    assert error in str(raised.value)
    cause = raised.value.__cause__
    assert cause is not None
    frames = traceback.extract_tb(cause.__traceback__)
    assert [Path(frame.filename).name for frame in frames] == ["probe_broken.py"] * bool(text != "x =")


def test_a_file_with_relative_imports_is_named_by_its_package(module: Callable[[str, str], Path]) -> None:
    module("probe_package/__init__.py", "")
    directory = module("probe_package/main.py", "from .parts import app")
    with pytest.raises(UserCodeError) as raised:
        load_triton("probe_package/main.py:app", directory)
    assert str(raised.value).endswith("name it as a module instead: pytriton serve probe_package.main:app")


@pytest.mark.parametrize(
    "text",
    [
        "from pytriton import App\napp = App()\napp.serve()",
        "from pytriton.triton import Triton\ntriton = Triton()\ntriton.serve()",
    ],
)
def test_a_module_that_serves_when_it_is_imported_is_told_so(
    module: Callable[[str, str], Path], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[object] = []
    monkeypatch.setattr(Triton, "run", launched.append)
    directory = module("probe_serving.py", text)
    with pytest.raises(TargetError) as raised:
        load_triton("probe_serving", directory)
    assert str(raised.value).startswith(f"{directory / 'probe_serving.py'}:3: serve() is called")
    assert "__main__" in str(raised.value)
    assert launched == []


def test_files_that_cannot_be_python(tmp_path: Path) -> None:
    for name, text in (("good.py", "x = 1"), ("bad.py", "x = \n"), ("data.json", "x =")):
        (tmp_path / name).write_text(text)
    paths = [tmp_path / name for name in ("good.py", "bad.py", "data.json", "gone.py")]
    assert list(compile_errors(paths)) == [f"{tmp_path / 'bad.py'}, line 1: invalid syntax"]
