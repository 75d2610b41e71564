"""Near-miss: a new lock in every request.

Rejected by: test_three_of_twenty_buyers_get_a_print, test_stock_ends_at_zero,
    test_only_buyers_who_get_a_print_pay, test_last_print_is_promised_to_one_buyer
Coach: Two buyers still pass the check before either of them has taken the print. A lock that only
    one request can see, that is let go before the payment, or that lets in its own thread holds
    nobody back, and a pause only moves the moment.
Why: A lock "in the function" looks local and tidy, and `async with` reads like protection.
"""

import asyncio

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

app = FastAPI(title="Print studio")


class Edition(BaseModel):
    title: str
    left: int
    version: int = 1


class Count(BaseModel):
    left: int = Field(ge=0)
    version: int


class OrderIn(BaseModel):
    buyer: str = Field(min_length=1, max_length=80)


class Order(BaseModel):
    number: int
    title: str
    buyer: str


class PaymentError(Exception):
    """The bank refuses the payment."""


async def charge(buyer: str, title: str) -> None:
    """Take the money for one print from the bank of the buyer."""
    await asyncio.sleep(0.02)


async def book(number: int, title: str) -> None:
    """Enter a sale in the books of the studio."""
    await asyncio.sleep(0.01)


class Shelf:
    """Keeps the editions. Each call is a trip to the storage, each change raises the version."""

    def __init__(self, **left: int) -> None:
        self._editions = {title: Edition(title=title, left=count) for title, count in left.items()}

    async def find(self, title: str) -> Edition | None:
        await asyncio.sleep(0)
        return self._editions.get(title)

    async def add(self, title: str, change: int) -> None:
        await asyncio.sleep(0)
        old = self._editions[title]
        self._editions[title] = Edition(
            title=title, left=old.left + change, version=old.version + 1
        )

    async def replace(self, title: str, left: int, version: int) -> bool:
        """Set what is left, if the edition still has this version."""
        await asyncio.sleep(0)
        if self._editions[title].version != version:
            return False
        self._editions[title] = Edition(title=title, left=left, version=version + 1)
        return True


shelf = Shelf(moon=3, tide=8, dune=8, fern=1)
last_number = 0


async def next_number(title: str) -> int:
    """Count the orders, and enter each one in the books under its number."""
    global last_number
    last_number += 1
    number = last_number
    await book(number, title)
    return number


async def edition_or_404(title: str) -> Edition:
    edition = await shelf.find(title)
    if edition is None:
        raise HTTPException(status_code=404, detail="There is no such edition")
    return edition


@app.get("/editions/{title}")
async def get_edition(title: str) -> Edition:
    return await edition_or_404(title)


@app.put("/editions/{title}")
async def correct_stock(title: str, count: Count) -> Edition:
    """Write down what was counted, unless the edition has changed meanwhile."""
    await edition_or_404(title)
    if not await shelf.replace(title, count.left, count.version):
        raise HTTPException(status_code=409, detail="The edition has changed since it was counted")
    return await edition_or_404(title)


@app.post("/editions/{title}/orders", status_code=201)
async def buy(title: str, order: OrderIn) -> Order:
    """Sell one print, if there is one left."""
    lock = asyncio.Lock()
    async with lock:
        edition = await edition_or_404(title)
        if edition.left < 1:
            raise HTTPException(status_code=409, detail="The edition is sold out")
        try:
            await charge(order.buyer, title)
        except PaymentError:
            raise HTTPException(status_code=402, detail="The payment was refused") from None
        await shelf.add(title, -1)
    return Order(number=await next_number(title), title=title, buyer=order.buyer)
