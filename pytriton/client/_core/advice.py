# SPDX-License-Identifier: Apache-2.0
"""What messages of the clients advise, in terms of Python; the command line says it in its own."""

from __future__ import annotations

from typing import Final

__all__ = [
    "CAST",
    "CAST_TO_BYTES",
    "CREDENTIALS",
    "OTHER_TOKEN",
    "SET_RESERVED",
    "SPLIT",
    "STREAMING_CLIENT",
    "TLS",
    "TOKEN",
    "TOKEN_FOR_LIST",
    "USE_BATCH",
    "USE_SAMPLE",
    "USE_SAMPLE_INSTEAD",
    "WAIT",
]

CAST: Final = "convert them yourself, for example array.astype(np.{dtype})"
CAST_TO_BYTES: Final = "give str or bytes, for example array.astype(np.bytes_)"
CREDENTIALS: Final = "use access_token=... or headers=..."
OTHER_TOKEN: Final = "another one than the client's"
SET_RESERVED: Final = "use options=InferOptions(priority=..., queue_timeout_us=..., sequence_id=...)"
SPLIT: Final = "a client made with split_batches=True sends it in parts"
STREAMING_CLIENT: Final = "use DecoupledModelClient or AsyncioDecoupledModelClient"
TLS: Final = (
    "Tell the client whom to trust, and what the server wants to see, with "
    "tls=Tls(ca_file=..., certificate_file=..., key_file=...)."
)
TOKEN: Final = (
    "The endpoint is restricted: give the client the server's token with access_token=... "
    "(Triton.get_access_token() tells it in the program that serves)."
)
TOKEN_FOR_LIST: Final = "needs access_token=..."
USE_BATCH: Final = "for a batch use infer_batch"
USE_SAMPLE: Final = "for a single sample use infer_sample"
USE_SAMPLE_INSTEAD: Final = "use infer_sample instead of infer_batch"
WAIT: Final = "If the model is still to come, wait_for_model(timeout_s) waits for it."
