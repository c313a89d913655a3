# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="import-not-found, import-untyped"
"""The measured FastAPI server, on one uvicorn process."""

from __future__ import annotations

import sys
from typing import Annotated, Any

from events import emit, open_events


def main() -> None:
    """Serve until SIGTERM."""
    open_events()
    emit("started")
    import numpy as np
    import uvicorn
    from fastapi import Body, FastAPI

    emit("imported")

    async def health() -> dict[str, str]:
        return {"status": "ok"}

    # A coroutine: FastAPI would hand a plain function to a thread pool, which is slower.
    async def infer(INPUT_1: Any) -> dict[str, list[list[float]]]:
        batch = np.asarray(INPUT_1, dtype=np.float32)
        return {"OUTPUT_1": batch.tolist()}

    # Annotations are strings in this file, and FastAPI could not look up what is local here.
    field = Annotated[list[list[float]], Body(embed=True)]
    infer.__annotations__ = {"INPUT_1": field, "return": dict[str, list[list[float]]]}
    app = FastAPI()
    app.get("/health")(health)
    app.post("/infer")(infer)
    emit("constructing")
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
