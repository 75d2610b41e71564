"""Version 1 becomes version 2 and goes back again with every row, whoever upgrades beside whom."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import re
import runpy
import sqlite3
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import pytest_asyncio
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from asgi_lifespan import LifespanManager
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from fastapi_katas.probes import (
    Lesson,
    Place,
    cut,
    expect_status,
    lesson,
    place_of_exception,
    statements,
)
from fastapi_katas.pytest_plugin.target import Target

T = TypeVar("T")
Rows = list[dict[str, Any]]

# Version 1, as it is in production. The register has the revision 0001 for it.
VERSION_1 = sa.MetaData()
TREES = sa.Table(
    "trees",
    VERSION_1,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("species", sa.String(60), nullable=False),
    sa.Column("street", sa.String(80), nullable=False),
)
INSPECTIONS = sa.Table(
    "inspections",
    VERSION_1,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tree_id", sa.Integer, sa.ForeignKey("trees.id"), nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("note", sa.String(200)),
)
REVISIONS = sa.Table(
    "alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True)
)
OLD_TREES: Rows = [
    {"id": 1, "species": "Lime", "street": "Mill Lane"},
    {"id": 2, "species": "Plane", "street": "Station Road"},
    {"id": 7, "species": "Chestnut", "street": "St. John's Walk"},
]
OLD_INSPECTIONS: Rows = [
    {"id": 1, "tree_id": 7, "day": date(2025, 3, 1), "note": "Two dead branches; 50% of the crown"},
    {"id": 2, "tree_id": 1, "day": date(2025, 3, 1), "note": None},
    {"id": 4, "tree_id": 7, "day": date(2025, 9, 30), "note": "'Sound', it says"},
]
AS_VERSION_1 = {"trees": OLD_TREES, "inspections": OLD_INSPECTIONS}
# The same rows as version 2 has them.
AS_VERSION_2: dict[str, Rows] = {
    "trees": [{**row, "protected": False} for row in OLD_TREES],
    "inspections": [
        {"finding" if name == "note" else name: value for name, value in row.items()}
        for row in OLD_INSPECTIONS
    ],
    "tasks": [],
}
COLUMNS_OF_VERSION_2 = {
    "trees": ["id", "species", "street", "protected"],
    "inspections": ["id", "tree_id", "day", "finding"],
    "tasks": ["id", "tree_id", "what"],
}
EMPTY: dict[str, Rows] = {name: [] for name in AS_VERSION_2}
CHANGE = r"(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE)\b"
CHANGE_OF_A_TABLE = CHANGE + r".*\b(_alembic_tmp_\w+|trees|inspections|tasks)\b"
# Bounded waits: for a machine that should have ended long ago, and for a sign that it is waiting.
LIMIT, PATIENCE = 10.0, 5.0
# A fork has all modules already; where there is none, Python starts anew and reads this file.
FORKS = "fork" in multiprocessing.get_all_start_methods()
START = LIMIT if FORKS else 60.0
PROCESSES: Any = multiprocessing.get_context("fork" if FORKS else "spawn")


@dataclass
class Register:
    """The database of the register, as somebody beside the service sees it.

    Attributes:
        module: The module under test.
        url: The address of the database.
        engine: A way of the tests' own into it; it keeps no connection.
    """

    module: Any
    url: str
    engine: AsyncEngine

    async def see(self, look: Callable[[sa.Connection], T]) -> T:
        """Look at the database, or change it, with a connection of SQLAlchemy."""
        async with self.engine.begin() as connection:
            return await connection.run_sync(look)

    async def clear(self) -> None:
        """Take everything out of the database."""

        def drop(connection: sa.Connection) -> None:
            with_references = "" if connection.dialect.name == "sqlite" else " CASCADE"
            for table in sa.inspect(connection).get_table_names():
                connection.exec_driver_sql(f'DROP TABLE "{table}"{with_references}')

        await self.see(drop)

    async def begin_with(self, start: str) -> dict[str, Rows]:
        """Let the database be a filled version 1, or empty; return what version 2 makes of it."""
        await self.clear()
        if start == "empty":
            return EMPTY

        def fill(connection: sa.Connection) -> None:
            VERSION_1.create_all(connection, checkfirst=False)
            REVISIONS.create(connection, checkfirst=False)
            connection.execute(REVISIONS.insert().values(version_num="0001"))
            connection.execute(TREES.insert(), OLD_TREES)
            connection.execute(INSPECTIONS.insert(), OLD_INSPECTIONS)

        await self.see(fill)
        return AS_VERSION_2

    async def upgrade(self, revision: str = "head") -> None:
        """Run the step of the deployment, with a lesson if it crashes."""
        await self._run("upgrade", revision)

    async def downgrade(self, revision: str) -> None:
        """Take the database back, with a lesson if that crashes."""
        await self._run("downgrade", revision)

    async def _run(self, name: str, revision: str) -> None:
        try:
            await asyncio.to_thread(getattr(self.module, name), self.url, revision)
        except (Exception, SystemExit) as error:
            refused = isinstance(error, sa.exc.IntegrityError)
            raise lesson(
                f"{name}-breaks-a-constraint" if refused else f"{name}-crashes",
                seen="`{name}` to {revision} ended with {kind}: {message}",
                production="The deployment stops here, and nobody knows in which state the "
                "database is.",
                look="Which statement did the database refuse, and what was in the tables?",
                where=place_of_exception(error),
                name=name,
                revision=revision,
                kind=type(error).__name__,
                message=cut(str(error).split("\n")[0], 300),
            ) from error

    async def content(self) -> dict[str, Rows]:
        """Read all rows of all tables, whatever their columns are called."""

        def read(connection: sa.Connection) -> dict[str, Rows]:
            content = {}
            for table in sa.inspect(connection).get_table_names():
                query = sa.text(f'SELECT * FROM "{table}" ORDER BY 1')
                rows = connection.execute(query.columns(day=sa.Date, protected=sa.Boolean))
                content[table] = [dict(row._mapping) for row in rows]
            return content

        return await self.see(read)

    async def shape(self) -> dict[str, str]:
        """Name the columns and the indexes of each table that belongs to the register."""

        def read(connection: sa.Connection) -> dict[str, str]:
            database, shape = sa.inspect(connection), {}
            for table in sorted({*database.get_table_names()} - {"alembic_version"}):
                names = sorted(column["name"] for column in database.get_columns(table))
                names += sorted(f"index {index['name']}" for index in database.get_indexes(table))
                shape[table] = ", ".join(names)
            return shape

        return await self.see(read)

    async def look(self) -> tuple[dict[str, str], dict[str, Rows]]:
        """See the shape of the tables and all that is in them."""
        return await self.shape(), await self.content()

    async def differences(self, metadata: sa.MetaData) -> list[str]:
        """Ask Alembic's autogenerate what it would change, so that the tables fit the models."""

        def compare(connection: sa.Connection) -> list[str]:
            options = {"compare_type": True, "compare_server_default": True}
            context = MigrationContext.configure(connection, opts=options)
            return sorted(_in_words(change) for change in compare_metadata(context, metadata))

        return await self.see(compare)

    async def references_without_index(self) -> list[str]:
        """List the foreign keys that no index begins with."""

        def look(connection: sa.Connection) -> list[str]:
            database, found = sa.inspect(connection), list[str]()
            for table in sorted(database.get_table_names()):
                indexed = {index["column_names"][0] for index in database.get_indexes(table)}
                indexed |= {*database.get_pk_constraint(table)["constrained_columns"][:1]}
                for key in database.get_foreign_keys(table):
                    column = key["constrained_columns"][0]
                    found += [f"{table}.{column}"] if column not in indexed else []
            return found

        return await self.see(look)

    async def somebody_waits(self) -> bool:
        """Tell whether PostgreSQL lets a connection to this database wait for a lock."""
        if self.engine.dialect.name == "sqlite":
            return False
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        async with self.engine.connect() as connection:
            waiting = await connection.scalar(sa.text(query + "AND datname = current_database()"))
        return bool(waiting)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[httpx.AsyncClient]:
        """Start the service in this process, as a worker does, and stop it at the end."""
        async with _started(self.module.app) as client:
            yield client


