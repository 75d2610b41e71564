"""An export must run through the service, not pile up in it."""

import asyncio
import csv
import gc
import io
import json
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any, Self

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_katas.probes import (
    Conversation,
    Lesson,
    Place,
    converse,
    crash_of,
    expect_status,
    lesson,
    place_in_stack,
    place_of_exception,
    turns,
)

WINDOW = 100
ROWS = 300
A_FEW = 5
CSV = "/trips/2026-10/export.csv"
JSON_LINES = "/trips/2026-10/export.jsonl"
SIGNS = ("=", "+", "-", "@", "\t", "\r")


class ArchiveError(Exception):
    """The archive fails in the middle of a month."""


class ScriptedCursor:
    """Stands for a TripCursor; counts the rows that it hands out and knows whether it is closed."""

    def __init__(
        self,
        count: int,
        make: Callable[[int], object],
        fails_after: int | None,
        failure: Exception,
    ) -> None:
        self.count = count
        self.handed = 0
        self.closed = False
        self.place: Place | None = None
        self._make = make
        self._fails_after = fails_after
        self._failure = failure

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> object:
        if self.handed % WINDOW == 0:
            self.place = place_in_stack(sys._getframe()) or self.place
        await asyncio.sleep(0)
        if self.closed:
            raise RuntimeError("the cursor is closed")
        if self.handed == self._fails_after:
            raise self._failure
        if self.handed == self.count:
            raise StopAsyncIteration
        self.handed += 1
        return self._make(self.handed)

    async def aclose(self) -> None:
        self.closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class Archive:
    """What ``open_trips`` gives in these tests, and every cursor that it gave."""

    def __init__(self, trip: Callable[..., Any]) -> None:
        self._trip = trip
        self.cursors: list[ScriptedCursor] = []
        self.count = ROWS
        self.fails_after: int | None = None
        self.failure: Exception = ArchiveError("the archive went away")
        self.texts: dict[int, tuple[str, str]] = {}
        self.padding = ""
        self.refunds: set[int] = set()

    def row(self, number: int) -> dict[str, Any]:
        """The trip of this number, as plain values."""
        rider, remark = self.texts.get(number, ("Ada", f"{self.padding}trip {number}"))
        charge = -250 if number in self.refunds else 250
        return {
            "trip_id": number, "rider": rider, "remark": remark, "minutes": 12,
            "charge_cents": charge,
        }  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        """All trips of the month, as plain values."""
        return [self.row(number) for number in range(1, self.count + 1)]

    async def open_trips(self, month: str) -> ScriptedCursor:
        """Stand in for the ``open_trips`` of the module."""
        self.cursors.append(
            ScriptedCursor(
                self.count,
                lambda number: self._trip(**self.row(number)),
                self.fails_after,
                self.failure,
            )
        )
        return self.cursors[-1]

    @property
    def handed(self) -> int:
        """How many rows were handed out, by all cursors together."""
        return sum(cursor.handed for cursor in self.cursors)

    @property
    def places(self) -> list[Place | None]:
        """The lines of the module that asked for rows last."""
        return [cursor.place for cursor in self.cursors]

    async def left_open(self) -> int:
        """Count the cursors that stay open, after everything has had its chance to close them."""
        for _ in range(4):
            for _ in range(25):
                if all(cursor.closed for cursor in self.cursors):
                    return 0
                await asyncio.sleep(0)
            gc.collect()
        return sum(not cursor.closed for cursor in self.cursors)


@pytest.fixture(autouse=True)
def archive(module: Any, raw_app: FastAPI) -> Archive:
    """Put a scripted archive in the place of `open_trips`, wherever the module calls it."""
    scripted = Archive(module.Trip)
    raw_app.dependency_overrides[module.open_trips] = scripted.open_trips
    module.open_trips = scripted.open_trips
    return scripted


@pytest.mark.goal
async def test_csv_leaves_while_the_archive_is_read(app: ASGIApp, archive: Archive) -> None:
    """The first row of the CSV file is with the reader before the archive has given the last."""
    await _first_row_leaves_early(app, archive, CSV)


