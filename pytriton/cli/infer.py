# SPDX-License-Identifier: Apache-2.0
"""`pytriton infer`: ask a model once."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from pytriton import dtypes
from pytriton.asking import inputs as reading
from pytriton.asking import results
from pytriton.cli.exits import BAD_INPUT, Failure, model_may_be_late
from pytriton.cli.output import console, note, print_json
from pytriton.cli.remote import HeaderOption, Remote, TimeoutOption, TokenOption, UrlOption, remote
from pytriton.client import DecoupledModelClient, ModelClient
from pytriton.client.options import InferOptions
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.monitor.server import Server

__all__ = ["add_to", "infer"]

_EXAMPLES: Final = "A value is JSON where it can be read as that, else text:\n\n\b\n" + "\n".join(
    f"{given:<28} {meaning}".replace("[", r"\[")
    for given, meaning in (
        ("x=3  x=1.5  x=true", "one value; an input of strings takes it as text"),
        ("x='[1, 2]'  x='[[1, 2]]'", "several; one dimension more is a batch"),
        ("s=hello  s='two words'", "text, for inputs of strings"),
        ("""s='["a", "b"]'""", "several texts"),
        ("-p times=2  -p loud=true", "parameters that are numbers, true or false"),
        ("""-p mode=fast  -p 'mode="2"'""", "text; quoted if it looks like those"),
    )
)


def infer(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE",
            help="Inputs. A value is JSON, text (for an input of strings), @file (.npy, .npz, .json, an "
            "image or text), or - for standard input. The name may be omitted if the model has one "
            "input, and the brackets around a single value.",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--input", "-i", help="File with inputs by name: .npz, .json, or - for standard input."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Save the results: .npz, .npy or .json.")
    ] = None,
    batch: Annotated[
        bool | None,
        typer.Option(
            "--batch/--sample",
            show_default=False,
            help="Whether inputs have the batch dimension; by default, if they have one dimension more.",
        ),
    ] = None,
    version: Annotated[str | None, typer.Option("--version", help="Version of the model.")] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            "-p",
            help="Request parameter: name=value. The value is a number, true, false or text.",
        ),
    ] = None,
    wanted: Annotated[
        list[str] | None, typer.Option("--only", help="Output to return; all by default.")
    ] = None,
    white: Annotated[
        float, typer.Option("--white", help="Value of white when an image becomes a floating-point input.")
    ] = 1.0,
    url: UrlOption = None,
    token: TokenOption = None,
    header: HeaderOption = None,
    timeout: TimeoutOption = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Send one request to a model, and print or save the results."""
    if output is not None:
        results.check_path(output)
    where = remote(url, token, header)
    options = InferOptions(outputs=wanted or None)
    with Server(where.url, token=where.token, headers=where.headers, timeout_s=timeout) as server:
        server.metadata()  # fails at once where there is no server
    with _client(ModelClient, where, model, version, timeout) as client:
        with model_may_be_late():
            config = client.model_config
        arrays = reading.inputs_of(inputs or (), file, config, sys.stdin.buffer.read, white)
        as_batch = reading.is_batch(arrays, config) if batch is None else batch
        call = {"parameters": reading.parameters_of(parameter or ()) or None, "options": options}
        started = time.perf_counter()
        if config.decoupled:
            responses = _stream(where, config, version, timeout, as_batch, {**call, **arrays})
        else:
            ask = client.infer_batch if as_batch else client.infer_sample
            responses = iter((ask(**call, **arrays),))
        _show(model, responses, started, output, as_json)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("infer", epilog=_EXAMPLES)(infer)


def _client(kind: Any, where: Remote, model: str, version: str | None, timeout: float) -> Any:
    return kind(
        where.url,
        model,
        version,
        init_timeout_s=timeout,
        inference_timeout_s=timeout,
        access_token=where.token,
        headers=where.headers,
    )


def _stream(
    where: Remote,
    config: TritonModelConfig,
    version: str | None,
    timeout: float,
    as_batch: bool,
    call: Mapping[str, Any],
) -> Iterator[Mapping[str, Any]]:
    if where.grpc_url is None:
        raise Failure(
            f'model "{config.model_name}" streams its responses, which takes gRPC: give --url grpc://host:port.',
            BAD_INPUT,
        )
    streaming = Remote(where.grpc_url, where.token, where.headers, where.metrics_url)
    with _client(DecoupledModelClient, streaming, config.model_name, version, timeout) as client:
        ask = client.infer_batch if as_batch else client.infer_sample
        with contextlib.closing(ask(**call)) as responses:
            yield from responses


def _show(
    model: str,
    responses: Iterator[Mapping[str, Any]],
    started: float,
    output: Path | None,
    as_json: bool,
) -> None:
    kept: list[Mapping[str, Any]] = []
    for outputs in responses:
        kept.append(outputs)
        if not as_json and output is None:
            _print(outputs)
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {"model": model, "seconds": seconds, "responses": [results.as_document(each) for each in kept]}
        )
    elif not kept:
        note("The stream ended without a response.")
    if output is not None:
        results.save(kept, output)
        note(f"Saved {_summary(kept)} to {output}.")


def _print(outputs: Mapping[str, Any]) -> None:
    out = console()
    for name, array in outputs.items():
        shape = ", ".join(map(str, array.shape))
        head = Text.assemble((name, "bold"), (f"  {dtypes.resolve(array.dtype).name}[{shape}]", "dim"))
        out.print(head)
        out.print(Text(results.as_text(array, max(out.width, 20))), soft_wrap=True)


def _summary(kept: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(kept[0]) if kept else "nothing"
    return names if len(kept) == 1 else f"{len(kept)} responses"
