"""Near-miss: the revision makes what is not there yet, and steps over what is.

Rejected by: test_stray_table_is_not_stepped_over
Coach: Your revision takes a table of the right name for the right table. It reports version 2, and
    the columns are those of somebody else.
Why: `if_not_exists=True` makes "table tasks already exists" go away.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from alembic import command
from alembic.config import Config
from fastapi import Depends, FastAPI, HTTPException, Request, status
from pydantic import BaseModel, Field
from sqlalchemy import select
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