@pytest.mark.goal
async def test_json_lines_leave_while_the_archive_is_read(app: ASGIApp, archive: Archive) -> None:
    """The first JSON line is with the reader before the archive has given the last row."""
    await _first_row_leaves_early(app, archive, JSON_LINES)


@pytest.mark.goal
async def test_window_of_rows_is_kept(app: ASGIApp, archive: Archive) -> None:
    """Of the rows taken from the archive, never more than 100 have not been sent yet."""
    archive.texts = dict.fromkeys(range(1, ROWS + 1), ("", ""))  # short rows are rows too
    for path in (CSV, JSON_LINES):
        archive.cursors.clear()
        seen = lines = parts = 0
        last = start = b""
        async with _reading(app, path) as reader:
            while True:
                if seen == 0:
                    await turns(ROWS)  # a slow reader; time enough to read too far ahead
                held = archive.handed - seen
                if held > WINDOW:
                    raise lesson(
                        "too-many-rows-held",
                        seen="{path}: the archive had handed out {handed} rows, the reader had "
                        "received {received}. The other {held} were held in memory; the contract "
                        "allows {window}.",
                        production="A slow reader and a large month fill the memory of the worker "
                        "until the system ends it, and with it every other request.",
                        look="Where do these rows wait, and what limits their number?",
                        where=archive.places,
                        path=path,
                        handed=archive.handed,
                        received=seen,
                        held=held,
                        window=WINDOW,
                    )
                part = await _part(reader, path)
                if part is None:
                    break
                last, start = part, start or part
                parts += 1
                if parts > 5 * ROWS:
                    raise _crumbs(path, seen, parts)
                lines += part.count(b"\n")
                seen = max(lines - (path == CSV), 0)
        if seen and not last.endswith(b"\n"):  # the last line may be without its end
            seen += 1
        if seen < ROWS:
            raise _rows_missing(path, seen, start)


@pytest.mark.goal
async def test_memory_does_not_grow_with_the_rows(app: ASGIApp, archive: Archive) -> None:
    """An export of 500 large rows never needs the memory for all of them."""
    limit = 1_150_000
    archive.padding = "x" * 3000
    for path in (CSV, JSON_LINES):
        archive.count = 20
        await _drain(app, path, archive.count)  # whatever is made once, is made now
        archive.count = 500
        before = len(archive.cursors)
        rows, peak = await _drain(app, path, archive.count)
        if rows < archive.count:
            raise _rows_missing(path, rows)
        if peak > limit:
            raise lesson(
                "memory-grows",
                seen="{path}: {rows} rows of three kilobytes were sent, and at the worst moment "
                "{peak} kilobytes were in use for it. A window of {window} rows needs less "
                "than {limit}.",
                production="The memory that an export needs grows with the month. The largest "
                "customer is the one whose export ends the worker.",
                look="What still holds a row after it was sent?",
                where=[cursor.place for cursor in archive.cursors[before:]],
                path=path,
                rows=rows,
                peak=peak // 1000,
                window=WINDOW,
                limit=limit // 1000,
            )


@pytest.mark.goal
async def test_nothing_is_kept_for_each_row(app: ASGIApp, archive: Archive) -> None:
    """An export of 600 short rows needs no more memory than one of 100."""
    for path in (CSV, JSON_LINES):
        peaks = []
        for archive.count in (100, 600):
            gc.collect()
            rows, peak = await _drain(app, path, archive.count)
            peaks.append(peak)
        if peaks[1] - peaks[0] > 9_000:
            raise lesson(
                "something-kept-for-each-row",
                seen="{path}: for 100 short rows {few} kilobytes were in use at the worst moment, "
                "for {rows} short rows {many} kilobytes.",
                production="Even a number for each row is more than the worker has, when a month "
                "has millions of rows.",
                look="What do you note down about a row, and when is it thrown away?",
                where=archive.cursors[-1].place,
                path=path,
                rows=rows,
                few=peaks[0] // 1000,
                many=peaks[1] // 1000,
            )


