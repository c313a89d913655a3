# SPDX-License-Identifier: Apache-2.0
"""`pytriton serve`: serve what a module names."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pytriton import logs
from pytriton.cli.exits import BAD_INPUT, Failure
from pytriton.cli.help import ListedOptions
from pytriton.cli.output import console, note, print_json
from pytriton.cli.table import CONFIG_VARIABLE, layers_of, with_server_options
from pytriton.configuration.layers import Layers, in_force
from pytriton.launch import standby
from pytriton.launch.announcement import announced, urls
from pytriton.launch.panel import describe, panel
from pytriton.launch.refresh import Refresher, on_hangup
from pytriton.launch.reload import Reloader
from pytriton.launch.target import load_triton
from pytriton.launch.workers import use_processes
from pytriton.serving.interruption import interrupted_by_signals
from pytriton.triton import Triton, TritonBase

__all__ = ["add_to", "serve"]

_LEVELS: Final = ("debug", "info", "warning", "error")
_HELD_RECORDS: Final = 1000


def serve(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="MODULE:ATTRIBUTE",
            help="An App, a Triton with models bound, or a function that returns one, in a module or a "
            "file.py. ATTRIBUTE is app or triton by default. Without the argument, the configuration "
            "says what to serve.",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", help="Address of all endpoints (127.0.0.1)."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            envvar=CONFIG_VARIABLE,
            help="Configuration file (TOML or YAML) instead of pytriton.yaml or pyproject.toml.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", help="Worker processes per model; by default, threads of this process.", min=1
        ),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option("--log-level", help="Log level: debug, info, warning or error (warning)."),
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Reload when files change; for development.")
    ] = False,
    reload_dir: Annotated[
        list[Path] | None,
        typer.Option("--reload-dir", help="Directory to watch instead of the current one."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print addresses and models as one line of JSON.")
    ] = False,
    *,
    server_options: Mapping[str, Any],
) -> None:
    """Serve the models of an App or a Triton until Ctrl-C."""
    layers = layers_of(server_options, host, config, app=target, workers=workers, log_level=log_level)
    layers.config()  # refuses what does not fit together
    if reload and standby.watched is None:
        raise typer.Exit(_serve_and_reload(layers, reload_dir or [Path.cwd()]))
    _log(layers.value("log_level") or "warning")
    with in_force(layers), interrupted_by_signals():
        triton = load_triton(target_of(layers), Path.cwd())
        if (processes := layers.value("workers")) is not None:
            use_processes(triton, target_of(layers), Path.cwd(), processes)
        if standby.watched is not None:
            standby.watched.wait_for_ports()
        if not triton.models:
            note(f"{target_of(layers)} has no models bound; it serves none until some are.")
        try:
            with _server_log_held_back():
                triton.run() if isinstance(triton, Triton) else triton.connect()
            read = functools.partial(layers_of, server_options, host, config, app=target, log_level=log_level)
            with (
                contextlib.suppress(KeyboardInterrupt),
                _announced(triton),
                _refreshing(triton, layers, read),
            ):
                _show(triton, layers, as_json)
                triton.serve()
        finally:
            triton.stop()


def target_of(layers: Layers) -> str:
    """What is to be served."""
    target: str | None = layers.value("app")
    if target is None:
        raise Failure(
            "Nothing to serve: give module:attribute, such as `pytriton serve service:app`, or set app in "
            "[tool.pytriton] of pyproject.toml.",
            BAD_INPUT,
        )
    return target


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", cls=ListedOptions)(with_server_options(serve))


def _serve_and_reload(layers: Layers, directories: list[Path]) -> int:
    target_of(layers)
    if missing := [str(directory) for directory in directories if not directory.is_dir()]:
        raise Failure(f"--reload-dir: there is no directory {', '.join(missing)}.", BAD_INPUT)
    return Reloader(sys.argv[1:], directories, note).run()


def _announced(triton: TritonBase) -> contextlib.AbstractContextManager[None]:
    return announced(urls(triton.endpoints), _token(triton))


def _refreshing(
    triton: TritonBase, layers: Layers, read: Callable[[], Layers]
) -> contextlib.AbstractContextManager[None]:
    if not isinstance(triton, Triton) or standby.watched is not None:
        return contextlib.nullcontext()
    return on_hangup(Refresher(triton, layers, read).refresh)


def _token(triton: TritonBase) -> str | None:
    return triton.get_access_token() if isinstance(triton, Triton) else None


def _show(triton: TritonBase, layers: Layers, as_json: bool) -> None:
    if standby.watched is not None and (seconds := standby.watched.say_ready()) is not None and not as_json:
        names = ", ".join(model.model_name for model in triton.models)
        console().print(f"Serves {names or 'nothing'} again after {seconds:.2f} s.")
        return
    token = _token(triton)
    if as_json:
        print_json(describe(triton.endpoints, triton.models, token), indent=None)
        return
    notes = [] if layers.file is None else [f"Configuration from {layers.file.path}."]
    console().print(panel(triton.endpoints, triton.models, token, notes))


@contextlib.contextmanager
def _server_log_held_back() -> Iterator[None]:
    """Let the server's log wait until the server runs: why it does not is told in one sentence instead."""
    logger, root = logging.getLogger("pytriton.server"), logging.getLogger()
    if logger.isEnabledFor(logging.INFO):
        yield
        return
    held = MemoryHandler(_HELD_RECORDS, flushLevel=logging.CRITICAL + 1, flushOnClose=False)
    logger.addHandler(held)
    logger.propagate = False
    try:
        yield
        held.setTarget(root.handlers[0])
        held.flush()
    finally:
        logger.propagate = True
        logger.removeHandler(held)


def _log(level: str) -> None:
    if level.lower() not in _LEVELS:
        raise Failure(f"--log-level: expected {', '.join(_LEVELS)}, got {level!r}.", BAD_INPUT)
    as_json = os.environ.get(logs.FORMAT_VARIABLE, "").lower() == "json"
    logs.configure(json=as_json, level=level.upper())
