# SPDX-License-Identifier: Apache-2.0
"""Configuration files: the table [tool.pytriton] of a pyproject.toml, or a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytriton.configuration.options import parsed
from pytriton.exceptions import PyTritonValidationError

__all__ = ["YAML_NAMES", "ConfigFile", "find_config_file", "read_config_file"]

YAML_NAMES: Final = ("pytriton.yaml", "pytriton.yml")
_PROJECT: Final = "pyproject.toml"


@dataclass(frozen=True)
class ConfigFile:
    """A file and the options that it sets."""

    path: Path
    values: Mapping[str, Any]


def find_config_file(directory: Path) -> ConfigFile | None:
    """The file that applies in a directory, if there is one.

    That is its pytriton.yaml, or the first pyproject.toml in it or above it that has a table [tool.pytriton].
    """
    for name in YAML_NAMES:
        if (directory / name).is_file():
            return read_config_file(directory / name)
    for place in (directory, *directory.parents):
        path = place / _PROJECT
        if path.is_file() and (table := _table_of(path)) is not None:
            return ConfigFile(path, parsed(table, f"{path} [tool.pytriton]"))
    return None


def read_config_file(path: Path) -> ConfigFile:
    """Read a file: YAML, or TOML, of which the table [tool.pytriton] counts if there is one."""
    if path.suffix == ".toml":
        if (table := _table_of(path)) is not None:
            return ConfigFile(path, parsed(table, f"{path} [tool.pytriton]"))
        if path.name == _PROJECT:
            raise PyTritonValidationError(f"{path} has no table [tool.pytriton].")
        return ConfigFile(path, parsed(_read_toml(path), str(path)))
    if path.suffix in (".yaml", ".yml"):
        return ConfigFile(path, parsed(_read_yaml(path), str(path)))
    raise PyTritonValidationError(f"{path}: expected a configuration file that ends in .toml, .yaml or .yml.")


def _table_of(path: Path) -> Mapping[str, Any] | None:
    tool = _read_toml(path).get("tool")
    table = tool.get("pytriton") if isinstance(tool, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise PyTritonValidationError(f"{path}: tool.pytriton must be a table, got {table!r}.")
    return table


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        try:
            import tomli as tomllib  # type: ignore[import-not-found,no-redef,unused-ignore]
        except ModuleNotFoundError:
            raise PyTritonValidationError(
                f'{path}: to read TOML Python 3.10 needs tomli: pip install "pytriton[cli]"'
            ) from None
    try:
        document: dict[str, Any] = tomllib.loads(_text_of(path))
    except tomllib.TOMLDecodeError as error:
        raise PyTritonValidationError(f"{path} is not TOML: {error}.") from None
    return document


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ModuleNotFoundError:
        raise PyTritonValidationError(
            f'{path}: YAML needs the package pyyaml: pip install "pytriton[cli]"'
        ) from None
    try:
        document = yaml.safe_load(_text_of(path))
    except yaml.YAMLError as error:
        raise PyTritonValidationError(f"{path} is not YAML: {' '.join(str(error).split())}.") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise PyTritonValidationError(
            f"{path} must map names of options to values, got a {type(document).__name__}."
        )
    return document


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise PyTritonValidationError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise PyTritonValidationError(f"{path} is not UTF-8: {error}.") from None
