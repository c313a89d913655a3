# SPDX-License-Identifier: Apache-2.0
"""`pytriton check` and its parts: what is here, an example that runs, and a verdict."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from pytriton.check.environment import describe_environment
from pytriton.check.example import check_in_process, check_script
from pytriton.check.finding import Finding, Status
from pytriton.check.requirements import check_requirements
from pytriton.check.utils import DEFAULT_LOG_FORMAT

__all__ = ["add_to", "check"]

_CANNOT_SERVE: Final = 1
_USAGE_ERROR: Final = 2
_STYLES: Final = {
    Status.OK: "green",
    Status.SKIPPED: "dim",
    Status.WARNING: "yellow",
    Status.FAILED: "bold red",
}

WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", help="New directory for the report, the log and the server's files."),
]
ZipOption = Annotated[bool, typer.Option("--zip/--no-zip", help="Also zip the report and the log.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@dataclass
class _Report:
    """What is printed and kept."""

    name: str
    workspace: Path | None
    environment: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def can_serve(self) -> bool:
        return not any(finding.status is Status.FAILED for finding in self.findings)

    @property
    def verdict(self) -> str:
        failed = [finding.name for finding in self.findings if finding.status is Status.FAILED]
        warned = [finding.name for finding in self.findings if finding.status is Status.WARNING]
        if failed:
            return f"This machine cannot serve: {', '.join(failed)}."
        return "This machine can serve" + (f"; mind the warnings: {', '.join(warned)}." if warned else ".")

    def as_dict(self) -> dict[str, Any]:
        document: dict[str, Any] = {"command": self.name}
        if self.environment:
            document["environment"] = self.environment
        if self.findings:
            document |= {
                "findings": [finding.as_dict() for finding in self.findings],
                "verdict": self.verdict,
                "can_serve": self.can_serve,
            }
        return document


def check(
    workspace: WorkspaceOption = None, zip_results: ZipOption = False, as_json: JsonOption = False
) -> None:
    """Report on this machine and run an example. Exit code 0 if it works, 1 if not."""
    with _reporting("check", workspace, zip_results, as_json) as (report, show):
        _describe(report, show)
        show.findings(check_requirements())
        if report.can_serve:
            show.findings(check_in_process(_within(workspace, "example")))
            show.findings(check_script(_within(workspace, "script")))


def env(
    workspace: WorkspaceOption = None, zip_results: ZipOption = False, as_json: JsonOption = False
) -> None:
    """Report whether this machine has what serving needs, without starting anything."""
    with _reporting("env", workspace, zip_results, as_json) as (report, show):
        _describe(report, show)
        show.findings(check_requirements())


def examples(
    workspace: WorkspaceOption = None, zip_results: ZipOption = False, as_json: JsonOption = False
) -> None:
    """Run the example in this process and as a script."""
    with _reporting("examples", workspace, zip_results, as_json) as (_, show):
        show.findings(check_in_process(_within(workspace, "example")))
        show.findings(check_script(_within(workspace, "script")))


def example_add_sub(
    workspace: WorkspaceOption = None, zip_results: ZipOption = False, as_json: JsonOption = False
) -> None:
    """Run the example in this process."""
    with _reporting("example-add-sub", workspace, zip_results, as_json) as (_, show):
        show.findings(check_in_process(_within(workspace, "example")))


def example_add_sub_script(
    workspace: WorkspaceOption = None, zip_results: ZipOption = False, as_json: JsonOption = False
) -> None:
    """Run the example as a script."""
    with _reporting("example-add-sub-script", workspace, zip_results, as_json) as (_, show):
        show.findings(check_script(_within(workspace, "script")))


_COMMANDS: Final[tuple[Callable[..., None], ...]] = (
    check,
    env,
    examples,
    example_add_sub,
    example_add_sub_script,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in _COMMANDS:
        app.command(command.__name__.replace("_", "-"))(command)


class _Show:
    """Prints findings as they come, unless the report is printed as JSON in the end."""

    def __init__(self, report: _Report, *, quiet: bool) -> None:
        self._report = report
        self._quiet = quiet
        self._console = Console(highlight=False, soft_wrap=True)

    def findings(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._report.findings.append(finding)
            status = finding.status
            self.line(
                Text.assemble(
                    (f"{status.value:>8}  ", _STYLES[status]), (f"{finding.name}: ", "bold"), finding.text
                )
            )

    def section(self, name: str, value: Any) -> None:
        if isinstance(value, dict):
            text = ", ".join(f"{key}={item}" for key, item in value.items())
        else:
            text = "none" if value in (None, []) else str(value)
        self.line(Text.assemble((f"{name}: ", "bold"), text))

    def line(self, text: Text | str) -> None:
        if not self._quiet:
            self._console.print(text)


def _describe(report: _Report, show: _Show) -> None:
    report.environment = describe_environment()
    for name, value in report.environment.items():
        if name == "packages":
            show.section(name, ", ".join(f"{package}=={version}" for package, version in value.items()))
        else:
            show.section(name, value)


@contextlib.contextmanager
def _reporting(
    name: str, workspace: Path | None, zip_results: bool, as_json: bool
) -> Iterator[tuple[_Report, _Show]]:
    report = _Report(name, workspace)
    show = _Show(report, quiet=as_json)
    if workspace is not None:
        try:
            workspace.mkdir(parents=True)
        except OSError as error:
            typer.echo(f"--workspace {workspace} must be a directory that can be made: {error}", err=True)
            raise typer.Exit(_CANNOT_SERVE) from None
    with _logging_to(workspace, name):
        yield report, show
    text = json.dumps(report.as_dict(), indent=2, ensure_ascii=False)
    if as_json:
        sys.stdout.write(text + "\n")
    elif report.findings:
        show.line(Text(report.verdict, "bold"))
    _keep(report, text, zip_results, show)
    if not report.can_serve:
        raise typer.Exit(_CANNOT_SERVE)


@contextlib.contextmanager
def _logging_to(workspace: Path | None, name: str) -> Iterator[None]:
    if workspace is None:
        yield
        return
    handler = logging.FileHandler(workspace / f"{name}_log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter(DEFAULT_LOG_FORMAT))
    logger = logging.getLogger("pytriton")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


def _keep(report: _Report, text: str, zip_results: bool, show: _Show) -> None:
    workspace = report.workspace
    if workspace is not None:
        (workspace / f"{report.name}.json").write_text(text + "\n", encoding="utf-8")
    if not zip_results:
        return
    archive = (
        Path(f"{report.name}.zip") if workspace is None else workspace.with_name(f"{workspace.name}.zip")
    )
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"{report.name}.json", text)
        for path in () if workspace is None else sorted(workspace.glob("*_log.txt")):
            packed.write(path, path.name)
    show.line(f"The report is in {archive.absolute()}.")


def _within(workspace: Path | None, name: str) -> Path | None:
    return None if workspace is None else workspace / name