@asynccontextmanager
async def _started(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with LifespanManager(app, LIMIT, LIMIT) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            yield client


@pytest_asyncio.fixture(loop_scope="function")
async def register(module: Any, database_url: str) -> AsyncIterator[Register]:
    """The database of the register, with nothing in it yet."""
    module.DATABASE_URL = database_url
    engine = create_async_engine(database_url, poolclass=NullPool)
    yield Register(module, database_url, engine)
    await engine.dispose()


@dataclass
class Machine:
    """A machine of the deployment: a real process that upgrades the database and then serves.

    Attributes:
        process: The process.
        pipe: What it says, and what it is told.
        said: What it has said so far, the words and what belongs to them.
    """

    process: Any
    pipe: Any
    said: dict[str, Any] = field(default_factory=dict)

    def listen(self) -> None:
        """Hear what it has said meanwhile."""
        with contextlib.suppress(EOFError, OSError):
            while self.pipe.poll():
                self.said.update([self.pipe.recv()])

    @property
    def ended(self) -> bool:
        """Whether its work is over, well or not."""
        return "done" in self.said or "failed" in self.said or not self.process.is_alive()

    async def until(self, *words: str, limit: float = LIMIT, other: Any = None) -> None:
        """Wait until it says one of these words or ends, something else is seen, or for long."""
        await self._wait(lambda: "begun" in self.said, START)
        assert "begun" in self.said, "the process did not begin its work"
        await self._wait(lambda: bool(self.said.keys() & {*words}), limit, other)

    async def _wait(self, seen: Callable[[], bool], limit: float, other: Any = None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while not (seen() or self.ended or (other and await other())):
                    await asyncio.sleep(0.005)
                    self.listen()
        self.listen()

    def go_on(self) -> None:
        """Let it send the statement before which it stopped."""
        with contextlib.suppress(OSError):
            self.pipe.send("go on")


@contextmanager
def machine(
    register: Register, *, upgrades: bool = True, stop_before: tuple[str, int] | None = None
) -> Iterator[Machine]:
    """Start a machine, and end it with the block.

    Args:
        register: Its database.
        upgrades: Whether it upgrades the database; without that it only serves, and stops in
            between, when it has started.
        stop_before: The kind of statement before which it stops, and which one of these.
    """
    ours, its = PROCESSES.Pipe()
    # What is in the temporary folder of one machine, the other one does not see.
    own = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    job = (its, register.url, upgrades, stop_before, own.name)
    if FORKS:
        process = PROCESSES.Process(target=_work, args=(register.module, *job), daemon=True)
    else:
        again = {"init_globals": {"JOB": (register.module.__file__, *job)}, "run_name": "machine"}
        process = PROCESSES.Process(target=runpy.run_path, args=(__file__,), kwargs=again)
    with warnings.catch_warnings():
        # The threads of this process hold nothing that the other one needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    try:
        yield Machine(process, ours)
    finally:
        process.kill()
        process.join(LIMIT)
        ours.close()
        its.close()
        own.cleanup()


def _work(
    module: Any, pipe: Any, url: str, upgrades: bool, stop_before: Any, folder: str
) -> None:
    """Do what a machine does, in its own process: upgrade, start, answer a request."""
    seen = 0
    os.environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder))
    tempfile.tempdir = None  # it is looked up again

    def stop(word: str, what: str) -> None:
        pipe.send((word, what))
        if pipe.poll(4 * LIMIT):
            pipe.recv()

    def watch(cursor: Any, sql: str, parameters: Any, context: Any) -> bool | None:
        nonlocal seen
        text = " ".join(sql.split())
        if stop_before:
            pattern, number = stop_before
            if re.match(pattern, text, re.IGNORECASE):
                seen += 1
                if seen == number:
                    stop("stops", text)
            return None
        if context.dialect.name != "sqlite":
            return None
        # Try it without patience first: nobody else can tell that SQLite lets a statement wait.
        pragma = context.root_connection.connection.cursor()
        pragma.execute("PRAGMA busy_timeout")
        (patience,) = pragma.fetchone()
        pragma.execute("PRAGMA busy_timeout = 0")
        try:
            cursor.execute(sql, parameters)
        except context.dialect.dbapi.OperationalError as error:
            if "locked" not in str(error):
                raise
            pipe.send(("waits", text))
        else:
            return True
        finally:
            pragma.execute(f"PRAGMA busy_timeout = {patience}")
            pragma.close()
        return None

    async def serve() -> None:
        async with _started(module.app) as client:
            if not upgrades:
                stop("started", "")
            response = await client.get("/trees/1")
        if response.status_code not in {200, 404}:
            msg = f"GET /trees/1 is answered with {response.status_code}"
            raise RuntimeError(msg)

    pipe.send(("begun", None))
    event.listen(Engine, "do_execute", watch)
    try:
        if upgrades:
            module.upgrade(url)
        asyncio.run(serve())
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test shall hear of it
        place = place_of_exception(error)
        pipe.send(("failed", (f"{type(error).__name__}: {error}".split("\n")[0], place)))
    else:
        pipe.send(("done", None))


