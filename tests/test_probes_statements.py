"""The statements probe sees what engines of both kinds send, and from which line."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from fastapi_katas.probes import statements


async def fill(url: str) -> None:
    """Make a table with five rows."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE shelf (number INTEGER)"))
        await connection.execute(
            text("INSERT INTO shelf VALUES (:number)"), [{"number": n} for n in range(5)]
        )
    await engine.dispose()


async def read_one_by_one(url: str) -> list[int]:
    """Send one statement for all rows, and one for each."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        numbers = list(await connection.scalars(text("SELECT number FROM shelf")))
        for number in numbers:
            await connection.execute(
                text("SELECT *\n  FROM shelf WHERE number = :number"), {"number": number}
            )
    await engine.dispose()
    return numbers


@pytest.mark.parametrize("count_rows", [False, True])
async def test_statements_of_an_async_engine_are_seen(
    database_url: str, *, count_rows: bool
) -> None:
    await fill(database_url)

    with statements(count_rows=count_rows) as sent:
        numbers = await read_one_by_one(database_url)

    assert sorted(numbers) == [0, 1, 2, 3, 4], "the probe takes no row away"
    (most, times), (first, once) = sent.grouped()
    assert (times, once) == (5, 1)
    assert most.sql.startswith("SELECT * FROM shelf"), "white space is made even"
    assert first.rows == (5 if count_rows else None)
    assert sent.rows == (10 if count_rows else 0)
    assert most.place is not None
    assert (most.place.function, first.place and first.place.function) == ("read_one_by_one",) * 2
    assert most.place.line != (first.place and first.place.line)


async def test_writes_are_seen_and_are_no_reads(database_url: str) -> None:
    with statements(count_rows=True) as sent:
        await fill(database_url)

    assert [statement.sql.split()[0] for statement in sent.sent] == ["CREATE", "INSERT"]
    assert sent.reads == []
    assert [statement.rows for statement in sent.sent] == [None, None]


def test_statements_of_a_synchronous_engine_are_seen(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")

    with statements(count_rows=True) as sent, engine.connect() as connection:
        connection.execute(text("VALUES (1), (2)"))
        with pytest.raises(OperationalError, match="no such table"):
            connection.execute(text("SELECT * FROM nowhere"))
    engine.dispose()

    values, failed = sent.sent
    assert (values.rows, values.reads) == (2, True)
    assert failed.rows is None, "what fails yields nothing, and fails as it does by itself"
    assert values.place is not None
    assert values.place.file == __file__


def test_nothing_is_seen_after_the_end(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    with statements() as sent:
        pass
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()

    assert sent.sent == []
