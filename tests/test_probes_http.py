"""The watching client tells of crashes, of requests without an answer, and of wrong statuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse

from fastapi_katas.probes import Lesson, WatchingTransport, crash_of, expect_status

ASGI = Any


def line_of(marker: str) -> int:
    """The number of the line that ends in a marker."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {marker}"))


def client_for(app: ASGI, limit: float = 5.0) -> httpx.AsyncClient:
    transport = WatchingTransport(app, limit=limit)
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")


async def get(app: ASGI, path: str = "/", limit: float = 5.0) -> httpx.Response:
    async with client_for(app, limit) as client:
        return await client.get(path)


def endpoint(function: Any, **options: Any) -> FastAPI:
    app = FastAPI()
    app.get("/", **options)(function)
    return app


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class TestCrash:
    async def test_no_crash(self) -> None:
        async def fine() -> dict[str, int]:
            return {"a": 1}

        response = await get(endpoint(fine))
        assert (response.status_code, response.json()) == (200, {"a": 1})
        assert crash_of(response) is None

    async def test_a_crash_is_a_500_that_knows_its_exception(self) -> None:
        async def broken() -> None:
            raise LookupError

        response = await get(endpoint(broken))
        assert response.status_code == 500
        assert isinstance(crash_of(response), LookupError)

    async def test_an_error_of_http_is_no_crash(self) -> None:
        async def missing() -> None:
            raise HTTPException(404)

        response = await get(endpoint(missing))
        assert response.status_code == 404
        assert crash_of(response) is None

    async def test_a_bare_application(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise LookupError

        response = await get(app)
        assert response.status_code == 500
        assert isinstance(crash_of(response), LookupError)

    async def test_after_the_answer(self) -> None:
        def fail() -> None:
            raise LookupError

        async def later(background: BackgroundTasks) -> dict[str, int]:
            background.add_task(fail)
            return {"a": 1}

        response = await get(endpoint(later))
        assert (response.status_code, response.json()) == (200, {"a": 1})
        assert isinstance(crash_of(response), LookupError)

    async def test_in_the_middle_of_a_stream(self) -> None:
        async def rows() -> AsyncIterator[str]:
            yield "one"
            raise LookupError

        async def export() -> StreamingResponse:
            return StreamingResponse(rows())

        response = await get(endpoint(export))
        assert (response.status_code, response.text) == (200, "one")
        assert isinstance(crash_of(response), LookupError)

    async def test_a_cancellation_of_its_own(self) -> None:
        async def waits_for_cancelled() -> None:
            task = asyncio.create_task(asyncio.sleep(60))
            task.cancel()
            await task

        response = await get(endpoint(waits_for_cancelled))
        assert response.status_code == 500
        assert isinstance(crash_of(response), asyncio.CancelledError)

    async def test_a_timeout_of_its_own_is_not_the_limit(self) -> None:
        async def impatient() -> None:
            async with asyncio.timeout(0):
                await asyncio.sleep(60)

        response = await get(endpoint(impatient))
        assert response.status_code == 500
        assert isinstance(crash_of(response), TimeoutError)

    async def test_responses_do_not_share_their_crash(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise ValueError(scope["path"])

        async with client_for(app) as client:
            responses = await asyncio.gather(*(client.get(f"/{name}") for name in "abc"))
        crashes = [str(crash_of(response)) for response in responses]
        assert crashes == ["/a", "/b", "/c"]


class TestNoAnswer:
    async def test_an_endpoint_that_waits(self) -> None:
        async def waits() -> None:
            await asyncio.Event().wait()  # waits for ever

        with pytest.raises(Lesson) as caught:
            await get(endpoint(waits), "/?a=1", limit=0.1)
        lesson = caught.value
        assert lesson.key == "no-answer"
        assert lesson.evidence == {"request": "GET /?a=1", "seconds": 0.1}
        assert line_of("waits for ever") in [place.line for place in lesson.where]

    async def test_a_dependency_that_waits(self) -> None:
        async def session() -> AsyncIterator[int]:
            await asyncio.Event().wait()  # waits in dependency
            yield 1

        async def fine() -> None:
            pass

        app = endpoint(fine, dependencies=[Depends(session)])
        with pytest.raises(Lesson) as caught:
            await get(app, limit=0.1)
        assert line_of("waits in dependency") in [place.line for place in caught.value.where]

    async def test_the_application_is_ended(self) -> None:
        ended: list[str] = []

        async def waits() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("ended")

        with pytest.raises(Lesson):
            await get(endpoint(waits), limit=0.05)
        assert ended == ["ended"]


class TestCancellation:
    async def test_of_the_caller_goes_through(self) -> None:
        ended: list[str] = []

        async def waits() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        task = asyncio.create_task(get(endpoint(waits)))
        await turns(50)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert ended == ["cancelled"]

    async def test_by_a_limit_of_the_caller(self) -> None:
        async def waits() -> None:
            await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await get(endpoint(waits))


class TestExpectStatus:
    async def test_the_right_status_is_silent(self) -> None:
        async def fine() -> None:
            pass

        expect_status(await get(endpoint(fine)), 200, because="it is there")

    async def test_a_wrong_status(self) -> None:
        async def missing() -> None:
            raise HTTPException(404, "not here")

        response = await get(endpoint(missing), "/?a=1")
        with pytest.raises(Lesson) as caught:
            expect_status(response, 200, because="it is there")
        lesson = caught.value
        assert lesson.key == "wrong-status"
        assert lesson.seen == (
            'GET /?a=1 answered 404 with {"detail":"not here"}. Expected 200: it is there.'
        )
        assert lesson.where == ()

    async def test_an_empty_body(self) -> None:
        async def fine() -> None:
            pass

        response = await get(endpoint(fine, status_code=204))
        with pytest.raises(Lesson, match="answered 204 with an empty body"):
            expect_status(response, 200, because="it is there")

    async def test_a_body_that_nobody_has_read(self) -> None:
        async def fine() -> None:
            pass

        async with client_for(endpoint(fine)) as client, client.stream("GET", "/") as response:
            with pytest.raises(Lesson, match="with a body that was not read"):
                expect_status(response, 201, because="it is made")

    async def test_a_crash(self) -> None:
        async def broken() -> None:
            raise LookupError("no such label\nand more")  # crashes

        response = await get(endpoint(broken))
        with pytest.raises(Lesson) as caught:
            expect_status(response, 200, because="it is there")
        lesson = caught.value
        assert lesson.key == "crash-lookuperror"
        assert lesson.seen == (
            "GET / ended in LookupError: no such label and more, answered as 500. "
            "Expected 200: it is there."
        )
        assert [place.line for place in lesson.where] == [line_of("crashes")]

    async def test_a_crash_without_words(self) -> None:
        async def broken() -> None:
            raise LookupError

        with pytest.raises(Lesson, match="ended in LookupError, answered"):
            expect_status(await get(endpoint(broken)), 200, because="it is there")

    async def test_a_coroutine_in_the_place_of_its_result(self) -> None:
        async def forgets() -> Any:
            coroutine: Any = turns()
            try:
                return coroutine["a"]
            finally:
                coroutine.close()

        with pytest.raises(Lesson) as caught:
            expect_status(await get(endpoint(forgets)), 200, because="it is there")
        assert caught.value.key == "crash-not-awaited"

    async def test_a_coroutine_that_is_awaited_twice_is_something_else(self) -> None:
        async def twice() -> None:
            coroutine = turns()
            await coroutine
            await coroutine

        with pytest.raises(Lesson) as caught:
            expect_status(await get(endpoint(twice)), 200, because="it is there")
        assert caught.value.key == "crash-runtimeerror"