@pytest.mark.goal
async def test_reader_who_leaves_ends_the_reading(app: ASGIApp, archive: Archive) -> None:
    """When the reader leaves, the archive is read no further, and it is closed."""
    for path in (CSV, JSON_LINES):
        for how, server in _SERVERS.items():
            archive.cursors.clear()
            received = await _leave_after_first_row(server(app), path)
            if archive.handed - received > 2 * WINDOW:
                raise lesson(
                    "read-for-nobody",
                    seen="{path}: the reader left after {received} rows ({how}). The archive "
                    "handed out {handed} rows for this request.",
                    production="Downloads are broken off and begun again all day. Each of them "
                    "costs the archive the whole month.",
                    look="When are the rows read: before the answer, or while it is sent?",
                    where=archive.places,
                    path=path,
                    how=how,
                    received=received,
                    handed=archive.handed,
                )
            if left_open := await archive.left_open():
                raise _left_open(path, f"the reader left after {received} rows ({how})", left_open)


@pytest.mark.goal
async def test_formula_cells_are_text(client: httpx.AsyncClient, archive: Archive) -> None:
    """A text that a spreadsheet would run as a formula has an apostrophe before it."""
    archive.texts = {
        number: (f"{sign}1+cmd|' /C calc'!A0", f'{sign}HYPERLINK("http://x.example")')
        for number, sign in enumerate(SIGNS, start=1)
    }
    archive.texts |= {
        number: (f"{sign}1", sign) for number, sign in enumerate(SIGNS, start=len(SIGNS) + 1)
    }
    archive.count = 2 * len(SIGNS)
    response = await _whole(client, CSV)
    table = _table(response)
    if len(table) - 1 < archive.count:
        raise _rows_missing(CSV, len(table) - 1, response.content)
    dangerous = []
    for number, expected in enumerate(archive.rows(), start=1):
        for column in ("rider", "remark"):
            cell = table[number].get(column) if number < len(table) else None
            if cell != "'" + expected[column]:
                dangerous.append(f"{cell!r}, from {expected[column]!r}")
    if dangerous:
        raise lesson(
            "formula-cells",
            seen="{count} of {of} cells that begin with a formula sign did not arrive as text with "
            "an apostrophe before it. The first: {first}.",
            production="Riders write their names and remarks themselves. The clerk who opens the "
            "file in a spreadsheet runs what they wrote.",
            look="With which signs does a spreadsheet begin a formula, and who may write them?",
            count=len(dangerous),
            of=4 * len(SIGNS),
            first=dangerous[0],
        )


@pytest.mark.goal
async def test_headers_name_type_and_file(client: httpx.AsyncClient, archive: Archive) -> None:
    """The CSV answer says that it is CSV in UTF-8, and how the file is called."""
    archive.count = 2
    response = await _whole(client, CSV)
    content_type = response.headers.get("content-type", "")
    disposition = response.headers.get("content-disposition", "")
    parsed = EmailMessage()
    parsed["content-type"] = content_type or "none/none"
    parsed["content-disposition"] = disposition or "none"
    if parsed.get_content_type() != "text/csv" or str(
        parsed.get_param("charset", "none")
    ).lower() not in {"utf-8", "utf8"}:
        raise lesson(
            "wrong-content-type",
            seen="The content-type of the CSV export is {content_type!r}, not text/csv with its "
            "charset.",
            production="Programs choose by this header how to read the file. A wrong one turns "
            "names such as Zoë into signs that nobody can read, or the file is not opened at all.",
            look="Which header tells what the bytes are, and who sets it here?",
            content_type=content_type,
        )
    if (
        parsed.get_content_disposition() != "attachment"
        or parsed.get_filename() != "trips-2026-10.csv"
    ):
        raise lesson(
            "wrong-disposition",
            seen="The content-disposition of the CSV export is {disposition!r}; the contract asks "
            "for an attachment called trips-2026-10.csv.",
            production="The browser shows the file as a page, or saves it under the last part of "
            "the address; every month is called export.csv.",
            look="When do the headers leave, and which lines of yours run before that?",
            disposition=disposition,
        )


