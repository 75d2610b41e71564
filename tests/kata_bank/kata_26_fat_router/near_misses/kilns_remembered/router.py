"""Firings: book one, look at it, and finish it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from .dependencies import Notify, Session
from .models import Firing, NewFiring
from .repository import FiringRepository
from .service import Studio

router = APIRouter(prefix="/firings", tags=["firings"])


async def get_service(session: Session, notify: Notify) -> Studio:
    """Put the studio together for one request."""
    return Studio(FiringRepository(session), notify)


Service = Annotated[Studio, Depends(get_service)]


@router.post("", status_code=201)
async def book_firing(new: NewFiring, service: Service, response: Response) -> Firing:
    """Book a kiln for one firing, and confirm it by mail."""
    firing = await service.book(new)
    response.headers["Location"] = f"/firings/{firing.kiln}"
    return firing


@router.get("/{kiln}")
async def show_firing(kiln: str, service: Service) -> Firing:
    """Show the firing for which a kiln is booked."""
    return await service.show(kiln)


@router.delete("/{kiln}", status_code=204)
async def finish_firing(kiln: str, service: Service) -> None:
    """Make a kiln free again, and ask for the fee by mail."""
    await service.finish(kiln)