@pytest.mark.goal
async def test_upgrade_keeps_every_row(register: Register) -> None:
    """`upgrade` makes version 2 of a filled version 1: all rows are there, and none is changed."""
    wanted = await register.begin_with("version 1")
    await register.upgrade()
    await _expect_version_2(register, wanted, "The step `upgrade` has run")


@pytest.mark.goal
@pytest.mark.parametrize("start", ["version 1", "empty"])
async def test_tables_agree_with_the_models(register: Register, start: str) -> None:
    """After `upgrade`, Alembic's autogenerate finds nothing to change, wherever it began."""
    await register.begin_with(start)
    await register.upgrade()
    differences = await register.differences(register.module.Base.metadata)
    if differences:
        kinds = {difference.split()[0].replace("_", "-") for difference in differences}
        raise lesson(
            f"tables-need-{kinds.pop()}" if len(kinds) == 1 else "models-and-tables-differ",
            seen="`upgrade` began with {start}. Between its tables and the models, autogenerate "
            "finds {count} differences: {differences}.",
            production="The code is written for tables that are not there. The next person who "
            "lets Alembic write a revision gets these changes into it.",
            look="Take one difference: which side has it, and which file would say so to the "
            "other?",
            start="an empty database" if start == "empty" else "a filled version 1",
            count=len(differences),
            differences=differences,
        )


