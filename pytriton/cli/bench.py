# SPDX-License-Identifier: Apache-2.0
"""`pytriton bench`: load on a model."""

from __future__ import annotations

import contextlib
import datetime
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from pytriton.asking import inputs as reading
from pytriton.bench import levels, payload
from pytriton.bench.early import AllFailedError
from pytriton.bench.fleet import default_processes
from pytriton.bench.picture import check_can_draw, save_png
from pytriton.bench.plan import Plan
from pytriton.bench.report import html_report
from pytriton.bench.run import Benchmark, Level, Step
from pytriton.cli.columns import Column, print_table
from pytriton.cli.exits import BAD_INPUT, FAILED, INTERRUPTED, Failure, model_may_be_late
from pytriton.cli.output import console, errors, note, print_json
from pytriton.cli.remote import HeaderOption, Remote, TimeoutOption, TokenOption, UrlOption, remote
from pytriton.client._core.session import Session
from pytriton.monitor.number import number
from pytriton.monitor.server import Server

__all__ = ["add_to", "bench"]

_COLUMNS: Final = ("p50", "p90", "p99", "p99.9")
_SPARE: Final = ("most", "p90", "batch", "p99.9", "rows/s", "queue ms", "compute ms", "mean ms")


def bench(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE",
            help="Inputs as for infer; random values by default.",
        ),
    ] = None,
    concurrency: Annotated[
        str | None,
        typer.Option(
            "--concurrency",
            "-c",
            show_default="1",
            help="Requests in flight (closed loop): 8, or 1,2,4, or 1-64 for every doubling.",
        ),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            "--rate",
            "-r",
            help="Requests per second, regardless of answers (open loop), instead of --concurrency; one or "
            "several values.",
        ),
    ] = None,
    duration: Annotated[
        float, typer.Option("--duration", "-d", help="Seconds to measure each load.", min=0.1)
    ] = 5.0,
    warmup: Annotated[
        float, typer.Option("--warmup", help="Seconds of load before the measurement.", min=0.0)
    ] = 1.0,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", help="Rows per request.", min=1)] = 1,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            "--shape",
            help="Shape of an input without the batch: image:224,224,3. Free sizes are 1.",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--input", "-i", help="File with inputs by name: .npz, .json, or - (stdin)."),
    ] = None,
    zeros: Annotated[
        bool, typer.Option("--zeros", help="Send zeros or empty strings instead of random values.")
    ] = False,
    as_text: Annotated[
        bool, typer.Option("--json-body", help="Over HTTP, send values as JSON instead of bytes.")
    ] = False,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="Request parameter: name=value.")
    ] = None,
    version: Annotated[str | None, typer.Option("--version", help="Version of the model.")] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", help="Processes that send requests; by default, half the cores.", min=1),
    ] = None,
    connections: Annotated[
        int, typer.Option("--connections", help="Most requests in flight in an open loop.", min=1)
    ] = 256,
    poisson: Annotated[
        bool,
        typer.Option("--poisson/--even", help="Intervals of an open loop: random or even."),
    ] = True,
    picture: Annotated[Path | None, typer.Option("--picture", help="Write a chart to this PNG file.")] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a report to this self-contained HTML file.")
    ] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    header: HeaderOption = None,
    timeout: TimeoutOption = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Measure rate, latency and errors of a model under load. Exit code 1 if any request fails."""
    _check_files(picture, report)
    where = remote(url, token, header)
    found = _levels(concurrency, rate, connections)
    with Server(where.url, token=where.token, headers=where.headers, timeout_s=timeout) as server:
        if server.url.scheme == "https":
            raise Failure(
                "A load over HTTP with TLS is not possible; measure with http, grpc or grpcs.", BAD_INPUT
            )
        about = server.metadata()
        with model_may_be_late():
            session = server.session(model, version)
        arrays, as_batch = _inputs(session, inputs or (), file, shape or (), batch_size, zeros)
        parameters = reading.parameters_of(parameter or ())
        binary = not as_text and "binary_tensor_data" in (about.get("extensions") or ())
        message = payload.message_for(session, arrays, parameters, as_batch=as_batch, binary=binary)
        rows = len(next(iter(arrays.values()))) if as_batch and arrays else 1
        plan = Plan(
            protocol=server.url.protocol,
            target=server.url.without_scheme,
            encrypted=server.url.is_encrypted,
            message=message,
            metadata=server.grpc_metadata,
            concurrency=1,
            rate=0.0,
            poisson=poisson,
            warmup_s=warmup,
            duration_s=duration,
            timeout_s=timeout,
        )
        benchmark = Benchmark(
            plan, found, lambda count: processes or default_processes(count), rows, server, model
        )
        steps, stopped = _run(benchmark)
    if stopped is not None and not steps:
        raise stopped
    facts = _facts(benchmark, where, about, len(message), poisson)
    _tell(benchmark, facts, steps, as_json)
    title = f"{model} at {where.url}"
    if steps and picture is not None:
        save_png(title, steps, picture)
        note(f"The picture is in {picture}.")
    if steps and report is not None:
        report.write_text(html_report(title, facts, steps, benchmark.notes), encoding="utf-8")
        note(f"The report is in {report}.")
    if stopped is not None:
        raise stopped
    if any(step.outcome.failures for step in steps):
        raise typer.Exit(FAILED)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench")(bench)


def _check_files(picture: Path | None, report: Path | None) -> None:
    for path, option in ((picture, "--picture"), (report, "--report")):
        if path is None:
            continue
        check_can_draw()
        if not path.absolute().parent.is_dir():
            raise Failure(f"{option}: there is no directory {path.absolute().parent}.", BAD_INPUT)


def _levels(concurrency: str | None, rate: str | None, connections: int) -> list[Level]:
    if rate is None:
        return [Level(count) for count in levels.counts(concurrency or "1", "--concurrency")]
    if concurrency is not None:
        raise Failure(
            "--concurrency and --rate exclude each other: give --concurrency for a closed loop, or --rate "
            "for an open one, whose requests in flight --connections limits.",
            BAD_INPUT,
        )
    return [Level(connections, value) for value in levels.rates(rate, "--rate")]


def _inputs(
    session: Session,
    given: Sequence[str],
    file: str | None,
    shape: Sequence[str],
    batch_size: int,
    zeros: bool,
) -> tuple[dict[str, Any], bool]:
    """Values by input, and whether they begin with the batch dimension."""
    config = session.config
    assert config is not None
    if given or file is not None:
        arrays = reading.inputs_of(given, file, config, sys.stdin.buffer.read)
        return arrays, reading.is_batch(arrays, config)
    shapes = payload.shapes_of(shape, config)
    return payload.made_up(config, shapes, batch_size, zeros=zeros), config.batching


def _run(benchmark: Benchmark) -> tuple[list[Step], Exception | None]:
    """What was measured, and what ended it early."""
    steps: list[Step] = []
    with _progress(benchmark) as progress:
        try:
            for step in benchmark.run(progress):
                steps.append(step)
        except KeyboardInterrupt:
            return steps, typer.Exit(INTERRUPTED)
        except AllFailedError as error:
            return steps, error
    return steps, None


@contextlib.contextmanager
def _progress(benchmark: Benchmark) -> Iterator[Any]:
    out = errors()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=benchmark.seconds_of_level * len(benchmark.levels))

        def progress(position: int, seconds: float) -> None:
            bar.update(
                task,
                description=str(benchmark.levels[position]),
                completed=position * benchmark.seconds_of_level + seconds,
            )

        yield progress


def _facts(
    benchmark: Benchmark, where: Remote, about: dict[str, Any], size: int, poisson: bool
) -> dict[str, str]:
    plan = benchmark.plan
    is_open = any(level.rate for level in benchmark.levels)
    arrivals = "at random" if poisson else "evenly"
    return {
        "model": benchmark.model,
        "server": f"{where.url}, {about.get('name', '')} {about.get('version', '')}".strip(),
        "load": f"open loop, requests come {arrivals}" if is_open else "closed loop",
        "request": f"{size:,} bytes, {benchmark.batch_size} row{'s' * (benchmark.batch_size > 1)}",
        "time": f"{plan.duration_s:g} s each, after {plan.warmup_s:g} s of warm-up",
        "at": datetime.datetime.now().astimezone().isoformat(" ", "seconds"),
    }


def _tell(benchmark: Benchmark, facts: dict[str, str], steps: Sequence[Step], as_json: bool) -> None:
    if as_json:
        print_json({**facts, "notes": benchmark.notes, "levels": [step.as_dict() for step in steps]})
        return
    out = console(wide=True)
    for name, value in facts.items():
        out.print(Text.assemble((f"{name:<8}", "dim"), value), soft_wrap=True)
    _print(out, steps)
    for step in steps:
        for message, count in step.outcome.errors.items():
            out.print(Text(f"{step.level}: {count} times: {message}", "red"), soft_wrap=True)
        for text in step.outcome.notes:
            note(f"{step.level}: {text}")
    for text in benchmark.notes:
        note(text)


def _print(out: Console, steps: Sequence[Step]) -> None:
    titles = ["answers/s"]
    if any(step.outcome.rows != step.outcome.rate for step in steps):
        titles.append("rows/s")
    titles += ["mean ms", *_COLUMNS, "most", "errors"]
    if any(step.server is not None for step in steps):
        titles += ["batch", "queue ms", "compute ms"]
    columns = [Column("load", is_number=False), *map(Column, titles)]
    print_table(out, columns, [_row(step) for step in steps], _SPARE)


def _row(step: Step) -> dict[str, Text | str]:
    outcome, totals = step.outcome, step.server
    row: dict[str, Text | str] = {
        "load": Text(str(step.level), "bold"),
        "answers/s": number(outcome.rate),
        "rows/s": number(outcome.rows),
        "mean ms": number(outcome.mean_ms),
        **{name: number(outcome.percentiles_ms.get(name)) for name in _COLUMNS},
        "most": number(outcome.most_ms),
        "errors": Text(str(outcome.failures), "red" if outcome.failures else ""),
    }
    if totals is not None:
        row["batch"] = number(totals.mean_batch)
        row["queue ms"] = number(totals.queue_ms)
        row["compute ms"] = number(totals.compute_ms)
    return row
