"""The plate archive must not compute, and must not talk to the vault, on the event loop."""

import ast
import asyncio
import concurrent.futures
import inspect
import io
import multiprocessing.connection
import multiprocessing.pool
import os
import subprocess
import sys
import sysconfig
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import httpx
import pytest

from fastapi_katas.probes import (
    BlockingCall,
    Heartbeat,
    Held,
    Place,
    ThreadWitness,
    WatchingTransport,
    blocking_calls,
    expect_status,
    lesson,
    place_in_stack,
)

WIDTH = 72
SMALL, LARGE = 8, 40
# Reading an upload piece by piece costs the loop a few lines per row of the picture.
# Computing costs at least one line per field that the row crosses, nine of them.
LINES_PER_ROW = 4
# What is not computing is a handful of lines, however it is written. Computing is hundreds, for the
# smallest scan too: 72 fields are summed up, 64 pairs of them compared.
LINES_IN_ANY_CASE = 80
# Far more turns than an answer needs that waits for nothing.
PATIENT_TURNS = 1000
Tracer = Callable[..., Any] | None
# Where the standard library stands and waits for another thread or process.
STANDS = {
    threading.Condition.wait.__code__,
    subprocess.Popen.wait.__code__,
    subprocess.Popen.communicate.__code__,
    multiprocessing.connection.Connection.recv.__code__,
    multiprocessing.connection.Connection.recv_bytes.__code__,
}
LIBRARIES = ("<", sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))


def picture(rows: int, *, darker: bool = True) -> bytes:
    """Make a scan that gets darker from left to right in all its rows, or brighter."""
    row = bytes(range(2 * WIDTH, 0, -2)) if darker else bytes(range(0, 2 * WIDTH, 2))
    return row * rows


@pytest.fixture(autouse=True)
def vault_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the vault a folder of its own before the module is loaded."""
    folder = tmp_path / "vault"
    folder.mkdir()
    monkeypatch.setenv("VAULT_DIR", str(folder))
    return folder


class VaultFiles(ThreadWitness):
    """The openings of files of the vault, and those that were not made by the vendor's client."""

    def __init__(self) -> None:
        super().__init__()
        self.past_vendor: list[str] = []