@pytest.mark.goal
async def test_foreign_keys_have_an_index(register: Register) -> None:
    """After `upgrade`, the column of each foreign key has an index."""
    await register.begin_with("version 1")
    await register.upgrade()
    without = await register.references_without_index()
    if without:
        raise lesson(
            "foreign-key-without-index",
            seen="No index begins with {without}. The tables are {tables}.",
            production="To show one tree, the database reads every row of the other table. To "
            "remove a tree, it does so again, for each reference to it.",
            look="Who makes an index for a primary key, and who for a foreign key?",
            without=without,
            tables=sorted(await register.shape()),
        )


@pytest.mark.goal
async def test_downgrade_gives_version_1_back(register: Register) -> None:
    """`downgrade` to 0001 gives back version 1 with its rows, and `upgrade` works once more."""
    wanted = await register.begin_with("version 1")
    before = await register.content()
    await register.upgrade()
    await _expect_version_2(register, wanted, "The step `upgrade` has run")
    await register.downgrade("0001")
    after = await register.content()
    differences = await register.differences(VERSION_1)
    if differences or after != before:
        raise lesson(
            "not-version-1-again" if differences else "old-rows-changed",
            seen="After `downgrade` to 0001, {count} things are not as in version 1: "
            "{differences}. Before, the rows were {before}, now they are {after}.",
            production="The new version is taken back in a hurry, and the old one does not work "
            "with what it finds.",
            look="Which steps of the upgrade have no counterpart?",
            count=len(differences),
            differences=differences,
            before=str(before),
            after=str(after),
        )
    await register.upgrade()
    await _expect_version_2(register, wanted, "`upgrade`, `downgrade` and `upgrade` have run")


