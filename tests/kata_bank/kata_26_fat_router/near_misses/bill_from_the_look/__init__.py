"""Near-miss: the service bills the firing that it looked at, and only then removes it.

Rejected by: test_show_and_finish_need_no_http
Coach: Your service writes its bill by what `firing()` has shown. `remove()` may give another
    firing: one that was booked anew in between. Its kiln is freed, and its potter gets no bill.
Why: `remove()` is asked whether there was something, which looks careful enough.
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
