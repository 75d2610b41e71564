"""Blocking calls of the own code are found with their line; what is none of them is not."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from starlette.concurrency import run_in_threadpool

from fastapi_katas.probes import BlockingCall, blocking_calls, own_code


def line_of(marker: str) -> int:
    """The number of the line that ends in a marker."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {marker}"))


def sleep_a_moment() -> None:
    time.sleep(0.001)  # sleeps


def seen(calls: list[BlockingCall]) -> list[tuple[str, int]]:
    return [(call.name, call.place.line) for call in calls]


@contextmanager
def once_inside(file: str, function: str, action: Callable[[], object]) -> Iterator[None]:
    """Do something as soon as this thread stands inside a function of the standard library."""
    ident, over = threading.get_ident(), threading.Event()

    def watch() -> None:
        inside = False
        while not inside and not over.is_set():
            frame = sys._current_frames().get(ident)
            while frame is not None and not inside:
                code = frame.f_code
                inside = code.co_name == function and code.co_filename.endswith(file)
                frame = frame.f_back
            time.sleep(0.001)
        action()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


class TestFound:
    async def test_a_sleep(self) -> None:
        with blocking_calls() as calls:
            sleep_a_moment()
        assert seen(calls) == [("time.sleep", line_of("sleeps"))]
        assert calls[0].place.file == __file__
        assert calls[0].place.function == "sleep_a_moment"

    async def test_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "x"
        with blocking_calls() as calls:
            file.write_text("x")  # writes
            file.read_text()  # reads
        lines = {call.place.line for call in calls}
        assert lines == {line_of("writes"), line_of("reads")}

    async def test_a_socket_below_a_library(self) -> None:
        def connect() -> None:
            with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ConnectError):
                client.get("http://127.0.0.1:1/")  # connects

        with blocking_calls() as calls:
            connect()
        assert ("socket.socket.connect", line_of("connects")) in seen(calls)

    async def test_a_thread_that_is_waited_for(self) -> None:
        go = threading.Event()
        thread = threading.Thread(target=go.wait)
        thread.start()
        with once_inside("threading.py", "join", go.set), blocking_calls() as calls:
            thread.join()  # joins
        assert seen(calls) == [("threading.Thread.join", line_of("joins"))]

    async def test_a_result_that_is_waited_for(self) -> None:
        go = threading.Event()
        with ThreadPoolExecutor() as pool:
            future = pool.submit(go.wait)
            with once_inside("threading.py", "wait", go.set), blocking_calls() as calls:
                future.result()  # waits for result
        assert seen(calls) == [("threading.Lock.acquire", line_of("waits for result"))]

    async def test_a_process_that_is_waited_for(self) -> None:
        process = subprocess.Popen(  # noqa: ASYNC220 - the test is about it
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE
        )
        assert process.stdin is not None
        with once_inside("subprocess.py", "wait", process.kill), blocking_calls() as calls:
            process.wait()  # waits for process
        process.stdin.close()
        assert seen(calls) == [("subprocess.Popen.wait", line_of("waits for process"))]

    async def test_a_broad_except_hides_nothing(self) -> None:
        reached: list[str] = []

        def careless() -> None:
            try:
                sleep_a_moment()
                reached.append("after")
            except Exception:  # noqa: BLE001 - what a learner writes
                reached.append("hidden")

        with blocking_calls() as calls:
            careless()
        assert reached == ["after"]
        assert seen(calls) == [("time.sleep", line_of("sleeps"))]

    async def test_each_line_once_in_the_order_of_the_first(self) -> None:
        with blocking_calls() as calls:
            time.sleep(0)  # noqa: ASYNC251 - the fault # first
            for _ in range(3):
                sleep_a_moment()
        assert seen(calls) == [("time.sleep", line_of("first")), ("time.sleep", line_of("sleeps"))]

    async def test_a_loop_in_another_thread(self) -> None:
        async def main() -> None:
            sleep_a_moment()

        with blocking_calls() as calls:
            await asyncio.to_thread(lambda: asyncio.run(main()))
        assert seen(calls) == [("time.sleep", line_of("sleeps"))]

    async def test_it_is_told_although_the_block_fails(self) -> None:
        found: list[list[BlockingCall]] = []

        def fail_inside() -> None:
            with blocking_calls() as calls:
                found.append(calls)
                sleep_a_moment()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_inside()
        assert len(found[0]) == 1
        assert time.sleep.__module__ == "time"