@pytest.mark.goal
async def test_stray_table_is_not_stepped_over(register: Register) -> None:
    """Where a table of another shape is in the way, `upgrade` fails and leaves all as it was."""
    await register.begin_with("version 1")
    await register.upgrade("0001")  # it works: what fails below, fails for the stray table
    columns = (sa.Column(name, sa.Integer) for name in ("tree_id", "roof"))
    stray = sa.Table("tasks", sa.MetaData(), *columns)
    await register.see(stray.create)
    before = await register.look()
    try:
        await asyncio.to_thread(register.module.upgrade, register.url)
    except (Exception, SystemExit) as error:
        after = await register.look()
        if after == before:
            return
        raise lesson(
            "failed-upgrade-leaves-changes",
            seen="Somebody had made a table `tasks` of his own, and `upgrade` ended with {kind}. "
            "Before it, the tables were {before}. Now they are {after}.",
            production="The deployment has stopped, and the tables are neither those of the old "
            "code nor those of the new one.",
            look="Which of the statements were final when one of them failed?",
            where=place_of_exception(error),
            kind=type(error).__name__,
            before=_tables(before[0]),
            after=_tables(after[0]),
        ) from error
    differences = await register.differences(register.module.Base.metadata)
    if differences:
        raise lesson(
            "stray-table-stepped-over",
            seen="Somebody had made a table `tasks` of his own, and `upgrade` ended without an "
            "exception. The tables are {tables}. Autogenerate finds {count} differences to the "
            "models: {differences}.",
            production="The deployment reports success. The first request that needs the table "
            "fails, and the revision will not run again.",
            look="What did `upgrade` do when it came to this table?",
            tables=_tables(await register.shape()),
            count=len(differences),
            differences=differences,
        )


@pytest.mark.goal
@pytest.mark.parametrize("start", ["version 1", "empty"])
async def test_worker_changes_no_table(register: Register, start: str) -> None:
    """A worker that starts before the step `upgrade`, and gets a request, changes no table."""
    await register.begin_with(start)
    looks = [await register.look()]
    # It may refuse to start, wait, or answer with an error: it may not repair the database.
    with machine(register, upgrades=False) as worker:
        await worker.until("started", limit=PATIENCE)
        looks.append(await register.look())
        worker.go_on()
        await worker.until(limit=PATIENCE)
    looks.append(await register.look())
    if looks[0] != looks[-1]:
        at_start = looks[0] != looks[1]
        by_revisions = looks[0][1].get("alembic_version") != looks[-1][1].get("alembic_version")
        how = "start-runs-revisions" if by_revisions else "start-changes-tables"
        raise lesson(
            how if at_start else "request-changes-tables",
            seen="A worker {what}, and `upgrade` was not run. Before it, the tables were "
            "{before}. After it, they are {after}.",
            production="Each worker of each machine does that, all at the same time, while others "
            "still serve with the old code.",
            look="Which line of the worker sends the changes?",
            what="was started" if at_start else "was started and got a request",
            before=_tables(looks[0][0]),
            after=_tables(looks[-1][0]),
        )
    await register.upgrade()
    async with register.worker() as client:
        response = await client.get("/trees/1")
        wanted = 404 if start == "empty" else 200
        expect_status(response, wanted, because="the database is at its version now")


