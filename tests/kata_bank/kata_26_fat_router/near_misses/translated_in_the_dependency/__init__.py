"""Near-miss: `get_service` catches the refusals after its `yield`.

Rejected by: test_router_only_translates
Coach: Your refusals get their status in `get_service`. With another service in its place, nobody
    translates them, and each one is a 500.
Why: It is one place for all endpoints, and there the service is at hand.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from .router import router


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


def create_app() -> FastAPI:
    """Make an application of its own."""
    app = FastAPI(title="Pottery studio", lifespan=lifespan)
    app.include_router(router)
    return app


app = create_app()
