"""Near-miss: the exceptions take their status from the constants of the framework.

Rejected by: test_rules_import_no_web_framework
Coach: `service.py` imports from the web framework itself. The exceptions are yours, but they say
    what only a request understands.
Why: One handler can then answer all of them.
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


async def refuse(request: Request, error: Any) -> JSONResponse:
    """Answer with the status of the refusal."""
    return JSONResponse({"detail": str(error)}, status_code=error.status)


def create_app() -> FastAPI:
    """Make an application of its own."""
    app = FastAPI(title="Pottery studio", lifespan=lifespan)
    app.include_router(router)
    app.add_exception_handler(NotThereError, refuse)
    app.add_exception_handler(NotPossibleError, refuse)
    return app


app = create_app()
