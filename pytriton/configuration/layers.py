# SPDX-License-Identifier: Apache-2.0
"""The layers that options are taken from, and which of them gave a value."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pytriton.configuration.file import ConfigFile
from pytriton.configuration.options import SERVE_OPTIONS, all_options
from pytriton.server.config import Option, TritonConfig, options

__all__ = ["DEFAULT", "Layers", "Setting", "effective", "in_force"]

DEFAULT: Final = "default"
_ARGUMENTS: Final = {"app": "MODULE:ATTRIBUTE"}
"""Those that are no --option."""

_in_force: ContextVar[Layers | None] = ContextVar("pytriton_layers", default=None)


class Setting(NamedTuple):
    """The value of an option, None where it is left to the server, and where it comes from."""

    option: Option
    value: Any
    source: str
    """argument, code, environment, file, command or default."""
    where: str
    """The flag, the variable or the file."""


@dataclass(frozen=True)
class Layers:
    """What a command was given; a higher layer wins: arguments, code, environment, file, defaults.

    Args:
        arguments: Options by name from the command line.
        file: The configuration file.
        defaults: What the command itself chooses where nobody says anything.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    file: ConfigFile | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def config(self, code: TritonConfig | None = None) -> TritonConfig:
        """Options of the server, where a program itself gives some."""
        found = {setting.option.name: setting.value for setting in self.settings(code)}
        return TritonConfig(**{option.name: found[option.name] for option in options()})

    def value(self, name: str) -> Any:
        """Value of one option."""
        return next(setting.value for setting in self.settings() if setting.option.name == name)

    def settings(self, code: TritonConfig | None = None) -> list[Setting]:
        """Every option with its value and where that comes from."""
        environment = TritonConfig.from_env()
        given = code or TritonConfig()
        return [
            self._setting(option, getattr(given, option.name, None), _of_environment(option, environment))
            for option in all_options()
        ]

    def _setting(self, option: Option, in_code: Any, in_environment: Any) -> Setting:
        name = option.name
        of_file = self.file.values.get(name) if self.file is not None else None
        candidates = (
            (self.arguments.get(name), "argument", _ARGUMENTS.get(name, "--" + name.replace("_", "-"))),
            (in_code, "code", "TritonConfig"),
            (in_environment, "environment", _variable_of(option)),
            (of_file, "file", str(self.file.path) if self.file is not None else ""),
            (self.defaults.get(name), "command", "pytriton serve"),
        )
        for value, source, where in candidates:
            if value is not None:
                return Setting(option, value, source, where)
        return Setting(option, None, DEFAULT, "")


def _variable_of(option: Option) -> str:
    return option.variable if option.variable in os.environ or not option.repeated else f"{option.variable}_0"


def _of_environment(option: Option, environment: TritonConfig) -> Any:
    if option not in SERVE_OPTIONS:
        return getattr(environment, option.name)
    text = os.environ.get(option.variable)
    return None if text is None else option.parse(text, f"environment variable {option.variable}")


@contextlib.contextmanager
def in_force(layers: Layers) -> Iterator[None]:
    """Let every Triton object that is made within the block take its options from these layers."""
    token = _in_force.set(layers)
    try:
        yield
    finally:
        _in_force.reset(token)


def effective(code: TritonConfig) -> TritonConfig:
    """Options of a server whose program gives some: completed by the layers in force, or the environment."""
    layers = _in_force.get()
    return code.over(TritonConfig.from_env()) if layers is None else layers.config(code)
