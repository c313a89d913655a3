# SPDX-License-Identifier: Apache-2.0
"""The application: models made of typed functions and classes, and the server that serves them."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, TypedDict

from pytriton.app.router import Router

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pytriton.server.config import TritonConfig
    from pytriton.server.lifecycle import TritonLifecyclePolicy
    from pytriton.server.security import TritonSecurityConfig
    from pytriton.server.workspace import Workspace
    from pytriton.triton import Triton

__all__ = ["App", "ServerOptions"]

LOGGER = logging.getLogger(__name__)


class ServerOptions(TypedDict, total=False):
    """What `Triton` takes."""

    config: TritonConfig | None
    workspace: Workspace | str | os.PathLike[str] | None
    triton_lifecycle_policy: TritonLifecyclePolicy | None
    security_config: TritonSecurityConfig | None
    server: str | os.PathLike[str] | None


class App(Router):
    """Models made of typed functions and classes.

    For example:

    app = App()

    @app.model
    def double(x: Annotated[F32, "batch", "n"]) -> Annotated[F32, "batch", "n"]:
        return 2 * x

    app.serve()
    """

    def __init__(self) -> None:
        """Make an empty one."""
        super().__init__()

    def triton(self, **options: Unpack[ServerOptions]) -> Triton:
        """A Triton with all models bound; nothing is started yet.

        Args:
            options: What `Triton` takes: config, workspace, triton_lifecycle_policy, security_config, server.
        """
        from pytriton.triton import Triton

        triton = Triton(**options)
        self.bind_to(triton)
        return triton

    def serve(self, **options: Unpack[ServerOptions]) -> None:
        """Serve until Ctrl-C or SIGTERM; raise if the server or a model fails.

        It says where on standard error, or in the log of a program that has one; the command line's `models`,
        `infer`, `bench` and `top` find the server and its token.

        Args:
            options: What `Triton` takes: config, workspace, triton_lifecycle_policy, security_config, server.
        """
        from pytriton.launch.announcement import announced, urls
        from pytriton.serving.importing import refuse_while_importing
        from pytriton.serving.interruption import interrupted_by_signals

        refuse_while_importing()
        triton = self.triton(**options)
        with interrupted_by_signals():
            try:
                triton.run()
                where = urls(triton.endpoints)
                names = ", ".join(model.model_name for model in triton.models)
                with announced(where, triton.get_access_token()):
                    _say(f"Serves {names or 'nothing'} at {', '.join(where.values())}")
                    triton.serve()
            except KeyboardInterrupt:  # before it served
                pass
            finally:
                triton.stop()


def _say(text: str) -> None:
    if logging.getLogger().hasHandlers():
        LOGGER.info("%s", text)
    else:
        print(f"{text}; Ctrl-C ends it.", file=sys.stderr, flush=True)
