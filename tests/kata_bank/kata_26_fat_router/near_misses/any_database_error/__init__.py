"""Near-miss: `add` takes every error of the database for a kiln that is booked.

Rejected by: test_last_moment_is_seen_by_the_database
Coach: Your `add` says "booked" to every error of the database. While the disk is full or the
    database is locked, every free kiln is answered with 409, and nobody sees an error.
Why: `SQLAlchemyError` is the base of them all, and only one is expected here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from .router import router
from .service import NotPossibleError, NotThereError


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="STUDIO_")

    database_url: SecretStr


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Make the engine, and close it at the end. A migration has made the tables."""
    settings = Settings()  # type: ignore[call-arg]  # the environment gives the fields
    engine = create_async_engine(settings.database_url.get_secret_value())
    try:
        yield {"sessions": async_sessionmaker(engine)}
    finally:
        await engine.dispose()


async def answer_404(request: Request, error: Exception) -> JSONResponse:
    """Say that something does not exist."""
    return JSONResponse({"detail": str(error)}, status_code=404)


async def answer_409(request: Request, error: Exception) -> JSONResponse:
    """Say that a rule stands against it."""
    return JSONResponse({"detail": str(error)}, status_code=409)


def create_app() -> FastAPI:
    """Make an application of its own."""
    app = FastAPI(title="Pottery studio", lifespan=lifespan)
    app.include_router(router)
    app.add_exception_handler(NotThereError, answer_404)
    app.add_exception_handler(NotPossibleError, answer_409)
    return app


app = create_app()
