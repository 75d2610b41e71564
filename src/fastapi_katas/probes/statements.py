"""Statements: what the code under test really sends to its database, and from which line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi_katas.probes.places import Place, place_in_stack

if TYPE_CHECKING:
    from sqlalchemy import Connection

_READS = ("SELECT", "WITH", "VALUES")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as the driver got it.

    Attributes:
        sql: The text, with placeholders; every run of white space is one space.
        parameters: The values for the placeholders, as the driver takes them.
        place: The innermost own line on the way to it, or ``None``.
        rows: For a statement that reads: how many rows it yields. ``None`` for others, and when
            rows are not counted.
    """

    sql: str
    parameters: Any
    place: Place | None
    rows: int | None = None

    @property
    def reads(self) -> bool:
        """Whether it asks for rows and changes nothing."""
        return _reads(self.sql)


@dataclass
class Statements:
    """The statements of every SQLAlchemy engine, synchronous or not, in the order of sending.

    Attributes:
        sent: The statements so far.
    """

    sent: list[Statement] = field(default_factory=list)

    @property
    def reads(self) -> list[Statement]:
        """The statements that ask for rows."""
        return [statement for statement in self.sent if statement.reads]

    @property
    def rows(self) -> int:
        """How many rows all of them together yield, where they were counted."""
        return sum(statement.rows or 0 for statement in self.sent)

    def grouped(self) -> list[tuple[Statement, int]]:
        """Group equal statements.

        Returns:
            The first statement of each group and how many there are, the largest group first.
        """
        groups: dict[str, list[Statement]] = {}
        for statement in self.sent:
            groups.setdefault(statement.sql, []).append(statement)
        largest_first = sorted(groups.values(), key=len, reverse=True)
        return [(group[0], len(group)) for group in largest_first]


@contextmanager
def statements(*, count_rows: bool = False) -> Iterator[Statements]:
    """Record every statement that SQLAlchemy sends, in whatever thread.

    What the driver does by itself (``BEGIN``, ``PRAGMA`` of a dialect at its first connection) is
    not recorded when it does not pass through SQLAlchemy's cursor.

    Args:
        count_rows: Whether to find out how many rows each reading statement yields. It is asked
            for once more, as a sub-query, on the same connection.

    Yields:
        The record; it grows while the block runs.
    """
    from sqlalchemy import Engine, event  # most katas have no database

    record = Statements()

    def note(
        connection: Connection,
        cursor: Any,
        sql: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> None:
        del cursor, context, executemany
        text = " ".join(sql.split())
        rows = _count(connection, sql, parameters) if count_rows and _reads(text) else None
        record.sent.append(Statement(text, parameters, _place(), rows))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield record
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def _reads(sql: str) -> bool:
    return sql.upper().startswith(_READS)


def _count(connection: Connection, sql: str, parameters: Any) -> int | None:
    """Ask, past SQLAlchemy's events, how many rows a statement yields."""
    cursor = connection.connection.cursor()
    try:
        # The text is one that SQLAlchemy is about to send itself, with its own parameters.
        cursor.execute(f"SELECT count(*) FROM ({sql}) AS counted", parameters)  # noqa: S608
        (number,) = cursor.fetchone() or (0,)
        return int(number)
    except Exception:  # noqa: BLE001 - each driver has its own
        return None  # the statement itself is wrong, and SQLAlchemy is about to say so
    finally:
        cursor.close()


def _place() -> Place | None:
    """Find the own line that sends the statement now.

    SQLAlchemy's asyncio extension runs its synchronous part in a greenlet. The stack of that ends
    where the greenlet begins; the coroutine that waits for it is on the stack of its parent.
    """
    import greenlet  # type: ignore[import-untyped]

    place = place_in_stack(sys._getframe(2))
    current: Any = greenlet.getcurrent().parent
    while place is None and current is not None:
        place = place_in_stack(current.gr_frame)
        current = current.parent
    return place
