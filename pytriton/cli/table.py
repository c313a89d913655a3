# SPDX-License-Identifier: Apache-2.0
"""Options of commands out of the one table of the configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pytriton.configuration.file import ConfigFile, find_config_file, read_config_file
from pytriton.configuration.layers import Layers
from pytriton.constants import TRITON_LOCAL_IP
from pytriton.exceptions import PyTritonValidationError
from pytriton.server.config import Option, options

__all__ = ["CONFIG_VARIABLE", "layers_of", "with_server_options"]

CONFIG_VARIABLE: Final = "PYTRITON_CONFIG"
_ADDRESSES: Final = ("http_address", "grpc_address", "metrics_address")
_LOOPBACK: Final = dict.fromkeys(_ADDRESSES, TRITON_LOCAL_IP)
_PANELS: Final = (
    ("http_", "HTTP"),
    ("allow_http", "HTTP"),
    ("reuse_http", "HTTP"),
    ("grpc_", "gRPC"),
    ("allow_grpc", "gRPC"),
    ("reuse_grpc", "gRPC"),
    ("metrics_", "Metrics"),
    ("allow_", "Metrics and cloud endpoints"),
    ("sagemaker_", "Metrics and cloud endpoints"),
    ("vertex_ai_", "Metrics and cloud endpoints"),
    ("log_", "Logs and traces"),
    ("trace_", "Logs and traces"),
    ("model_", "Models"),
    ("cache_", "Cache and memory"),
    ("pinned_", "Cache and memory"),
    ("cuda_", "Cache and memory"),
    ("buffer_", "Cache and memory"),
)
_OTHER_PANEL: Final = "Other options of the server"


def with_server_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option of the server; it finds those that were given in `server_options`."""
    table = {option.name: option for option in options()}

    def run(**values: Any) -> None:
        given = {name: values.pop(name) for name in table}
        command(**values, server_options={name: value for name, value in given.items() if _is_given(value)})

    own = [
        parameter
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name != "server_options"
    ]
    generated = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(option))
        for name, option in table.items()
    ]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature([*own, *generated])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *generated)}
    return run


def layers_of(server_options: Mapping[str, Any], host: str | None, config: Path | None, **own: Any) -> Layers:
    """The layers of a command that serves.

    Args:
        server_options: Options of the server that were given as arguments.
        host: Address of all endpoints that have no argument of their own.
        config: File to read instead of the one that applies in this directory.
        own: Arguments for options of `pytriton serve` itself.
    """
    arguments = {name: value for name, value in own.items() if value is not None}
    if host is not None:
        arguments |= dict.fromkeys(_ADDRESSES, host)
    return Layers({**arguments, **server_options}, _file(config), _LOOPBACK)


def _file(config: Path | None) -> ConfigFile | None:
    if config is None:
        return find_config_file(Path.cwd())
    if not config.is_file():
        raise PyTritonValidationError(f"--config: there is no file {config}.")
    return read_config_file(config)


def _is_given(value: Any) -> bool:
    return value is not None and value != []


def _annotation(option: Option) -> Any:
    flag = "--" + option.name.replace("_", "-")
    declared = f"{flag}/--no-{flag[2:]}" if option.kind is bool else flag
    kind: Any = list[str] if option.repeated else option.kind
    info = typer.Option(
        declared, help=_help_of(option), show_default=False, rich_help_panel=_panel_of(option.name)
    )
    return Annotated[kind | None, info]


def _help_of(option: Option) -> str:
    if option.name not in _ADDRESSES:
        return option.help
    # The command has a default of its own.
    return f"{option.help.partition(' (')[0]} ({TRITON_LOCAL_IP})."


def _panel_of(name: str) -> str:
    return next((panel for start, panel in _PANELS if name.startswith(start)), _OTHER_PANEL)