class TestNotFound:
    async def test_nothing(self) -> None:
        with blocking_calls() as calls:
            await asyncio.sleep(0.001)
            await anyio.sleep(0.001)
        assert calls == []

    @pytest.mark.parametrize(
        "how", [asyncio.to_thread, run_in_threadpool, anyio.to_thread.run_sync]
    )
    async def test_calls_inside_a_worker_thread(self, how: Any) -> None:
        with blocking_calls() as calls:
            await how(sleep_a_moment)
        assert calls == []

    async def test_the_start_of_worker_threads(self) -> None:
        with ThreadPoolExecutor(4) as pool, blocking_calls() as calls:
            threads = [threading.Thread(target=time.sleep, args=(0,)) for _ in range(20)]
            for thread in threads:
                thread.start()
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(pool, sleep_a_moment) for _ in range(8)))
        for thread in threads:
            thread.join()
        assert calls == []

    def test_without_a_loop(self) -> None:
        with blocking_calls() as calls:
            sleep_a_moment()
        assert calls == []

    async def test_nobody_own(self, tmp_path: Path) -> None:
        with own_code(tmp_path), blocking_calls() as calls:
            sleep_a_moment()
        assert calls == []

    async def test_locks_that_are_free_or_not_waited_for(self) -> None:
        free, taken = threading.Lock(), threading.Lock()
        taken.acquire()
        ended = threading.Thread(target=time.sleep, args=(0,))
        ended.start()
        ended.join()
        with blocking_calls() as calls:
            free.acquire()
            assert not taken.acquire(blocking=False)
            ended.join()
        assert calls == []

    async def test_a_process_that_is_started_or_has_ended(self) -> None:
        go = [sys.executable, "-c", ""]
        with blocking_calls() as calls:
            process = subprocess.Popen(go)  # noqa: ASYNC220 - the test is about it
        await asyncio.to_thread(process.wait)
        with blocking_calls() as later:
            process.wait()
        assert calls == later == []

    async def test_a_process_that_asyncio_starts(self) -> None:
        with blocking_calls() as calls:
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
            await process.wait()
        assert calls == []

    async def test_a_traceback_that_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        with blocking_calls() as calls:
            try:
                _ = 1 / 0
            except ZeroDivisionError:
                logging.getLogger(__name__).exception("broken")
        assert "ZeroDivisionError" in caplog.text
        assert calls == []

    async def test_what_blocks_below_the_turn_of_the_loop(self, tmp_path: Path) -> None:
        # The own code only calls asyncio.run; a callback that is foreign to it blocks.
        file = tmp_path / "own.py"
        source = "import asyncio\ndef main(work):\n    asyncio.run(work())\n"
        space: dict[str, Any] = {}
        exec(compile(source, str(file), "exec"), space)

        async def work() -> None:
            sleep_a_moment()

        with own_code(file), blocking_calls() as calls:
            await asyncio.to_thread(space["main"], work)
        assert calls == []

    def test_imports_and_the_first_client_of_a_process(self, tmp_path: Path) -> None:
        # In a process of its own, where nothing is imported or cached yet.
        script = tmp_path / "script.py"
        script.write_text(
            textwrap.dedent(
                """
                import asyncio
                from fastapi_katas.probes import blocking_calls

                async def main():
                    with blocking_calls() as calls:
                        import xml.dom.minidom
                        import httpx
                        async with httpx.AsyncClient():
                            pass
                    print(calls)

                asyncio.run(main())
                """
            )
        )
        done = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.stdout, done.stderr) == ("[]\n", "")