@pytest.mark.guard
async def test_csv_file_is_complete(client: httpx.AsyncClient, archive: Archive) -> None:
    """The CSV file has a header row and every row, with commas, quotes and line breaks intact."""
    archive.texts = {
        2: ("Åsa Öberg, 渋谷", 'said "great", twice'),
        4: ("Zoë", "first line\nsecond line"),
        5: ("O'Hara", ""),
        6: ("a=b", "3-4 km @ night"),
        7: ("  two spaces  ", "first line\r\n=second line\r\n"),
        8: (r"C:\temp", " =1 behind a space"),
        9: ("\n- a list", "'=1 in quotes'"),
        10: ("", ""),
    }
    archive.count = 131
    table = _table(await _whole(client, CSV))
    assert list(table[0]) == list(archive.row(1)), f"the header row is {list(table[0])}"
    expected = [{name: str(cell) for name, cell in row.items()} for row in archive.rows()]
    _same_rows(table[1:], expected)


@pytest.mark.guard
async def test_numbers_stay_numbers(client: httpx.AsyncClient, archive: Archive) -> None:
    """A refund is a negative number in the CSV file, without an apostrophe."""
    archive.count = 3
    archive.refunds = {3}
    table = _table(await _whole(client, CSV))
    assert len(table) == 4, f"{len(table) - 1} rows arrived, not 3"
    assert table[3]["charge_cents"] == "-250", f"a refund became {table[3]['charge_cents']!r}"


@pytest.mark.guard
async def test_json_lines_are_complete(client: httpx.AsyncClient, archive: Archive) -> None:
    """The JSON Lines have one object for every row, with every text exactly as it is."""
    archive.texts = {
        2: ("Åsa Öberg, 渋谷", 'said "great", twice'),
        4: ("=Zoë", "first line\nsecond line"),
        5: ("-", ""),
        6: ("  two spaces  ", "first line\r\nsecond line\r\n"),
        7: ("", r"C:\temp"),
    }
    archive.count = 131
    response = await _whole(client, JSON_LINES)
    content_type = response.headers.get("content-type", "").partition(";")[0]
    assert content_type == "application/jsonl", f"the content-type is {content_type!r}"
    try:
        received = [json.loads(line) for line in response.content.decode().split("\n") if line]
    except ValueError as error:
        pytest.fail(f"a line is not a JSON object: {error}")
    _same_rows(received, archive.rows())


@pytest.mark.guard
async def test_empty_month_has_a_header_row(client: httpx.AsyncClient, archive: Archive) -> None:
    """A month without trips is a header row and nothing else; as JSON Lines it is empty."""
    archive.count = 0
    table = _table(await _whole(client, CSV))
    assert [list(row) for row in table] == [list(archive.row(1))], f"the file was {table}"
    response = await _whole(client, JSON_LINES)
    assert response.content.strip() == b"", f"the JSON Lines were {response.content[:80]!r}"


@pytest.mark.guard
async def test_bad_month_is_422(client: httpx.AsyncClient, archive: Archive) -> None:
    """A month that is none is refused, and the archive is not asked."""
    for name in ("2026-13", "october", '2026-10";x=".csv'):
        for ending in ("csv", "jsonl"):
            response = await client.get(f"/trips/{name}/export.{ending}")
            expect_status(response, 422, because="a month is written as 2026-10")
    assert len(archive.cursors) == 0, "the archive was opened for a month that does not exist"


@pytest.mark.guard
async def test_archive_is_closed_after_the_last_row(
    client: httpx.AsyncClient, archive: Archive
) -> None:
    """Each export opens the archive once, and it is closed when the export is complete."""
    archive.count = 3
    for number, path in enumerate((CSV, JSON_LINES), start=1):
        await _whole(client, path)
        opened = len(archive.cursors)
        assert opened == number, f"{number} exports opened the archive {opened} times"
        if left_open := await archive.left_open():
            raise _left_open(path, "the export was complete", left_open)


@pytest.mark.guard
async def test_failing_archive_is_told_and_closed(app: ASGIApp, archive: Archive) -> None:
    """When the archive fails on the way, the file does not look complete, and it is closed."""
    failures = (ArchiveError("the archive went away"), ConnectionError("the line is dead"))
    cases = [(150, failures[0]), (150, failures[1]), (0, failures[0])]
    for path, (rows, failure) in [(path, case) for path in (CSV, JSON_LINES) for case in cases]:
        archive.cursors.clear()
        archive.fails_after, archive.failure = rows, failure
        received, complete = await _read_what_comes(app, path)
        opened = len(archive.cursors)
        assert opened == 1, f"{path}: one export that failed opened the archive {opened} times"
        if complete:
            raise lesson(
                "looks-complete",
                seen="{path}: the archive failed after {rows} of {all} rows. The reader received "
                "{received} bytes and a proper end.",
                production="The city takes a part of the month for the whole, and nobody notices.",
                look="How can a reader tell an answer that ended from one that was broken off?",
                where=archive.places,
                path=path,
                rows=rows,
                all=ROWS,
                received=received,
            )
        if left_open := await archive.left_open():
            raise _left_open(path, f"the archive failed after {rows} rows", left_open)


