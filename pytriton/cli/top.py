# SPDX-License-Identifier: Apache-2.0
"""`pytriton top`: a live view of what runs."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.live import Live

from pytriton.cli.output import UNLIMITED, console, errors, print_json
from pytriton.cli.remote import HeaderOption, TimeoutOption, TokenOption, UrlOption, remote
from pytriton.client.exceptions import PyTritonClientTimeoutError
from pytriton.monitor.sample import Change, Sample, Sampler, changes
from pytriton.monitor.server import Server
from pytriton.monitor.view import view

__all__ = ["add_to", "top"]


def top(
    url: UrlOption = None,
    metrics_url: Annotated[
        str | None,
        typer.Option(
            "--metrics-url",
            envvar="PYTRITON_METRICS_URL",
            show_default=False,
            help="Where its metrics are; http://host:8002/metrics by default.",
        ),
    ] = None,
    interval: Annotated[
        float, typer.Option("--interval", "-n", help="Seconds between looks.", min=0.1)
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one view and end.")] = False,
    count: Annotated[
        int | None, typer.Option("--count", help="End after so many views.", min=1, show_default=False)
    ] = None,
    token: TokenOption = None,
    header: HeaderOption = None,
    timeout: TimeoutOption = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each view.")] = False,
) -> None:
    """Watch a server: requests, batches, times, workers, memory, errors."""
    where = remote(url, token, header)
    with Server(where.url, token=where.token, headers=where.headers, timeout_s=timeout) as server:
        about = server.metadata()
        sampler = Sampler(server, metrics_url or where.metrics_url, timeout)
        title = f"{about.get('name', '')} {about.get('version', '')} at {where.url}".strip()
        looks = _looks(sampler, interval, 1 if once else count)
        out = console(wide=True)
        with contextlib.suppress(KeyboardInterrupt):
            if as_json:
                for sample, found in looks:
                    print_json(_document(sample, found), indent=None)
            elif once or not out.is_terminal:
                for sample, found in looks:
                    width = None if out.width == UNLIMITED else out.width
                    out.print(view(title, sample, found, interval, width))
            else:
                _watch(looks, title, interval)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("top")(top)


def _watch(looks: Iterator[tuple[Sample, list[Change]]], title: str, interval: float) -> None:
    out = console()
    with Live(console=out, screen=True, auto_refresh=False) as live:
        live.update(f"{title}\nLooking for {interval:g} s ...", refresh=True)
        for sample, found in looks:
            live.update(view(title, sample, found, interval, out.width), refresh=True)


def _looks(sampler: Sampler, interval: float, count: int | None) -> Iterator[tuple[Sample, list[Change]]]:
    before = sampler.take()
    due = time.monotonic()
    done = 0
    while count is None or done < count:
        due = max(due + interval, time.monotonic())
        time.sleep(max(due - time.monotonic(), 0.0))
        try:
            after = sampler.take()
        except PyTritonClientTimeoutError as error:
            # It may be restarted; only one that was never there is an error.
            if count is not None:
                raise
            errors().print(str(error), soft_wrap=True)
            continue
        yield after, changes(before, after)
        before = after
        done += 1


def _document(sample: Sample, found: list[Change]) -> dict[str, Any]:
    metrics = sample.metrics
    return {
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "models": [change.as_dict() for change in found],
        "memory_used_bytes": None if metrics is None else metrics.total("nv_cpu_memory_used_bytes"),
        "memory_total_bytes": None if metrics is None else metrics.total("nv_cpu_memory_total_bytes"),
        "cpu_utilization": None if metrics is None else metrics.total("nv_cpu_utilization"),
        "gpu_utilization": {} if metrics is None else metrics.values("nv_gpu_utilization", "gpu_uuid"),
        "gpu_memory_used_bytes": (
            {} if metrics is None else metrics.values("nv_gpu_memory_used_bytes", "gpu_uuid")
        ),
        "notes": list(sample.notes),
    }