@pytest.mark.goal
@pytest.mark.parametrize("start", ["version 1", "empty"])
async def test_two_machines_deploy_at_once(register: Register, start: str) -> None:
    """Two machines that upgrade and start at the same time both serve, and no row is harmed."""
    wanted = await register.begin_with(start)
    with machine(register, stop_before=(CHANGE_OF_A_TABLE, 1)) as first:
        await first.until("stops")
        with machine(register) as second:
            # They meet: one has looked at the version and is about to change the first table.
            await second.until("waits", limit=PATIENCE, other=register.somebody_waits)
            first.go_on()
            await first.until()
            await second.until()
            _expect_both_serve(first, second)
    await _expect_version_2(register, wanted, "Two machines have upgraded and serve")


@pytest.mark.goal
async def test_interrupted_upgrade_can_be_repeated(register: Register) -> None:
    """When `upgrade` is killed before its last statement, running it again makes version 2."""
    await register.begin_with("version 1")
    with statements() as sent:
        await register.upgrade()
    changes = [one for one in sent.sent if re.match(CHANGE, one.sql, re.IGNORECASE)]
    if not changes:
        raise lesson(
            "upgrade-changes-nothing",
            seen="`upgrade` sent {count} statements, and none of them changes anything. So there "
            "is nothing that could be interrupted and repeated. The tables are {tables}.",
            production="What changes the tables instead has no version. When it is interrupted, "
            "nobody can tell how far it came.",
            look="Which part of the program changes the tables, and when does it run?",
            count=len(sent.sent),
            tables=_tables(await register.shape()),
        )
    version = (await register.content())["alembic_version"]
    wanted = await register.begin_with("version 1")
    with machine(register, stop_before=(CHANGE, len(changes))) as killed:
        await killed.until("stops")
    assert "stops" in killed.said, f"the process to be killed said {killed.said}"
    statement = cut(str(killed.said["stops"]), 60)
    happened = f"`upgrade` was killed before its last statement ({statement}) and has run again"
    left = _tables(await register.shape())
    try:
        await register.upgrade()
    except Lesson as failed:
        raise lesson(
            "interrupted-upgrade-stays-broken",
            seen="`upgrade` was killed before `{statement}`, and left these tables: {left}. The "
            "next `upgrade` says: {message}",
            production="A machine was switched off in the middle. From now on no deployment "
            "succeeds, and somebody repairs the tables by hand.",
            look="Which of the statements were final at that moment, and what did the version "
            "say?",
            where=failed.where,
            statement=statement,
            left=left,
            message=str(failed.evidence["message"]),
        ) from failed
    await _expect_version_2(register, wanted, happened)
    now = (await register.content())["alembic_version"]
    if now != version:
        raise lesson(
            "wrong-version",
            seen="{happened}. The tables are those of version 2. The database says that it is at "
            "{now}, and after an upgrade without trouble it says {version}.",
            production="Each `upgrade` tries the same changes again, and fails or pretends that "
            "it did not.",
            look="What did the second run get from the database, and who was told of it?",
            happened=happened,
            now=_rows(now),
            version=_rows(version),
        )


@pytest.mark.guard
async def test_second_upgrade_changes_nothing(register: Register) -> None:
    """`upgrade` can be run twice: the second time it finds nothing to do."""
    await register.begin_with("version 1")
    await register.upgrade()
    once = await register.look()
    await register.upgrade()
    assert await register.look() == once
    versions = once[1]["alembic_version"]
    assert len(versions) == 1, f"the database has {len(versions)} versions: {versions}"


@pytest.mark.guard
async def test_failed_upgrade_is_told(register: Register) -> None:
    """An `upgrade` that cannot make version 2 ends with an exception, so the deployment stops."""
    await register.upgrade()
    await register.clear()
    # Somebody has made a table of his own with this name. No revision can know what is in it.
    table = sa.Table("inspections", sa.MetaData(), sa.Column("of_the_roofs", sa.Integer))
    await register.see(table.create)
    with pytest.raises((Exception, SystemExit)):
        await asyncio.to_thread(register.module.upgrade, register.url)


