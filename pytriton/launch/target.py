# SPDX-License-Identifier: Apache-2.0
"""What `pytriton serve module:attribute` names: from the text to the object that serves."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pytriton.exceptions import PyTritonDefinitionError, PyTritonValidationError
from pytriton.serving.importing import ServedWhileImportedError, importing
from pytriton.triton import TritonBase

__all__ = ["DEFAULT_NAMES", "TargetError", "UserCodeError", "import_target", "load_triton"]

DEFAULT_NAMES: Final = ("app", "triton")
_EXPECTED: Final = "expected module:attribute or file.py:attribute, such as service:app"


class TargetError(PyTritonValidationError):
    """The text names nothing that can be served."""


class UserCodeError(Exception):
    """The user's code raised; the cause says what, with a traceback that begins in that code."""

    def __init__(self, doing: str, cause: BaseException, advice: str = "") -> None:
        super().__init__(f"{doing} failed: {type(cause).__name__}: {cause}{advice}")
        self.__cause__ = cause


def load_triton(text: str, directory: Path) -> TritonBase:
    """Import what a text names and make it an object with models bound, which nobody has started.

    Args:
        text: `module:attribute`, `file.py:attribute`, or either without an attribute: `app` or `triton` then.
        directory: Where modules are looked for first.
    """
    return as_triton(import_target(text, directory), text)


def import_target(text: str, directory: Path) -> Any:
    """Import what a text names."""
    place, _, attribute = text.partition(":")
    if not place or (":" in text and not attribute) or ":" in attribute:
        raise TargetError(f"{text!r} names nothing to serve: {_EXPECTED}.")
    try:
        module = _import(*_module_of(place, directory))
    except UserCodeError as error:
        cause = error.__cause__
        dotted = ".".join(Path(place).with_suffix("").parts)
        is_relative = isinstance(cause, ImportError) and "relative import" in str(cause)
        if cause is not None and is_relative and place.endswith(".py") and "/" not in dotted:
            advice = f"; name it as a module instead: pytriton serve {dotted}{text[len(place) :]}"
            raise UserCodeError(f'Importing "{place}"', cause, advice) from cause
        raise
    if not attribute:
        return _by_default_name(module, place)
    found: Any = module
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise TargetError(
                f'Module "{module.__name__}" ({module.__file__}) has no attribute "{attribute}".'
                f"{_candidates(module)}"
            ) from None
    return found


def as_triton(found: Any, text: str) -> TritonBase:
    """The object that serves: a Triton itself, an application's, or that which a function returns."""
    if isinstance(found, TritonBase):
        return found
    make = None if isinstance(found, type) else getattr(found, "triton", None)
    if callable(make):
        return _called(make, f"{text}: triton()", text)
    if callable(found) and not isinstance(found, type):
        _check_takes_nothing(found, text)
        return _called(found, f"{text}: calling it", text, may_be_application=True)
    raise TargetError(
        f"{text} is {_described(found)}; expected an App, a Triton with models bound, or a function "
        "without parameters that returns one."
    )


def _check_takes_nothing(function: Callable[..., Any], text: str) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # it does not tell
        return
    try:
        signature.bind()
    except TypeError:
        raise TargetError(
            f"{text} is a function that takes {signature}; expected one without parameters that returns an "
            "App or a Triton with models bound."
        ) from None


def _called(
    make: Callable[[], Any], doing: str, text: str, *, may_be_application: bool = False
) -> TritonBase:
    try:
        result = make()
    except Exception as error:
        raise UserCodeError(doing, _without_our_frames(error)) from error
    if isinstance(result, TritonBase):
        return result
    if may_be_application and callable(getattr(result, "triton", None)):
        return as_triton(result, text)
    raise TargetError(f"{text} returned {_described(result)}; expected an App or a Triton with models bound.")


def _module_of(place: str, directory: Path) -> tuple[str, Path, Path]:
    """Name of a module, the directory that it is imported from, and what was meant, for messages."""
    if not place.endswith(".py"):
        return place, directory, directory
    path = (directory / place).resolve()
    if not path.is_file():
        raise TargetError(f"There is no file {path}.")
    if not path.stem.isidentifier():
        raise TargetError(f"{path.name} cannot be imported: {path.stem!r} is no name of a module.")
    return path.stem, path.parent, path


def _import(name: str, directory: Path, meant: Path) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise TargetError(f"{name!r} is no name of a module: {_EXPECTED}.")
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    try:
        with importing():
            module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise TargetError(
                f'There is no module "{error.name}" in {directory}, nor is one installed.'
            ) from None
        raise UserCodeError(f'Importing "{name}"', _without_our_frames(error)) from error
    except PyTritonDefinitionError as error:
        if error.place is None:
            raise UserCodeError(f'Importing "{name}"', _without_our_frames(error)) from error
        raise TargetError(error.message) from None  # which says where
    except ServedWhileImportedError as error:
        raise TargetError(f"{_place_of(error)}: {error.message}") from None
    except (Exception, SystemExit) as error:
        raise UserCodeError(f'Importing "{name}"', _without_our_frames(error)) from error
    if meant != directory and module.__file__ is not None and Path(module.__file__).resolve() != meant:
        raise TargetError(
            f'{meant} cannot be imported: its name is that of module "{name}" ({module.__file__}); rename it.'
        )
    return module


def _by_default_name(module: ModuleType, place: str) -> Any:
    for name in DEFAULT_NAMES:
        if hasattr(module, name):
            return getattr(module, name)
    served = _servable(module)
    if len(served) == 1:
        return getattr(module, served[0])
    raise TargetError(
        f'Module "{module.__name__}" has neither "app" nor "triton": say which attribute to serve, '
        f"{place}:attribute.{_candidates(module)}"
    )


def _candidates(module: ModuleType) -> str:
    served = _servable(module)
    return f" It could serve {', '.join(served)}." if served else ""


def _servable(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, TritonBase)
        or (not isinstance(value, (type, ModuleType)) and callable(getattr(value, "triton", None)))
    ]


def _described(found: Any) -> str:
    if isinstance(found, type):
        return f"the class {found.__name__}"
    return "None" if found is None else f"an object of type {type(found).__name__}"


def _without_our_frames(error: BaseException) -> BaseException:
    """The error, its traceback without what lies between us and the user's code."""
    traceback = error.__traceback__
    ours = (__file__, importlib.__file__)
    while traceback is not None and (
        traceback.tb_frame.f_code.co_filename in ours
        or traceback.tb_frame.f_code.co_filename.startswith("<frozen importlib")
    ):
        traceback = traceback.tb_next
    return error.with_traceback(traceback)


def _place_of(error: BaseException) -> str:
    """File and line of the user's code that the error came through first."""
    traceback = _without_our_frames(error).__traceback__
    assert traceback is not None
    return f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
