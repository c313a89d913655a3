# SPDX-License-Identifier: Apache-2.0
"""Build the wheel into dist/ and give it the manylinux tag that its own files justify."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from elf import is_elf, read_elf

__all__ = ["build", "main", "platform_tag"]

# The bundled server was built for this one, and pytriton's own library must not need a newer one.
BASELINE = (2, 35)


def platform_tag(wheel: Path) -> str:
    """Return the oldest manylinux platform that has every C library symbol that the wheel refers to."""
    with zipfile.ZipFile(wheel) as archive:
        contents = (archive.read(name) for name in archive.namelist())
        newest = max(read_elf(content).glibc for content in contents if is_elf(content))
    major, minor = max(BASELINE, newest)
    return f"manylinux_{major}_{minor}_{platform.machine()}"


def build(source: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        pip_wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", scratch, str(source)]
        subprocess.run(pip_wheel, check=True)
        (built,) = Path(scratch).glob("*.whl")
        tag = ["--platform-tag", platform_tag(built)]
        subprocess.run(
            [sys.executable, "-m", "wheel", "tags", "--remove", *tag, str(built)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (tagged,) = Path(scratch).glob("*.whl")
        return Path(shutil.move(tagged, folder / tagged.name))


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    wheel = build(root, root / "dist")
    print(f"{wheel.relative_to(root)} ({wheel.stat().st_size / 1e6:.1f} MB)")
    if "manylinux_{}_{}_".format(*BASELINE) not in wheel.name:
        print("This machine's C library is newer than the wheel should need: build releases on an older one.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
