# SPDX-License-Identifier: Apache-2.0
"""`pytriton top`: a live view of what runs."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from pytriton.cli.exits import BAD_INPUT, Failure
from pytriton.cli.output import UNLIMITED, console, note, print_json
from pytriton.cli.remote import HeaderOption, TimeoutOption, TokenOption, UrlOption, remote
from pytriton.cli.watched import Watched
from pytriton.client.exceptions import PyTritonClientTimeoutError
from pytriton.monitor.sample import Change, Sample, changes
from pytriton.monitor.server import RestrictedError
from pytriton.monitor.view import view

__all__ = ["add_to", "top"]

_Look: TypeAlias = tuple[Sample, list[Change]]
_Away: TypeAlias = PyTritonClientTimeoutError | RestrictedError
"""What a server that is just served anew may fail with; its new token is known a moment later."""


def top(
    url: UrlOption = None,
    metrics_url: Annotated[
        str | None,
        typer.Option(
            "--metrics-url",
            envvar="PYTRITON_METRICS_URL",
            show_default=False,
            help="Address of the metrics; http://host:8002/metrics by default.",
        ),
    ] = None,
    interval: Annotated[
        float, typer.Option("--interval", "-n", help="Seconds between refreshes.", min=0.1)
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one view and exit.")] = False,
    count: Annotated[
        int | None, typer.Option("--count", help="Exit after this many views.", min=1, show_default=False)
    ] = None,
    token: TokenOption = None,
    header: HeaderOption = None,
    timeout: TimeoutOption = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON per view.")] = False,
) -> None:
    """Show a live view of a server: requests, batches, times, workers, memory, errors."""
    if metrics_url is not None and not metrics_url.startswith(("http://", "https://")):
        raise Failure(f"--metrics-url: expected http:// or https://, got {metrics_url!r}.", BAD_INPUT)
    where = remote(url, token, header)
    with contextlib.closing(Watched(where, token, header, metrics_url, timeout)) as watched:
        about = watched.metadata()
        title = f"{about.get('name', '')} {about.get('version', '')} at {where.url}".strip()
        looks = _looks(watched, interval, 1 if once else count)
        out = console(wide=True)
        with contextlib.suppress(KeyboardInterrupt):
            if as_json:
                for sample, found in _answered(looks):
                    print_json(_document(sample, found), indent=None)
            elif once or not out.is_terminal:
                for sample, found in _answered(looks):
                    width = None if out.width == UNLIMITED else out.width
                    out.print(view(title, sample, found, interval, width, lasting=not once))
            else:
                _watch(looks, title, interval)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("top")(top)


def _watch(looks: Iterator[_Look | _Away], title: str, interval: float) -> None:
    out = console()
    with Live(console=out, screen=True, auto_refresh=False) as live:
        live.update(f"{title}\nLooking for {interval:g} s ...", refresh=True)
        away_since = None
        for look in looks:
            if not isinstance(look, _Away):
                away_since = None
                live.update(view(title, *look, interval, out.width), refresh=True)
                continue
            away_since = away_since or datetime.datetime.now().astimezone()
            live.update(
                Group(
                    Text(title, "bold"),
                    Text(f"No answer since {away_since:%H:%M:%S}: {look}", "red"),
                    Text(f"Asked again every {interval:g} s, Ctrl-C ends it.", "dim"),
                ),
                refresh=True,
            )


def _answered(looks: Iterator[_Look | _Away]) -> Iterator[_Look]:
    """Looks without failed ones; of those in a row the first is told."""
    is_away = False
    for look in looks:
        if not isinstance(look, _Away):
            is_away = False
            yield look
        elif not is_away:
            is_away = True
            note(str(look))


def _looks(watched: Watched, interval: float, count: int | None) -> Iterator[_Look | _Away]:
    before = watched.take()
    due = time.monotonic()
    done = 0
    while count is None or done < count:
        due = max(due + interval, time.monotonic())
        time.sleep(max(due - time.monotonic(), 0.0))
        try:
            after = watched.take()
        except (PyTritonClientTimeoutError, RestrictedError) as error:
            # It may be restarted; only one that was never there is an error.
            if count is not None:
                raise
            yield error
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
