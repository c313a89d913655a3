# SPDX-License-Identifier: Apache-2.0
"""Streaming clients: order, timeouts, early ends, many streams at a time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from pytriton.client import AsyncioDecoupledModelClient, AsyncioModelClient, DecoupledModelClient, ModelClient
from pytriton.client.exceptions import (
    PyTritonClientClosedError,
    PyTritonClientInferenceServerError,
    PyTritonClientTimeoutError,
    PyTritonClientValueError,
)
from pytriton.client.options import InferOptions
from tests.helpers.server import TIMEOUT_S
from tests.helpers.streaming_server import StreamingServer, streaming_server


@pytest.fixture(scope="module")
def server() -> Iterator[StreamingServer]:
    with streaming_server() as server:
        yield server


class Blocking:
    """The blocking client, with the manners of the other one."""

    def __init__(self, url: str, model: str, **options: Any) -> None:
        self.client = DecoupledModelClient(url, model, **options)

    async def __aenter__(self) -> Blocking:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.close()

    async def close(self) -> None:
        self.client.close()

    def infer_sample(self, *inputs: Any, **options: Any) -> Any:
        return Wrapped(self.client.infer_sample(*inputs, **options))

    def infer_batch(self, *inputs: Any, **options: Any) -> Any:
        return Wrapped(self.client.infer_batch(*inputs, **options))


class Wrapped:
    def __init__(self, responses: Any) -> None:
        self.responses = responses

    def __aiter__(self) -> Wrapped:
        return self

    async def __anext__(self) -> Any:
        try:
            return await asyncio.to_thread(next, self.responses, None) or self._end()
        except StopAsyncIteration:
            raise

    def _end(self) -> Any:
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.responses.close()


@pytest.fixture(params=[Blocking, AsyncioDecoupledModelClient], ids=["blocking", "asyncio"])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


async def values(responses: Any) -> list[int]:
    return [outputs["y"].item() async for outputs in responses]


def test_responses_in_order(server: StreamingServer, make: Any) -> None:
    async def main() -> None:
        async with make(server.url, "count") as client:
            for count in (0, 1, 5, 100):
                assert await values(client.infer_sample([count])) == list(range(count, 2 * count))

    asyncio.run(main())


def test_batches(server: StreamingServer, make: Any) -> None:
    async def main() -> None:
        async with make(server.url, "batched") as client:
            async for outputs in client.infer_batch([[2]]):
                assert outputs["y"].shape == (1, 1)
            async for outputs in client.infer_sample([2]):
                assert outputs["y"].shape == (1,)

    asyncio.run(main())


def test_many_streams_on_one_client(server: StreamingServer, make: Any) -> None:
    async def main() -> None:
        async with make(server.url, "count") as client:
            found = await asyncio.gather(*(values(client.infer_sample([count])) for count in range(30)))
            assert found == [list(range(count, 2 * count)) for count in range(30)]

    asyncio.run(main())


def test_each_response_has_its_time(server: StreamingServer, make: Any) -> None:
    async def main() -> None:
        async with make(server.url, "count", inference_timeout_s=0.3) as client:
            responses = client.infer_sample(
                [5], parameters={"hang_after": 2}, options=InferOptions(request_id="late")
            )
            assert (await responses.__anext__())["y"].item() == 5
            await asyncio.sleep(0.4)  # this time is the caller's own
            assert (await responses.__anext__())["y"].item() == 6
            with pytest.raises(PyTritonClientTimeoutError, match=r"next response.*0\.3 s"):
                await responses.__anext__()
            assert await asyncio.to_thread(server.cancelled.get, True, TIMEOUT_S) == "late"
            assert await values(client.infer_sample([2])) == [2, 3]

    asyncio.run(main())


@pytest.mark.parametrize("timeout_s", [float("inf"), 1e12])
def test_times_of_any_length(server: StreamingServer, make: Any, timeout_s: float) -> None:
    async def main() -> None:
        async with make(server.url, "count", inference_timeout_s=timeout_s) as client:
            options = InferOptions(timeout_s=timeout_s)
            assert await values(client.infer_sample([2], options=options)) == [2, 3]

    asyncio.run(main())


def test_all_responses_have_a_deadline(server: StreamingServer, make: Any) -> None:
    async def main() -> None:
        async with make(server.url, "count") as client:
            options = InferOptions(timeout_s=0.3)
            with pytest.raises(PyTritonClientTimeoutError, match="Deadline Exceeded"):
                await values(client.infer_sample([5], parameters={"hang_after": 2}, options=options))
            assert await asyncio.to_thread(server.cancelled.get, True, TIMEOUT_S)

    asyncio.run(main())


@pytest.mark.parametrize("end", ["close", "forget"])
def test_an_early_end_cancels_on_the_server(server: StreamingServer, make: Any, end: str) -> None:
    async def main() -> None:
        async with make(server.url, "count") as client:
            responses = client.infer_sample(
                [5], parameters={"hang_after": 1}, options=InferOptions(request_id=end)
            )
            async for outputs in responses:
                assert outputs["y"].item() == 5
                break
            if end == "close":
                await responses.aclose()
                assert await values(responses) == []
            del responses
            gc.collect()
            assert await asyncio.to_thread(server.cancelled.get, True, TIMEOUT_S) == end
            # What was left of that stream comes to nobody.
            assert await values(client.infer_sample([2])) == [2, 3]

    asyncio.run(main())


@pytest.mark.parametrize(("parameter", "message"), [("fail_after", "no luck"), ("status_after", "broken")])
def test_errors_come_where_they_happen(
    server: StreamingServer, make: Any, parameter: str, message: str
) -> None:
    async def main() -> None:
        async with make(server.url, "count") as client:
            responses = client.infer_sample([5], parameters={parameter: 2})
            assert [(await responses.__anext__())["y"].item() for _ in range(2)] == [5, 6]
            with pytest.raises(PyTritonClientInferenceServerError, match=message):
                await responses.__anext__()
            assert await values(client.infer_sample([1])) == [1]

    asyncio.run(main())


def test_closing_the_client_ends_streams(server: StreamingServer, make: Any) -> None:
    async def main() -> None:
        client = make(server.url, "count")
        responses = client.infer_sample([5], parameters={"hang_after": 1})
        async for _ in responses:
            break
        rest = asyncio.ensure_future(values(responses))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(PyTritonClientClosedError):
            await asyncio.wait_for(rest, TIMEOUT_S)
        assert await asyncio.to_thread(server.cancelled.get, True, TIMEOUT_S)
        with pytest.raises(PyTritonClientClosedError):
            await values(client.infer_sample([1]))

    asyncio.run(main())


def test_cancelled_tasks_cancel_on_the_server(server: StreamingServer) -> None:
    async def main() -> None:
        async with AsyncioDecoupledModelClient(server.url, "count") as client:
            responses = client.infer_sample([5], parameters={"hang_after": 1})
            await responses.__anext__()
            task = asyncio.ensure_future(values(responses))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(server.cancelled.get, True, TIMEOUT_S)

    asyncio.run(main())


def test_tokens_and_headers_are_sent(server: StreamingServer, make: Any) -> None:
    async def main() -> None:
        while not server.metadata.empty():
            server.metadata.get()
        async with make(server.url, "count", access_token="secret", headers={"X-All": "1"}) as client:
            await values(client.infer_sample([1], headers={"X-One": 2}))
        sent = server.metadata.get(timeout=TIMEOUT_S)
        assert sent["triton-grpc-protocol-triton-access-token"] == "secret"
        assert (sent["x-all"], sent["x-one"]) == ("1", "2")

    asyncio.run(main())


def test_threads_share_a_client(server: StreamingServer) -> None:
    with DecoupledModelClient(server.url, "count") as client, ThreadPoolExecutor(16) as pool:

        def ask(count: int) -> list[int]:
            return [outputs["y"].item() for outputs in client.infer_sample([count])]

        assert list(pool.map(ask, range(16))) == [list(range(count, 2 * count)) for count in range(16)]


def test_threads_share_a_stream(server: StreamingServer) -> None:
    count, threads = 200, 4
    with DecoupledModelClient(server.url, "count") as client, ThreadPoolExecutor(threads) as pool:
        responses = client.infer_sample(count)
        reading = [pool.submit(lambda: [r["y"].item() for r in responses]) for _ in range(threads)]
        found = [each.result(TIMEOUT_S) for each in reading]
        assert sorted(number for numbers in found for number in numbers) == list(range(count, 2 * count))
        assert all(numbers == sorted(numbers) for numbers in found)


def test_a_task_that_reads_what_another_closes_comes_to_the_end(server: StreamingServer) -> None:
    async def main() -> None:
        async with AsyncioDecoupledModelClient(server.url, "count") as client:
            responses = client.infer_sample([5], parameters={"hang_after": 2})
            got: asyncio.Queue[int] = asyncio.Queue()

            async def read() -> None:
                async for outputs in responses:
                    got.put_nowait(outputs["y"].item())

            reading = asyncio.create_task(read())
            assert [await got.get() for _ in range(2)] == [5, 6]
            await responses.aclose()
            await asyncio.wait_for(reading, TIMEOUT_S)

            responses = client.infer_sample([5], parameters={"hang_after": 2})
            reading = asyncio.create_task(read())
            assert [await got.get() for _ in range(2)] == [5, 6]
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading

    asyncio.run(main())


def test_the_wrong_kind_of_model(server: StreamingServer, make: Any) -> None:
    async def main() -> None:
        async with make(server.url, "coupled") as client:
            for _ in range(2):
                with pytest.raises(PyTritonClientInferenceServerError, match="not decoupled"):
                    await values(client.infer_sample([1]))
        async with AsyncioModelClient(server.url, "count") as other:
            with pytest.raises(PyTritonClientInferenceServerError, match="decoupled"):
                await other.infer_sample([1])

    asyncio.run(main())
    with (
        ModelClient(server.url, "count") as client,
        pytest.raises(PyTritonClientInferenceServerError, match="decoupled"),
    ):
        client.infer_sample([1])


def test_bad_input_leaves_the_client_usable(server: StreamingServer, make: Any) -> None:
    async def main() -> None:
        async with make(server.url, "count") as client:
            for bad in ({"z": [1]}, {"x": ["a"]}):
                with pytest.raises(PyTritonClientValueError):
                    await values(client.infer_sample(**bad))
            assert await values(client.infer_sample(x=np.array([1], np.int32))) == [1]

    asyncio.run(main())


def test_copies(server: StreamingServer) -> None:
    with DecoupledModelClient(server.url, "count") as client:
        list(client.infer_sample([1]))
        with DecoupledModelClient.from_existing_client(client) as copy:
            assert len(list(copy.infer_sample([3]))) == 3
