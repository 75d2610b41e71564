"""Alternative: an abstract class for the repository, and one exception with a reason code.

Right because: `ports.py` stands below service and repository, and both import it. The code says
    what is wrong in words of the studio. Only the router knows the status of a code.
Trade-off: One more file, and each new repository must inherit.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from .ports import StudioError
from .router import refuse, router


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
    app.add_exception_handler(StudioError, refuse)
    return app


app = create_app()
