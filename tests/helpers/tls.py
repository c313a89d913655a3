# SPDX-License-Identifier: Apache-2.0
"""TLS for tests: certificates made by openssl, and a proxy that speaks TLS for a server that does not."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.helpers.server import LOCAL, TIMEOUT_S

__all__ = ["make_certificates", "tls_in_front_of"]

_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make_certificates(folder: Path) -> Path:
    """A certificate authority, and certificates of a server and of a client that it has signed."""
    _openssl(
        *("req", "-x509", *_KEY, "-keyout", folder / "ca.key", "-out", folder / "ca.crt", "-days", "2"),
        *("-subj", "/CN=ca"),
    )
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "client"):
        _openssl(
            *("req", "-new", *_KEY, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr"),
            *("-subj", f"/CN={name}"),
        )
        _openssl(
            *("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.crt", "-days", "2"),
            *("-CAkey", folder / "ca.key", "-CAcreateserial", "-extfile", folder / "names"),
            *("-out", folder / f"{name}.crt"),
        )
    return folder


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=TIMEOUT_S)


@contextlib.contextmanager
def tls_in_front_of(port: int, certificates: Path) -> Iterator[int]:
    """The port of a proxy that takes TLS and passes on what comes, in both directions, in plain."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    threads: list[threading.Thread] = []
    with socket.create_server((LOCAL, 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    taken, _ = listener.accept()
                except OSError:  # the listener is closed
                    return
                thread = threading.Thread(target=_connect, args=(taken, context, port))
                threads.append(thread)
                thread.start()

        server = threading.Thread(target=serve)
        server.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            server.join(TIMEOUT_S)
            for thread in threads:
                thread.join(TIMEOUT_S)


def _connect(taken: socket.socket, context: ssl.SSLContext, port: int) -> None:
    # One request at a time goes over a connection, so both directions can take turns.
    with taken, contextlib.suppress(OSError), context.wrap_socket(taken, server_side=True) as outside:
        outside.settimeout(0.02)
        with socket.create_connection((LOCAL, port)) as inside:
            inside.settimeout(0.02)
            while all(_pass_on(*ends) for ends in ((outside, inside), (inside, outside))):
                pass


def _pass_on(source: socket.socket, target: socket.socket) -> bool:
    try:
        data = source.recv(1 << 16)
    except TimeoutError:
        return True
    if data:
        target.sendall(data)
    return bool(data)
