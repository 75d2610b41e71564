"""What FastAPI hands to the endpoints: a session, and a way to send mail."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import BackgroundTasks, Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Lend a session to one request."""
    async with request.state.sessions() as session:
        yield session


async def send_mail(to: str, text: str) -> None:
    """Hand a message to the mail server."""
    await asyncio.sleep(0.2)


async def get_notify(tasks: BackgroundTasks) -> Callable[[str, str], None]:
    """Give a function that notes a mail, to be sent after the answer."""

    def notify(to: str, text: str) -> None:
        tasks.add_task(send_mail, to, text)

    return notify


Session = Annotated[AsyncSession, Depends(get_session)]
Notify = Annotated[Callable[[str, str], None], Depends(get_notify)]