@pytest.mark.guard
async def test_waiting_in_vain_is_told(register: Register) -> None:
    """An `upgrade` that does not get the lock of SQLite ends with an exception, or tries again."""
    if register.engine.dialect.name != "sqlite":
        # PostgreSQL lets it wait for as long as it takes: then it is done.
        await register.upgrade("0001")
        assert not await register.differences(VERSION_1)
        return
    path = str(sa.make_url(register.url).database)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def without_patience(cursor: Any, sql: str, parameters: Any, context: Any) -> bool:
        cursor.execute("PRAGMA busy_timeout = 0")
        try:
            cursor.execute(sql, parameters)
        except context.dialect.dbapi.OperationalError:
            other.rollback()  # It waited in vain. Whoever tries again succeeds.
            raise
        return True

    event.listen(Engine, "do_execute", without_patience)
    try:
        other.execute("BEGIN IMMEDIATE")
        await asyncio.to_thread(register.module.upgrade, register.url)
    except (Exception, SystemExit):  # noqa: BLE001 - whatever it is, it was told
        told = True
    else:
        told = False
    finally:
        event.remove(Engine, "do_execute", without_patience)
        other.close()
    if told:
        await register.upgrade("0001")  # now that nobody has the lock, it works
        return
    differences = await register.differences(register.module.Base.metadata)
    assert not differences, (
        "`upgrade` waited in vain for the lock and ended without an exception. "
        f"To the models it lacks: {', '.join(differences)}"
    )


@pytest.mark.guard
async def test_published_revision_stays(register: Register) -> None:
    """Revision 0001 goes on making version 1, as it did in production."""
    await register.upgrade("0001")
    differences = await register.differences(VERSION_1)
    assert not differences, f"0001 does not make version 1 any more: {', '.join(differences)}"
    assert (await register.content())["alembic_version"] == [{"version_num": "0001"}]


@pytest.mark.guard
@pytest.mark.parametrize("start", ["version 1", "empty"])
async def test_revisions_do_not_follow_the_models(register: Register, start: str) -> None:
    """What the models get after version 2 does not come into the tables by old revisions."""
    await register.begin_with(start)
    metadata = register.module.Base.metadata
    for table in list(metadata.tables.values()):
        table.append_column(sa.Column("of_version_3", sa.Integer, index=True))
    sa.Table("of_version_3", metadata, sa.Column("id", sa.Integer, primary_key=True))
    await register.upgrade()
    shape = await register.shape()
    if "of_version_3" in str(shape):
        raise lesson(
            "revision-follows-the-models",
            seen="One table and one column were added to the models, for a version 3 that has no "
            "revision yet. `upgrade` has made {tables}.",
            production="The same revision makes other tables each year. The revision of version 3 "
            "finds its column there already, and crashes on each new database.",
            look="What does your revision read, besides its own lines?",
            tables=_tables(shape),
        )


@pytest.mark.guard
async def test_old_trees_are_served(register: Register) -> None:
    """After the deployment, each tree of version 1 is shown with its findings."""
    await register.begin_with("version 1")
    await register.upgrade()
    async with register.worker() as client:
        for tree in AS_VERSION_2["trees"]:
            response = await client.get(f"/trees/{tree['id']}")
            expect_status(response, 200, because="the tree was there before")
            found = [row for row in OLD_INSPECTIONS if row["tree_id"] == tree["id"]]
            wanted = {**tree, "findings": [row["note"] for row in found], "tasks": []}
            assert response.json() == wanted


@pytest.mark.guard
async def test_tasks_can_be_noted(register: Register) -> None:
    """A task of a tree is stored and shown; an unknown tree is 404, an empty task is 422."""
    await register.begin_with("version 1")
    await register.upgrade()
    async with register.worker() as client:
        for what in ("Water it", "Tie it up"):
            response = await client.post("/trees/7/tasks", json={"what": what})
            expect_status(response, 201, because="tree 7 is in the register")
        shown = await client.get("/trees/7")
        unknown = await client.post("/trees/3/tasks", json={"what": "Water it"})
        empty = await client.post("/trees/7/tasks", json={"what": ""})
    assert shown.json()["tasks"] == ["Water it", "Tie it up"]
    expect_status(unknown, 404, because="the register has no tree 3")
    expect_status(empty, 422, because="a task says what is to be done")


