"""Near-miss: the changes by hand have moved from the start into the step `upgrade`.

Rejected by: test_tables_agree_with_the_models, test_downgrade_gives_version_1_back
Coach: The step makes the columns, and no revision says so: the version stays 0001, and there is
    no way back.
Why: It is the old code at the right place.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from alembic import command
from alembic.config import Config
from fastapi import Depends, FastAPI, HTTPException, Request, status
from pydantic import BaseModel, Field
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from .models import Base, Inspection, Task, Tree

DATABASE_URL = "sqlite+aiosqlite:///trees.db"


class NewTask(BaseModel):
    what: Annotated[str, Field(min_length=1, max_length=200)]


class ShownTree(BaseModel):
    id: int
    species: str
    street: str
    protected: bool
    findings: list[str | None]
    tasks: list[str]


def alembic_config(url: str) -> Config:
    """Tell Alembic where the migrations and the database are."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes.update(url=url, metadata=Base.metadata)
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Bring a database up to a revision."""
    command.upgrade(alembic_config(url), revision)
    if revision == "head":
        asyncio.run(change_by_hand(url))


async def change_by_hand(url: str) -> None:
    """Make what is missing."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(36)")
        await connection.run_sync(add_what_is_missing)
    await engine.dispose()


def add_what_is_missing(connection: Connection) -> None:
    """Make the tables and the columns that an older database does not have."""
    Base.metadata.create_all(connection)
    database = inspect(connection)
    if "protected" not in {column["name"] for column in database.get_columns("trees")}:
        connection.execute(text("ALTER TABLE trees ADD COLUMN protected BOOLEAN"))
        connection.execute(text("UPDATE trees SET protected = FALSE"))
    if "finding" not in {column["name"] for column in database.get_columns("inspections")}:
        connection.execute(text("ALTER TABLE inspections RENAME COLUMN note TO finding"))


def downgrade(url: str, revision: str) -> None:
    """Take a database back to a revision."""
    command.downgrade(alembic_config(url), revision)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open the database, and close it at the end. A step before has run `upgrade`."""
    engine = create_async_engine(DATABASE_URL)
    try:
        yield {"sessions": async_sessionmaker(engine)}
    finally:
        await engine.dispose()


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Lend a session to one request."""
    async with request.state.sessions() as session, session.begin():
        yield session


Session = Annotated[AsyncSession, Depends(get_session, scope="function")]

app = FastAPI(title="Tree register", lifespan=lifespan)


@app.get("/trees/{tree_id}")
async def show_tree(tree_id: int, session: Session) -> ShownTree:
    """Show a tree with its findings, oldest first, and its tasks."""
    tree = await session.get(Tree, tree_id)
    if tree is None:
        raise HTTPException(404, "The register has no such tree")
    findings = select(Inspection.finding).where(Inspection.tree_id == tree_id)
    tasks = select(Task.what).where(Task.tree_id == tree_id).order_by(Task.id)
    return ShownTree(
        id=tree.id,
        species=tree.species,
        street=tree.street,
        protected=tree.protected,
        findings=list(await session.scalars(findings.order_by(Inspection.day, Inspection.id))),
        tasks=list(await session.scalars(tasks)),
    )


@app.post("/trees/{tree_id}/tasks", status_code=status.HTTP_201_CREATED)
async def add_task(tree_id: int, task: NewTask, session: Session) -> NewTask:
    """Note what is to be done on a tree."""
    if await session.get(Tree, tree_id) is None:
        raise HTTPException(404, "The register has no such tree")
    session.add(Task(tree_id=tree_id, what=task.what))
    return task