@pytest.mark.guard
async def test_exports_share_nothing(
    app: ASGIApp, client: httpx.AsyncClient, archive: Archive
) -> None:
    """Two exports at the same time have their own rows, and so has one after a reader who left."""
    archive.count = 131
    for path in (CSV, JSON_LINES):
        archive.cursors.clear()
        await _leave_after_first_row(app, path)
        alone = (await _whole(client, path)).content
        async with _reading(app, path) as reader:
            begun = [await _part(reader, path) or b"" for _ in range(2)]
            other = (await _whole(client, path)).content
            mine = b"".join(begun)
            while (part := await _part(reader, path)) is not None:
                mine += part
        if left_open := await archive.left_open():
            raise _left_open(path, "two exports at the same time were complete", left_open)
        expected = [archive.row(number)["trip_id"] for number in range(1, archive.count + 1)]
        for when, content in (
            ("after a reader had left", alone),
            ("while another one was read", other),
            ("beside another one", mine),
        ):
            found = _trip_ids(path, content)
            if found != expected:
                raise lesson(
                    "rows-of-another-export",
                    seen="{path}: an export {when} had {found} rows instead of {expected}, or "
                    "not in their order.",
                    production="Rows of one reader arrive in the file of another one.",
                    look="Which objects live longer than one export?",
                    where=archive.places,
                    path=path,
                    when=when,
                    found=len(found),
                    expected=len(expected),
                )


@pytest.mark.guard
async def test_reader_who_leaves_early_leaves_nothing_open(
    app: ASGIApp, client: httpx.AsyncClient, archive: Archive
) -> None:
    """A reader who leaves before the first byte leaves no open archive behind."""
    for path in (CSV, JSON_LINES):
        for how, server in _SERVERS.items():
            archive.cursors.clear()
            await _leave_at_once(server(app), path)
            if left_open := await archive.left_open():
                raise _left_open(path, f"the reader left before the first byte ({how})", left_open)
        await _whole(client, path)


@pytest.mark.guard
async def test_parts_are_not_crumbs(app: ASGIApp, archive: Archive) -> None:
    """The answer comes in parts of a useful size: at most two for each row."""
    archive.count = 50
    for path in (CSV, JSON_LINES):
        parts = 0
        async with _reading(app, path) as reader:
            while parts < 100 * archive.count and await _part(reader, path) is not None:
                parts += 1
        if parts > 2 * archive.count + A_FEW:
            raise _crumbs(path, archive.count, parts)