async def _expect_version_2(
    register: Register, wanted: dict[str, Rows], happened: str
) -> None:
    """Fail with a lesson unless the rows are those of version 2, and the database says so."""
    content, shape = await register.content(), await register.shape()
    version = content.get("alembic_version", [])
    for name, rows in wanted.items():
        there = shape.get(name, "").split(", ")
        missing = [column for column in COLUMNS_OF_VERSION_2[name] if column not in there]
        if missing:
            raise lesson(
                "not-version-2",
                seen="{happened}. The table {table} should have {missing} now. The tables are: "
                "{tables}.",
                production="The new code starts, and its first request fails: no such column. Or "
                "something else makes the column, and no revision knows of it.",
                look="Which revisions does `upgrade` find, and what do they do?",
                happened=happened,
                table=name,
                missing=missing,
                tables=_tables(shape),
            )
        if content[name] != rows:
            raise lesson(
                "rows-changed",
                seen="{happened}. The rows of {table} should be {rows}. They are {found}.",
                production="The deployment reports success. What is lost is found months later, "
                "when no backup has it any more.",
                look="Follow one value through each statement of the revision. Where does it stay?",
                happened=happened,
                table=name,
                rows=_rows(rows),
                found=_rows(content[name]),
            )
    if len(version) != 1:
        raise lesson(
            "not-one-version",
            seen="{happened}. The table of versions has {count} rows: {rows}.",
            production="The next `upgrade` does not know from where to go on.",
            look="Who writes the version, and how often did it run?",
            happened=happened,
            count=len(version),
            rows=_rows(version),
        )


def _expect_both_serve(first: Machine, second: Machine) -> None:
    """Fail with a lesson unless both machines upgraded, started and answered a request."""
    machines = {"first": first, "second": second}
    failed = {name: one for name, one in machines.items() if "done" not in one.said}
    if not failed:
        return
    told: list[str] = []
    places: list[Place | None] = []
    for name, one in failed.items():
        message, place = one.said.get("failed", ("it did not come to an end", None))
        told.append(f"the {name} one: {cut(message, 160)}")
        places.append(place)
    raise lesson(
        "one-machine-fails",
        seen="The first of two machines had looked at the database, and was about to send "
        "`{statement}`, when the second one began. Of the two, {count} failed: {told}",
        production="A deployment starts all machines together. The quick ones serve, the others "
        "restart or stay away, and it is another one each time.",
        look="What did the second machine find when it looked, and what was true when it wrote?",
        where=places,
        statement=cut(str(first.said.get("stops", "nothing")), 60),
        count=len(failed),
        told=told,
    )


def _tables(shape: dict[str, str]) -> str:
    return "; ".join(f"{table} ({names})" for table, names in shape.items()) or "none"


def _rows(rows: Rows) -> str:
    return cut("; ".join(", ".join(map(str, row.values())) for row in rows) or "none", 300)


def _in_words(change: Any) -> str:
    """Say in one line what autogenerate would do."""
    if isinstance(change, list):
        kind, _, table, column, *_ = change[0]
        return f"{kind} {table}.{column}"
    words = [part if isinstance(part, str) else getattr(part, "name", None) for part in change]
    for part in change:
        columns: list[Any] = list(getattr(part, "columns", []))
        words += [f"({', '.join(column.name for column in columns)})"] if columns else []
    return " ".join(filter(None, words))


if __name__ == "machine":
    file, *job = globals()["JOB"]
    with Target(Path(file).parent).loaded() as target:
        target.DATABASE_URL = job[1]
        _work(target, *job)
