"""Firings: book one, look at it, and finish it."""

from fastapi import APIRouter, HTTPException, Response
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from .dependencies import Notify, Session
from .models import Firing, NewFiring, firings, kilns

router = APIRouter(prefix="/firings", tags=["firings"])


@router.post("", status_code=201)
async def book_firing(
    new: NewFiring, session: Session, notify: Notify, response: Response
) -> Firing:
    """Book a kiln for one firing, and confirm it by mail."""
    found = await session.execute(select(kilns).where(kilns.c.name == new.kiln))
    kiln = found.one_or_none()
    if kiln is None:
        raise HTTPException(404, "There is no such kiln")
    if new.height + 2 > kiln.height:  # the air above the ware
        raise HTTPException(409, "The ware is too high for this kiln")
    if new.heat > kiln.heat:
        raise HTTPException(409, "This kiln does not get so hot")
    fee = max(2000, -(-new.heat // 100) * 250)  # cents, for each 100 degrees that are begun
    firing = Firing(**new.model_dump(), fee=fee)
    try:
        await session.execute(insert(firings).values(firing.model_dump()))
        await session.commit()
    except IntegrityError:
        raise HTTPException(409, "This kiln is booked already") from None
    notify(firing.potter, f"Kiln {firing.kiln} is yours. The fee is {fee} cents.")
    response.headers["Location"] = f"/firings/{firing.kiln}"
    return firing


@router.get("/{kiln}")
async def show_firing(kiln: str, session: Session) -> Firing:
    """Show the firing for which a kiln is booked."""
    found = await session.execute(select(firings).where(firings.c.kiln == kiln))
    row = found.one_or_none()
    if row is None:
        raise HTTPException(404, "This kiln is not booked")
    return Firing.model_validate(row)


@router.delete("/{kiln}", status_code=204)
async def finish_firing(kiln: str, session: Session, notify: Notify) -> None:
    """Make a kiln free again, and ask for the fee by mail."""
    gone = await session.execute(delete(firings).where(firings.c.kiln == kiln).returning(firings))
    row = gone.one_or_none()
    if row is None:
        raise HTTPException(404, "This kiln is not booked")
    await session.commit()
    notify(row.potter, f"Your ware in kiln {kiln} is done. Please pay {row.fee} cents.")