@pytest.fixture
def vault_files(vault_dir: Path, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> VaultFiles:
    """Note the thread that opens a file of the vault, and who opens it."""
    witness = VaultFiles()
    vendor = {getattr(function, "__code__", None) for function in vars(module.VaultClient).values()}

    def spy(really_open: Callable[..., Any]) -> Callable[..., Any]:
        def spying_open(file: Any, *args: Any, **kwargs: Any) -> Any:
            if str(file).startswith(str(vault_dir)):
                witness.note()
                frame: FrameType | None = sys._getframe(1)
                while frame is not None and frame.f_code not in vendor:
                    frame = frame.f_back
                if frame is None:
                    witness.past_vendor.append(Path(str(file)).name)
            return really_open(file, *args, **kwargs)

        return spying_open

    for name in ("builtins.open", "io.open", "os.open"):
        monkeypatch.setattr(name, spy(io.open if name != "os.open" else os.open))
    return witness


@pytest.fixture
async def watch(heartbeat: Heartbeat) -> AsyncIterator["Watch"]:
    """Watch the module's code, on the loop's thread and on threads that start from now on."""
    before = threading.gettrace()
    watch = Watch(heartbeat)
    threading.settrace(watch.trace)
    yield watch
    threading.settrace(before)
    while watch.vendor_at_work:  # noqa: ASYNC110 - work that nobody awaited is still held
        await asyncio.sleep(0)


@pytest.mark.goal
async def test_new_scan_is_computed_off_the_loop(watch: "Watch", client: httpx.AsyncClient) -> None:
    """A larger scan gives the loop's own thread no more work than a small one."""
    for plate_id, rows in ((1, SMALL), (2, LARGE)):
        with watch.request(rows):
            response = await post(client, plate_id, picture(rows))
        expect_status(response, 201, because="a scan is taken into the archive")
    raise_if_computed("POST /plates/{plate_id}", watch)


@pytest.mark.goal
async def test_new_scan_is_stored_off_the_loop(
    watch: "Watch", vault_files: VaultFiles, module: ModuleType, client: httpx.AsyncClient
) -> None:
    """While the vault stores a scan, the loop's thread neither does it nor stands and waits."""
    with watch.request(SMALL, vendor=module.VaultClient.store):
        response = await post(client, 1, picture(SMALL))
    expect_status(response, 201, because="a scan is taken into the archive")
    raise_if_loop_was_kept("POST /plates/1", "VaultClient.store", watch, vault_files)
    with blocking_calls() as calls:
        stored = await post(client, 2, picture(SMALL))
        twice = await post(client, 2, picture(SMALL))
    expect_status(stored, 201, because="a scan is taken into the archive")
    expect_status(twice, 409, because="the vault has this plate already")
    raise_if_blocked("POST /plates/2", calls)


@pytest.mark.goal
async def test_stored_scan_is_computed_off_the_loop(
    watch: "Watch", vault_dir: Path, client: httpx.AsyncClient
) -> None:
    """Looking up a larger plate gives the loop's own thread no more work than a small one."""
    for plate_id, rows in ((1, SMALL), (2, LARGE)):
        (vault_dir / f"plate-{plate_id}").write_bytes(picture(rows))
        with watch.request(rows):
            response = await client.get(f"/plates/{plate_id}")
        expect_status(response, 200, because="a plate of the archive is found")
    raise_if_computed("GET /plates/{plate_id}", watch)


@pytest.mark.goal
async def test_stored_scan_is_fetched_off_the_loop(
    watch: "Watch",
    vault_dir: Path,
    vault_files: VaultFiles,
    module: ModuleType,
    client: httpx.AsyncClient,
) -> None:
    """While the vault reads a scan, the loop's thread neither does it nor stands and waits."""
    (vault_dir / "plate-1").write_bytes(picture(SMALL))
    vault_files.runs.clear()
    with watch.request(SMALL, vendor=module.VaultClient.fetch):
        response = await client.get("/plates/1")
    expect_status(response, 200, because="a plate of the archive is found")
    raise_if_loop_was_kept("GET /plates/1", "VaultClient.fetch", watch, vault_files)
    with blocking_calls() as calls:
        found = await client.get("/plates/1")
        unknown = await client.get("/plates/9")
    expect_status(found, 200, because="a plate of the archive is found")
    expect_status(unknown, 404, because="the vault does not hold this plate")
    raise_if_blocked("GET /plates/1", calls)


@pytest.mark.guard
async def test_fingerprints_are_right(vault_dir: Path, client: httpx.AsyncClient) -> None:
    """The fingerprint of a scan comes back, when it is stored and when it is looked up."""
    scans = {
        "f" * 16: picture(16),
        "0" * 16: picture(16, darker=False),
        "f" * 8 + "0" * 8: picture(8) + picture(8, darker=False),
    }
    for plate_id, (expected, pixels) in enumerate(scans.items(), start=1):
        plate = {"plate_id": plate_id, "fingerprint": expected}
        response = await post(client, plate_id, pixels)
        expect_status(response, 201, because="a scan is taken into the archive")
        assert response.json() == plate, f"storing answered {response.json()}, not {plate}"
        plate["plate_id"] = plate_id + 10
        (vault_dir / f"plate-{plate_id + 10}").write_bytes(pixels)
        response = await client.get(f"/plates/{plate_id + 10}")
        expect_status(response, 200, because="a plate of the archive is found")
        assert response.json() == plate, f"looking up answered {response.json()}, not {plate}"


@pytest.mark.guard
async def test_answer_waits_for_the_vault(
    watch: "Watch", vault_dir: Path, module: ModuleType, app: Any
) -> None:
    """The answer 201 is given when the scan is safe in the vault, not before."""
    transport = WatchingTransport(app, limit=1000)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        with watch.request(SMALL, vendor=module.VaultClient.store, turns=PATIENT_TURNS):
            asking = asyncio.create_task(post(client, 1, picture(SMALL)))
            while not (watch.vendor_at_work or asking.done()):  # noqa: ASYNC110 - it is bounded
                await asyncio.sleep(0)
            # Meanwhile a minute passes: a wait that gives up by itself has given up by now.
            let_time_pass(60)
            response = await asking
    stored = not watch.vendor_at_work
    while watch.vendor_at_work:  # noqa: ASYNC110 - the hold of the vault is bounded
        await asyncio.sleep(0)
    expect_status(response, 201, because="a scan is taken into the archive")
    if not stored:
        raise lesson(
            "answered-too-early",
            seen="POST /plates/1 answered {status}, and VaultClient.store was still at work.",
            production="The caller throws the picture away, because it is stored. Then the disk "
            "of the vault is full, or the name is taken, and nobody is there to hear of it.",
            look="Which line starts the vault's work, and which line waits for its end?",
            status=response.status_code,
        )
    kept = (vault_dir / "plate-1").read_bytes()
    assert kept == picture(SMALL), "what the vault holds is not what was sent"


@pytest.mark.guard
async def test_plate_is_stored_once(vault_dir: Path, client: httpx.AsyncClient) -> None:
    """What the vault raises comes back: a plate that is stored already is 409 and stays."""
    (vault_dir / "plate-1").write_bytes(picture(8))
    response = await post(client, 1, picture(8, darker=False))
    expect_status(response, 409, because="the vault has this plate already")
    kept = (vault_dir / "plate-1").read_bytes()
    assert kept == picture(8), "the scan in the vault is not the first one any more"


@pytest.mark.guard
async def test_unknown_plate_is_404(vault_dir: Path, client: httpx.AsyncClient) -> None:
    """A plate that the vault does not hold is 404, until the vault holds it."""
    response = await client.get("/plates/9")
    expect_status(response, 404, because="the vault does not hold this plate")
    (vault_dir / "plate-9").write_bytes(picture(SMALL))
    response = await client.get("/plates/9")
    expect_status(response, 200, because="by now the vault holds this plate")


@pytest.mark.guard
async def test_fault_of_the_vault_is_told(vault_dir: Path, client: httpx.AsyncClient) -> None:
    """A fault of the vault's disk is neither `stored already` nor `no such plate`."""
    expect_status(await client.get("/plates/1"), 404, because="the vault holds no plate yet")
    vault_dir.rmdir()  # noqa: ASYNC240
    vault_dir.write_text("the disk is broken: this is no folder")  # noqa: ASYNC240
    for request, response in (
        ("POST /plates/1", await post(client, 1, picture(SMALL))),
        ("GET /plates/1", await client.get("/plates/1")),
    ):
        if response.status_code < 500:
            raise lesson(
                "fault-hidden",
                seen="The vault had no folder to work in and raised an error that says so. "
                "{request} answered {status} with {body}.",
                production="The disk is full, and every caller hears that its plate is stored "
                "already. The pictures are thrown away.",
                look="Which exceptions does this `except` catch, and which of them mean this?",
                request=request,
                status=response.status_code,
                body=response.text,
            )


@pytest.mark.guard
async def test_vault_is_used_through_its_client(
    vault_dir: Path, vault_files: VaultFiles, module: ModuleType, client: httpx.AsyncClient
) -> None:
    """Only the vendor's client opens files of the vault, and it is as the vendor delivers it."""
    # Not the plate of the POST: whether that is there already is for other tests to say.
    (vault_dir / "plate-2").write_bytes(picture(SMALL))
    vault_files.past_vendor.clear()
    vault_files.runs.clear()
    expect_status(await post(client, 1, picture(SMALL)), 201, because="a scan is stored")
    expect_status(await client.get("/plates/2"), 200, because="a plate is found")
    if vault_files.past_vendor:
        raise lesson(
            "vault-bypassed",
            seen="One POST and one GET opened these files of the vault without the vendor's "
            "client: {files}.",
            production="The vendor's client returns when the data is safe on the disk, and never "
            "overwrites. Who goes past it has to keep these promises alone.",
            look="Which of your lines writes or reads these files, and what does VaultClient do "
            "in its place?",
            where=[run.caller for run in vault_files.runs],
            files=", ".join(vault_files.past_vendor),
        )
    mine = ast.parse(textwrap.dedent(inspect.getsource(module.VaultClient))).body[0]
    delivered = next(
        node
        for node in ast.parse(Path(__file__).with_name("bad.py").read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "VaultClient"
    )
    assert ast.dump(mine) == ast.dump(delivered), "VaultClient is not as the vendor delivers it"


@pytest.mark.guard
async def test_broken_scan_is_422(vault_dir: Path, client: httpx.AsyncClient) -> None:
    """A file that is not a whole scan is 422 and does not reach the vault."""
    for pixels in (b"", picture(8)[:-1]):
        response = await post(client, 1, pixels)
        expect_status(response, 422, because="a scan has whole rows, and a multiple of 8 of them")
    stored = list(vault_dir.iterdir())  # noqa: ASYNC240
    assert not stored, "a broken scan was put into the vault"


@pytest.mark.guard
async def test_pools_do_not_pile_up(
    watch: "Watch",
    vault_dir: Path,
    module: ModuleType,
    client: httpx.AsyncClient,
    open_pools: "Pools",
) -> None:
    """However many requests there are, the number of open executors stays the same."""
    (vault_dir / "plate-1").write_bytes(picture(8))
    expect_status(await post(client, 2, picture(8)), 201, because="a scan is stored")
    expect_status(await client.get("/plates/1"), 200, because="a plate of the archive is found")
    first = len(open_pools.places)
    for plate_id in (3, 4, 5):
        expect_status(await post(client, plate_id, picture(8)), 201, because="a scan is stored")
        expect_status(await client.get("/plates/1"), 200, because="a plate is found")
    if len(open_pools.places) > first:
        raise lesson(
            "pools-pile-up",
            seen="After the first two requests {first} executors were open, after six more "
            "requests {last}. None of the new ones was shut down.",
            production="Each executor starts threads of its own, and its limit counts only these. "
            "A thousand requests at once are a thousand threads or more.",
            look="How long is this executor needed, and who tells it that it is over?",
            where=open_pools.places[first:],
            first=first,
            last=len(open_pools.places),
        )
    scans = [picture(8, darker=plate_id % 2 == 0) for plate_id in range(10, 16)]
    with watch.request(SMALL, vendor=module.VaultClient.store, turns=50):
        responses = await asyncio.gather(
            *(post(client, plate_id, scan) for plate_id, scan in enumerate(scans, start=10))
        )
    for plate_id, response in enumerate(responses, start=10):
        expect_status(response, 201, because="a scan is taken into the archive")
        plate = {"plate_id": plate_id, "fingerprint": ("0" if plate_id % 2 else "f") * 16}
        assert response.json() == plate, (
            f"of {len(scans)} scans that came together, one was answered {response.json()}, "
            f"not {plate}"
        )
    if len(open_pools.most) > first:
        raise lesson(
            "pool-per-request",
            seen="With one request at a time, {first} executors stayed open. With {together} "
            "requests at the same time, {most} were open.",
            production="Each executor starts threads of its own, and its limit counts only these. "
            "A thousand requests at once are a thousand threads or more.",
            look="How many requests share this executor?",
            where=open_pools.most[first:],
            first=first,
            together=len(scans),
            most=len(open_pools.most),
        )


@pytest.mark.guard
async def test_service_is_healthy(client: httpx.AsyncClient) -> None:
    """The health check answers, and does not stop the loop."""
    with blocking_calls() as calls:
        response = await client.get("/health")
    expect_status(response, 200, because="the service is well")
    assert response.json() == {"status": "ok"}
    assert not calls, f"the health check stops the loop with {calls[0].name} at {calls[0].place}"


async def post(client: httpx.AsyncClient, plate_id: int, pixels: bytes) -> httpx.Response:
    """Send a scan to the archive."""
    return await client.post(f"/plates/{plate_id}", files={"scan": ("scan.raw", pixels)})


def raise_if_computed(request: str, watch: "Watch") -> None:
    """Fail if the loop's thread did more for the larger scan than reading it can explain."""
    small, large = watch.worked
    grows = large.lines - small.lines > LINES_PER_ROW * (large.rows - small.rows)
    if not grows and small.lines <= LINES_IN_ANY_CASE + LINES_PER_ROW * small.rows:
        return
    busiest, chain = watch.busiest
    sliced = large.turns - small.turns >= (large.rows - small.rows) // 2
    raise lesson(
        "loop-computes-in-slices" if sliced else "loop-computes",
        seen="{request}: for a scan of {small_rows} rows the loop's thread executed {small_lines} "
        "lines of your code, for one of {large_rows} rows {large_lines} lines, within {turns} "
        "turn(s) of the loop. The way to the busiest line: {chain}.",
        production="While the loop's thread computes, it serves nobody. A real scan has a thousand "
        "times more pixels: uploads, searches and the health check wait for every one of them.",
        look="Follow the way to the busiest line. Which of these functions did FastAPI call, who "
        "called the others, and in which thread?",
        where=busiest,
        request=request,
        small_rows=small.rows,
        small_lines=small.lines,
        large_rows=large.rows,
        large_lines=large.lines,
        turns=large.turns,
        chain=" → ".join(chain),
    )


def raise_if_blocked(request: str, calls: list[BlockingCall]) -> None:
    """Fail if a line of the module stopped the loop, be it for a moment."""
    if calls:
        raise lesson(
            "something-blocks",
            seen="{request}: {count} blocking calls ran on the event loop: {calls}.",
            production="Each of them stops every request of this worker for as long as it takes: "
            "a question to a slow disk, or a lock that somebody else holds.",
            look="Read these lines. Which thread runs them, and which thread should?",
            where=[call.place for call in calls],
            request=request,
            count=len(calls),
            calls=", ".join(f"{call.name} at {call.place}" for call in calls),
        )


def let_time_pass(seconds: float) -> None:
    """Put the clock of the event loop forward: its timers are due, and nobody has waited."""
    loop: Any = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds


def raise_if_loop_was_kept(
    request: str, vendor: str, watch: "Watch", vault_files: VaultFiles
) -> None:
    """Fail if the loop's thread did the vault's work, or stood and waited for who did."""
    if watch.vendor_on_loop:
        place, is_async = watch.vendor_on_loop[0]
        raise lesson(
            "vault-on-loop-from-async-def" if is_async else "vault-on-loop",
            seen="{request}: {vendor} ran on the loop's own thread, {thread}. It was called by "
            "`{caller}`, {kind} function.",
            production="The disk of the vault decides how long it takes. Until then this worker "
            "answers nobody, and the health check fails for a vault that is only slow.",
            look="Who called the vault here, and in which thread does the caller itself run?",
            where=place,
            request=request,
            vendor=vendor,
            thread=threading.current_thread().name,
            caller=place.function if place else "?",
            kind="an `async def`" if is_async else "a plain `def`",
        )
    if vault_files.on_loop:
        raise lesson(
            "vault-files-on-loop",
            seen="{request}: the loop's own thread opened {times} file(s) of the vault.",
            production="The disk decides how long it takes. Until then this worker answers nobody.",
            look="In which thread does this line run, and is it still the vendor's client that "
            "keeps the files?",
            where=[run.caller for run in vault_files.on_loop],
            request=request,
            times=len(vault_files.on_loop),
        )
    for function, held in watch.held:
        if held.blocked_at is not None or held.turns == 0:
            raise lesson(
                "loop-waits",
                seen="{request}: `{function}` ran in another thread and waited there for the "
                "event loop to turn. The loop made {turns} turns: it stood on one line.",
                production="It does not matter who does the work, if the loop stands still until "
                "it is done. Nobody else is served.",
                look="What does the loop do on this line, while the other thread works?",
                where=held.blocked_at,
                request=request,
                function=function,
                turns=held.turns,
            )
    if watch.waits:
        raise lesson(
            "loop-stands",
            seen="{request}: the loop's thread stopped {times} time(s) to wait for another thread "
            "or process.",
            production="It does not matter who does the work, if the loop stands still until it "
            "is done. Nobody else is served.",
            look="What does the loop's thread wait for on this line, and who is served until then?",
            where=watch.waits,
            request=request,
            times=len(watch.waits),
        )


@dataclass(frozen=True)
class Work:
    """What the loop's thread did for one request.

    Attributes:
        rows: The rows of the scan.
        lines: The lines of the module that were executed.
        turns: In how many turns of the loop.
    """

    rows: int
    lines: int
    turns: int


class Watch:
    """Sees which lines of the module each thread executes, by any name and on any way.

    In a thread other than the loop's, the first function of the module and the vendor's function
    are held until the loop has turned, or is proven stuck. What runs in another process is not
    seen at all, and that is as it should be: it does not run on the loop.

    Attributes:
        worked: What the loop's thread did for each request.
        vendor_on_loop: The callers of the vendor's function on the loop's thread, and whether they
            are `async def`.
        held: What the loop did while a function of the module ran in another thread.
        waits: The own lines on which the loop's thread stopped for another thread or process.
        vendor_at_work: How many calls of the vendor's function are running in other threads.
    """

    def __init__(self, heartbeat: Heartbeat) -> None:
        self.worked: list[Work] = []
        self.vendor_on_loop: list[tuple[Place | None, bool]] = []
        self.held: list[tuple[str, Held]] = []
        self.waits: list[Place | None] = []
        self.vendor_at_work = 0
        self._heartbeat = heartbeat
        self._active = False
        self._turns = 3
        self._vendor: CodeType | None = None
        self._own: dict[str, bool] = {}
        self._threads: set[int] = set()
        self._lines: dict[tuple[CodeType, int], int] = {}
        self._busy_turns: set[int] = set()
        self._ways: dict[tuple[CodeType, int], tuple[Place | None, list[str]]] = {}

    @contextmanager
    def request(
        self, rows: int, *, vendor: Callable[..., Any] | None = None, turns: int = 3
    ) -> Iterator[None]:
        """Watch one request for a scan of some rows; hold the vendor's function for some turns."""
        self._turns = turns
        self._vendor = getattr(vendor, "__code__", None)
        self._lines.clear()
        self._busy_turns.clear()
        self._active, before = True, sys.gettrace()
        sys.settrace(self.trace)
        try:
            yield
        finally:
            sys.settrace(before)
            self._active = False
            self.worked.append(Work(rows, sum(self._lines.values()), len(self._busy_turns)))

    @property
    def busiest(self) -> tuple[Place | None, list[str]]:
        """The line that the loop's thread executed most often, and the way to it."""
        return self._ways[max(self._lines, key=lambda line: self._lines[line])]

    def trace(self, frame: FrameType, event: str, arg: object) -> Tracer:
        """Take note of a function that begins; the interpreter calls this."""
        if not self._active:
            return None
        on_loop = threading.get_ident() == self._heartbeat.loop_thread
        if on_loop and frame.f_code in STANDS:
            self._note_wait(frame)
        if not self._is_own(frame):
            return None
        if not on_loop:
            return self._hold(frame.f_code)
        if frame.f_code is self._vendor:
            caller = self._own_caller(frame)
            is_async = caller is not None and bool(caller.f_code.co_flags & inspect.CO_COROUTINE)
            self.vendor_on_loop.append((place_in_stack(caller), is_async))
        return self._trace_line

    def _trace_line(self, frame: FrameType, event: str, arg: object) -> Tracer:
        if event == "line" and self._active:
            line = (frame.f_code, frame.f_lineno)
            self._lines[line] = self._lines.get(line, 0) + 1
            self._busy_turns.add(self._heartbeat.turns)
            if line not in self._ways:
                self._ways[line] = (place_in_stack(frame), self._way_to(frame))
        return self._trace_line

    def _hold(self, code: CodeType) -> Tracer:
        thread = threading.get_ident()
        if code is self._vendor:
            self.vendor_at_work += 1
            self.held.append((code.co_name, self._heartbeat.hold(turns=self._turns)))
            return self._trace_vendor
        if thread not in self._threads:
            self._threads.add(thread)
            self.held.append((code.co_name, self._heartbeat.hold()))
        return None

    def _trace_vendor(self, frame: FrameType, event: str, arg: object) -> Tracer:
        if event == "return":
            self.vendor_at_work -= 1
        return self._trace_vendor

    def _note_wait(self, frame: FrameType) -> None:
        """Note a wait for another thread, but not the moment that starting a thread takes."""
        if frame.f_locals.get("timeout") == 0:
            return
        caller = frame.f_back
        while caller is not None:
            if caller.f_code is threading.Thread.start.__code__:
                return
            caller = caller.f_back
        place = place_in_stack(frame)
        if place is not None:
            self.waits.append(place)

    def _is_own(self, frame: FrameType) -> bool:
        file = frame.f_code.co_filename
        if file not in self._own:
            place = None if file.startswith(LIBRARIES) else place_in_stack(frame)
            self._own[file] = place is not None and place.file == file
        return self._own[file]

    def _own_caller(self, frame: FrameType) -> FrameType | None:
        caller = frame.f_back
        while caller is not None and not self._is_own(caller):
            caller = caller.f_back
        return caller

    def _way_to(self, frame: FrameType | None) -> list[str]:
        way: list[str] = []
        while frame is not None:
            if self._is_own(frame):
                way.insert(0, frame.f_code.co_name)
            frame = frame.f_back
        return way


@dataclass
class Pools:
    """The executors that are open: made since the test began, and not shut down.

    Attributes:
        places: Where those were made that are open now.
        most: Where those were made that were open when there were the most of them.
    """

    places: list[Place | None] = field(default_factory=list)
    most: list[Place | None] = field(default_factory=list)
    _open: dict[int, tuple[object, Place | None]] = field(default_factory=dict)

    def opened(self, pool: object, place: Place | None) -> None:
        self._open[id(pool)] = (pool, place)
        self._count()

    def closed(self, pool: object) -> None:
        self._open.pop(id(pool), None)
        self._count()

    def _count(self) -> None:
        self.places = [place for _, place in list(self._open.values())]
        self.most = max(self.most, self.places, key=len)


@pytest.fixture
def open_pools(monkeypatch: pytest.MonkeyPatch) -> Pools:
    """The executors that are open, of `concurrent.futures` and of `multiprocessing`."""
    pools = Pools()

    def spy(kind: Any, *ends: str) -> None:
        def spying_init(self: Any, *args: Any, make: Any = kind.__init__, **kwargs: Any) -> None:
            make(self, *args, **kwargs)
            pools.opened(self, place_in_stack(sys._getframe(1)))

        def closing(end: Callable[..., None]) -> Callable[..., None]:
            def spying_end(self: Any, *args: Any, **kwargs: Any) -> None:
                pools.closed(self)
                end(self, *args, **kwargs)

            return spying_end

        monkeypatch.setattr(kind, "__init__", spying_init)
        for end in ends:
            monkeypatch.setattr(kind, end, closing(getattr(kind, end)))

    spy(concurrent.futures.ThreadPoolExecutor, "shutdown")
    spy(concurrent.futures.ProcessPoolExecutor, "shutdown")
    spy(multiprocessing.pool.Pool, "close", "terminate")
    return pools