def _as_uvicorn(app: ASGIApp) -> ASGIApp:
    """Let a disconnect be told as uvicorn tells it: by a message, not by an error of `send`."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        asgi = {**scope["asgi"], "spec_version": "2.3"}
        await app({**scope, "asgi": asgi}, receive, send)

    return served


_SERVERS: dict[str, Callable[[ASGIApp], ASGIApp]] = {
    "sending failed": lambda app: app,
    "the server said so": _as_uvicorn,
}


@asynccontextmanager
async def _reading(app: ASGIApp, path: str) -> AsyncIterator[Conversation]:
    crash: Exception | None = None

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal crash
        try:
            await app(scope, receive, send)
        except Exception as error:
            crash = error
            raise

    async with converse(watched, "GET", path) as reader:
        try:
            status = await reader.start()
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes a lesson
            raise _broken(path, error) from None
        if status != 200:
            try:
                text = (await reader.rest()).decode(errors="replace")
            except Exception as error:  # noqa: BLE001 - whatever it is, it becomes a lesson
                raise _broken(path, error) from None
            await turns(10)
            if crash is not None:
                raise _broken(path, crash)
            raise lesson(
                "wrong-status",
                seen="GET {path} answered {status} with {text}. Expected 200: the export exists.",
                production="The city receives no file.",
                look="Compare the answer with the contract on the page of this kata.",
                path=path,
                status=status,
                text=text[:200] or "an empty body",
            )
        yield reader


async def _part(reader: Conversation, path: str) -> bytes | None:
    try:
        return await reader.chunk()
    except Exception as error:  # noqa: BLE001 - whatever it is, it becomes a lesson
        raise _broken(path, error) from None


def _broken(path: str, error: Exception) -> Lesson:
    return lesson(
        "broken-off",
        seen="GET {path} was broken off by {kind}: {text}",
        production="The city receives no file, or a part of one.",
        look="Follow the exception to the line it comes from."
        if place_of_exception(error)
        else "None of your lines raised this. What did they hand over, and of which type is it?",
        where=place_of_exception(error),
        path=path,
        kind=type(error).__name__,
        text=str(error)[:200],
    )


def _left_open(path: str, when: str, count: int) -> Lesson:
    return lesson(
        "left-open",
        seen="{path}: {when}. {count} cursor of the archive stayed open.",
        production="Each open cursor keeps a connection. After as many broken downloads as the "
        "archive has connections, no export works until a restart.",
        look="Which line closes the cursor, and what must happen before that line is reached?",
        path=path,
        when=when,
        count=count,
    )


def _sent_again(path: str, rows: int, lines: int, parts: int) -> Lesson:
    return lesson(
        "rows-again",
        seen="{path}: the archive has {rows} rows, and after {parts} parts {lines} lines were "
        "sent, with no end in sight.",
        production="The file grows with the square of the rows, and so does the memory of who "
        "reads it. A large month never ends.",
        look="What does a part hold that an earlier part held already?",
        path=path,
        rows=rows,
        lines=lines,
        parts=parts,
    )


def _crumbs(path: str, rows: int, parts: int) -> Lesson:
    return lesson(
        "crumbs",
        seen="{path}: {rows} rows were sent in {parts} parts.",
        production="Each part costs a turn of the loop and a packet of its own; the export takes "
        "many times as long.",
        look="How much does one `yield` send?",
        path=path,
        rows=rows,
        parts=parts,
    )


def _trip_ids(path: str, content: bytes) -> list[int]:
    lines = content.decode("utf-8-sig").splitlines()
    if path == CSV:
        return [int(line.split(",")[0].strip('"')) for line in lines[1:]]
    return [json.loads(line)["trip_id"] for line in lines if line]


def _rows_missing(path: str, seen: int, start: bytes = b"") -> Lesson:
    if seen <= 0:
        return lesson(
            "no-rows",
            seen="{path}: the answer ended, and there was no row in it. It begins with {start!r}.",
            production="The city receives a file without trips.",
            look="What does the endpoint hand to FastAPI, and what becomes of the rows?",
            path=path,
            start=start[:80].decode(errors="replace"),
        )
    return lesson(
        "rows-missing",
        seen="{path}: the answer ended after {received} rows; the archive has more.",
        production="The city takes a part of the month for the whole.",
        look="Which rows were taken from the archive and never sent?",
        path=path,
        received=seen,
    )


async def _first_row_leaves_early(app: ASGIApp, archive: Archive, path: str) -> None:
    async with _reading(app, path) as reader:
        received, start = await _rows_in_first_parts(reader, path)
        if received == 0:
            raise _rows_missing(path, 0, start)
        handed = archive.handed
    if handed >= archive.count:
        raise lesson(
            "all-read-first",
            seen="{path}: when the first row reached the reader, the archive had handed out "
            "{handed} of {all} rows.",
            production="The reader waits, and perhaps gives up, while the worker collects the "
            "whole month. The larger the month, the longer nothing is sent.",
            look="What must be finished before the first byte can leave?",
            where=archive.places,
            path=path,
            handed=handed,
            all=archive.count,
        )


async def _rows_in_first_parts(reader: Conversation, path: str) -> tuple[int, bytes]:
    """Read until the first row is there; say how many rows are, and how the answer begins."""
    lines, start = 0, b""
    while lines <= (path == CSV):
        part = await _part(reader, path)
        if part is None:
            return 0, start
        start = start or part
        lines += part.count(b"\n")
    return lines - (path == CSV), start


async def _leave_after_first_row(app: ASGIApp, path: str) -> int:
    async with _reading(app, path) as reader:
        received, start = await _rows_in_first_parts(reader, path)
        if received == 0:
            raise _rows_missing(path, 0, start)
        await _go(reader, path)
    return received


async def _leave_at_once(app: ASGIApp, path: str) -> None:
    async with converse(app, "GET", path) as reader:
        await _go(reader, path)


async def _go(reader: Conversation, path: str) -> None:
    try:
        await reader.disconnect()
    except TimeoutError:
        raise lesson(
            "goes-on",
            seen="{path}: five seconds after the reader had left, the request was still running.",
            production="Requests for nobody pile up until the worker has no room for others.",
            look="What does this request still wait for?",
            path=path,
        ) from None


async def _read_what_comes(app: ASGIApp, path: str) -> tuple[int, bool]:
    """Read an answer that may break off; say how many bytes came and if it looks complete."""
    received = 0
    async with converse(app, "GET", path) as reader:
        try:
            if await reader.start() >= 500:
                return received, False
            while (part := await reader.chunk()) is not None:
                received += len(part)
        except Exception:  # noqa: BLE001 - that the answer breaks off is what is asked
            return received, False
    return received, True


async def _drain(app: ASGIApp, path: str, rows: int) -> tuple[int, int]:
    """Take an answer as fast as it comes and keep nothing; say how many rows, and the peak."""
    lines = parts = 0
    start, unended = b"", 0
    crash: Exception | None = None

    async def sink(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal crash

        async def forget(message: Message) -> None:
            nonlocal lines, parts, start, unended
            body = message.get("body", b"")
            parts += 1
            lines += body.count(b"\n")
            if body:
                start = start or bytes(body[:80])
                unended = not body.endswith(b"\n")
            if parts > 5 * max(rows, ROWS):
                raise _crumbs(path, lines, parts)
            if lines > 2 * max(rows, ROWS):
                raise _sent_again(path, rows, lines, parts)
            if parts % 50 == 0:  # a sign of life: the limit is for a standstill, not for all rows
                await send({"type": "http.response.body", "body": b".", "more_body": True})

        await send({"type": "http.response.start", "status": 200, "headers": []})

        try:
            await app(scope, receive, forget)
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes a lesson
            crash = error
        await send({"type": "http.response.body", "body": b""})

    was_tracing = tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        async with converse(sink, "GET", path) as reader:
            await reader.start()
            await reader.rest()
        peak = tracemalloc.get_traced_memory()[1] - before
    except TimeoutError as error:
        raise _broken(path, error) from None
    finally:
        if not was_tracing:
            tracemalloc.stop()
    if isinstance(crash, Lesson):
        raise crash
    if crash is not None:
        raise _broken(path, crash)
    rows = lines + unended - (path == CSV)
    if rows <= 0:
        raise _rows_missing(path, 0, start)
    return rows, peak


async def _whole(client: httpx.AsyncClient, path: str) -> httpx.Response:
    response = await client.get(path)
    expect_status(response, 200, because="the export of a month is sent")
    crash = crash_of(response)
    if isinstance(crash, Exception):
        raise _broken(path, crash)
    return response


def _table(response: httpx.Response) -> list[dict[str, str]]:
    """The rows of a CSV answer by column; the header row is the first of them."""
    try:
        text = response.content.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        names = rows[0]
    except (UnicodeDecodeError, csv.Error, IndexError) as error:
        raise lesson(
            "not-csv",
            seen="The answer could not be read as CSV in UTF-8, with a header row: {error}. "
            "It begins with {start!r}.",
            production="The city's importer stops at this line.",
            look="How are cells with commas, quotes and line breaks written?",
            error=str(error),
            start=response.content[:120].decode(errors="replace"),
        ) from None
    return [dict(zip(names, row, strict=False)) for row in rows]


def _same_rows(received: list[Any], expected: list[Any]) -> None:
    for number, (got, wanted) in enumerate(zip(received, expected, strict=False), start=1):
        assert got == wanted, f"row {number} is {got}, not {wanted}"
    assert len(received) == len(expected), f"{len(received)} rows arrived, not {len(expected)}"
