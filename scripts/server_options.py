# SPDX-License-Identifier: Apache-2.0
"""Write docs/reference/server-options.md, the reference of TritonConfig, from its one table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pytriton.server.config import ENVIRONMENT_PREFIX, Option, options

__all__ = ["PAGE", "main", "reference"]

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "server-options.md"
_HEAD: Final = f"""\
# Options of the server

<!-- Written by `python scripts/server_options.py` from the fields of TritonConfig; edit those. -->

Every option of the Triton server that is useful here is a field of `pytriton.triton.TritonConfig`:

```python
Triton(config=TritonConfig(http_port=9000, cache_config=["local,size=1048576"]))
```

All fields are optional keyword arguments. If a field is not given, the server's default applies; it is shown
below in parentheses.

You can also set a field in the environment. Its variable has the prefix `{ENVIRONMENT_PREFIX}` and
the name of the field in capitals, as in `{ENVIRONMENT_PREFIX}HTTP_PORT=9000`. Give a list as one variable
with a single entry, or as one variable per entry, with `_0`, `_1` and so on at the end. A field in code
overrides the environment.

As text, the type `bool` accepts `true`, `1`, `yes`, `on` and their opposites.

| Field | Type | Flag of the server | Meaning |
| --- | --- | --- | --- |
"""


def reference() -> str:
    """The page."""
    return _HEAD + "".join(_rows(options()))


def _rows(table: Iterable[Option]) -> Iterable[str]:
    for option in table:
        kind = "list of str" if option.repeated else option.kind.__name__
        meaning = option.help.replace("|", "\\|").replace("<", "&lt;")
        yield f"| `{option.name}` | {kind} | `{option.flag}` | {meaning} |\n"


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
