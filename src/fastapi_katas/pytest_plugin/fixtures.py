"""The fixtures through which a kata's tests reach the module under test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

#: A start or a stop that takes longer is a fault of the module. Starting a process may be slow.
_LIFESPAN_SECONDS = 15.0

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI

    from fastapi_katas.probes.heartbeat import Heartbeat
    from fastapi_katas.probes.upstream import Upstream
    from fastapi_katas.pytest_plugin.target import Module


@pytest.fixture
def module(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Module]:
    """The module under test, executed afresh for this test.

    Set environment variables before it is loaded, with an autouse fixture of the kata.
    """
    # Each httpx client reads all root certificates of the system: 30 to 60 ms of one core. No kata
    # speaks TLS, so the clients of a run find a folder without any.
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(Path(__file__).parent))

    from fastapi_katas.pytest_plugin import target_of  # circular otherwise

    target = target_of(request.config, request.path.parent)
    with target.loaded() as loaded:
        if request.config.getoption("--kata-sabotage"):
            from fastapi_katas.pytest_plugin.sabotage import sabotage

            sabotage(object.__getattribute__(loaded, "_module"))
        yield loaded


@pytest.fixture
def raw_app(module: Module) -> FastAPI:
    """The application of the module, without its lifespan."""
    from fastapi import FastAPI  # kept out of pytest runs without katas

    from fastapi_katas.pytest_plugin.target import TargetFault

    application: Any = module.app
    if not isinstance(application, FastAPI):
        file = object.__getattribute__(module, "_target").entry
        message = f"`app` is a {type(application).__name__}, not a FastAPI application."
        raise TargetFault("no-app", message, file)
    return application


@pytest_asyncio.fixture(loop_scope="function")
async def app(raw_app: FastAPI) -> AsyncIterator[Any]:
    """The application with its lifespan running, as an ASGI callable for probes and transports."""
    from asgi_lifespan import LifespanManager

    from fastapi_katas.probes.places import place_of_exception
    from fastapi_katas.pytest_plugin.target import TargetFault

    async def served(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            # As a server does: a request cannot leave anything behind for the next one.
            scope["state"] = scope["state"].copy()
        await raw_app(scope, receive, send)

    manager = LifespanManager(served, _LIFESPAN_SECONDS, _LIFESPAN_SECONDS)
    try:
        await manager.__aenter__()
    except Exception as error:
        place = place_of_exception(error)
        message = f"The application does not start: {type(error).__name__}: {error}"
        file, line = (place.file, place.line) if place else ("the lifespan of app", 0)
        raise TargetFault("start-up", message, file, line) from error
    try:
        yield manager.app
    finally:
        await manager.__aexit__(None, None, None)


@pytest_asyncio.fixture(loop_scope="function")
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An httpx client that talks to the application in this process.

    A crash becomes a 500 whose exception ``probes.crash_of`` returns.
    """
    import httpx

    from fastapi_katas.probes.http import WatchingTransport

    async with httpx.AsyncClient(
        transport=WatchingTransport(app), base_url="http://testserver"
    ) as http:
        yield http


@pytest_asyncio.fixture(loop_scope="function")
async def heartbeat() -> AsyncIterator[Heartbeat]:
    """The heartbeat of the test's event loop, beating from before the module is loaded."""
    from fastapi_katas.probes.heartbeat import Heartbeat

    async with Heartbeat() as beats:
        yield beats


@pytest_asyncio.fixture(loop_scope="function")
async def upstream(heartbeat: Heartbeat) -> AsyncIterator[Upstream]:
    """A real HTTP server on the loopback interface that the module can call."""
    from fastapi_katas.probes.upstream import Upstream

    with Upstream(heartbeat) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="function")
async def database_url(tmp_path: Path) -> AsyncIterator[str]:
    """The address of an empty database that belongs to this test alone.

    It is an SQLite file, or a database on the PostgreSQL server that ``KATA_DATABASE_URL`` names.
    """
    from fastapi_katas.pytest_plugin.database import fresh_database

    async with fresh_database(tmp_path) as address:
        yield address
