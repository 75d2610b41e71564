"""The print studio must sell each print once, on every event loop, and editions side by side."""

import asyncio
import re
import sys
import threading
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from fastapi_katas.probes import (
    Place,
    WatchingTransport,
    crash_of,
    expect_status,
    lesson,
    place_in_stack,
    place_of_exception,
    place_of_task,
    turns,
)

BUYERS = 20
STOCK = {"moon": 3, "tide": 8, "dune": 8, "fern": 1}
TURNS = 200
LIMIT_SECONDS = 2.0
SELLS = "a print that is left is sold"


class Bank:
    """Stands in for `charge`: a payment takes many turns of the loop, or until it is released."""

    def __init__(self) -> None:
        self.asked = 0
        self.paying: list[str] = []
        self.most_paying = 0
        self.lines: list[Place | None] = []
        self.failure: Exception | None = None
        self.fails_for = ""
        self.somebody_pays = asyncio.Event()
        self.all_pay = asyncio.Event()
        self.release: asyncio.Event | None = None

    async def charge(self, buyer: str, title: str) -> None:
        self.asked += 1
        self.lines.append(place_in_stack(sys._getframe()))
        self.paying.append(title)
        self.most_paying = max(self.most_paying, len(self.paying))
        self.somebody_pays.set()
        if len(self.paying) == len(STOCK):
            self.all_pay.set()
        try:
            if self.release is None:
                await turns(TURNS)
            else:
                await self.release.wait()
        finally:
            self.paying.remove(title)
        if self.failure is not None and self.fails_for in ("", buyer):
            raise self.failure


class Books:
    """Stands in for `book`: an entry takes many turns of the loop."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, str]] = []
        self.fail_for = ""

    async def book(self, number: int, title: str) -> None:
        await turns(TURNS)
        if title == self.fail_for:
            raise ConnectionError("the books cannot be reached")
        self.entries.append((number, title))


class WatchedLock:
    """A `threading.Lock` that tells when a thread would wait for itself, and does not hang.

    The thread of an event loop that waits for a lock it holds already can never let go of it:
    the coroutine that would do so runs in this very thread.
    """

    stops: list[Place | None] = []  # noqa: RUF012 - one list per test, put here by a fixture
    _make = staticmethod(threading.Lock)

    def __init__(self) -> None:
        self._lock = self._make()
        self._holder = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        taken = self._lock.acquire(blocking=False)
        if not taken and blocking:
            on_loop = asyncio._get_running_loop() is not None
            if not (on_loop and self._holder == threading.get_ident()):
                taken = self._lock.acquire(blocking, timeout)
            else:
                self.stops.append(place_in_stack(sys._getframe()))
                if timeout < 0:
                    raise RuntimeError("this thread waits for a lock that it holds itself")
        if taken:
            self._holder = threading.get_ident()
        return taken

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def __getattr__(self, name: str) -> object:
        return getattr(self._lock, name)


@pytest.fixture(autouse=True)
def stops(monkeypatch: pytest.MonkeyPatch) -> list[Place | None]:
    """The lines at which the loop would wait for itself; watched before the module is loaded."""
    seen: list[Place | None] = []
    monkeypatch.setattr(WatchedLock, "stops", seen)
    monkeypatch.setattr(threading, "Lock", WatchedLock)
    return seen


@pytest.fixture(autouse=True)
def pauses_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause only gives the loop back; set before the module is loaded.

    So the tests need no time, and nobody gets past another one by waiting for a while.
    """
    sleep = asyncio.sleep

    async def pause(delay: float, result: object = None) -> object:
        return await sleep(0, result)

    monkeypatch.setattr(asyncio, "sleep", pause)


@pytest.fixture
def bank(module: Any) -> Bank:
    """The bank of all buyers."""
    bank = Bank()
    module.charge = bank.charge
    return bank


@pytest.fixture
def books(module: Any) -> Books:
    """The books of the studio."""
    books = Books()
    module.book = books.book
    return books


@pytest.mark.goal
async def test_three_of_twenty_buyers_get_a_print(
    bank: Bank, books: Books, client: httpx.AsyncClient, stops: list[Place | None]
) -> None:
    """Twenty buyers come for three prints: three get one, seventeen get 409."""
    answers = await _rush(client, ["moon"] * BUYERS)
    _no_stop(stops, answers)
    sold, refused = _sold_and_refused(answers)
    if sold < 3:
        raise lesson(
            "sold-too-few",
            seen="{buyers} buyers came for 3 prints in the same moment. {sold} got a "
            "confirmation and {refused} were refused. {paying} of them were paying at once.",
            production="Prints stay in the studio while buyers hear that they are sold out.",
            look="Why was a buyer refused while prints were left?",
            where=bank.lines,
            buyers=BUYERS,
            sold=sold,
            refused=refused,
            paying=bank.most_paying,
        )
    if sold > 3:
        raise lesson(
            "sold-too-many",
            seen="{buyers} buyers came for 3 prints in the same moment. {sold} got a "
            "confirmation and {refused} were refused. {paying} of them were paying at once.",
            production="Each confirmation is a promise. The studio has to call people back, "
            "return their money, and lose them.",
            look="What did each of these requests know about the stock, and how old was it?",
            where=bank.lines,
            buyers=BUYERS,
            sold=sold,
            refused=refused,
            paying=bank.most_paying,
        )


@pytest.mark.goal
async def test_stock_ends_at_zero(
    bank: Bank, books: Books, client: httpx.AsyncClient, stops: list[Place | None]
) -> None:
    """After twenty buyers of three prints, the shelf says zero."""
    answers = await _rush(client, ["moon"] * BUYERS)
    _no_stop(stops, answers)
    sold, _ = _sold_and_refused(answers)
    left = await _left(client, "moon")
    if left != 0 or sold < 3:
        raise lesson(
            "stock-below-zero" if left < 0 else "stock-not-zero",
            seen="{sold} prints of an edition of 3 were sold in one rush, and then the shelf said "
            "that {left} are left.",
            production="Reorders, reports and the next sale are all decided by this number.",
            look="Which line changes the stock, and what did it rely on when it did?",
            where=bank.lines,
            sold=sold,
            left=left,
        )


@pytest.mark.goal
async def test_only_buyers_who_get_a_print_pay(
    bank: Bank, books: Books, client: httpx.AsyncClient, stops: list[Place | None]
) -> None:
    """The bank is asked for three payments, not for more than there are prints."""
    answers = await _rush(client, ["moon"] * BUYERS)
    _no_stop(stops, answers)
    sold, _ = _sold_and_refused(answers)
    if bank.asked < sold:
        raise lesson(
            "sold-without-payment",
            seen="{sold} buyers got a confirmation, and the bank was asked {asked} times.",
            production="Prints leave the studio without being paid for.",
            look="Which function takes the money, and is it still called by its name?",
            sold=sold,
            asked=bank.asked,
        )
    if bank.asked > min(sold, 3):
        raise lesson(
            "charged-for-nothing",
            seen="The bank was asked for {asked} payments. There were 3 prints, and {sold} "
            "buyers were told that they have one.",
            production="People pay for what does not exist. The money has to go back, with "
            "fees, and with an apology.",
            look="At the moment this line runs, how sure is it that a print is there?",
            where=bank.lines,
            asked=bank.asked,
            sold=sold,
        )


@pytest.mark.goal
async def test_last_print_is_promised_to_one_buyer(
    bank: Bank, books: Books, client: httpx.AsyncClient, stops: list[Place | None]
) -> None:
    """While one buyer pays for the last print, it is not sold to the next one."""
    bank.release = asyncio.Event()
    first = asyncio.create_task(_buy(client, "fern"))
    await _until_somebody_pays(bank, first)
    second = asyncio.create_task(_buy(client, "fern"))
    await turns(TURNS)
    paying = len(bank.paying)
    bank.release.set()
    answers = await asyncio.gather(first, second)
    _no_stop(stops, answers)
    sold, refused = _sold_and_refused(answers)
    if (sold, refused) != (1, 1):
        raise lesson(
            "promised-twice" if sold > 1 else "promised-to-nobody",
            seen="One buyer was still paying for the last print when a second one came. "
            "Then {paying} of them were paying, and in the end {sold} of them got the print.",
            production="The slower the bank, the more people buy the same last print. Nobody "
            "has to click in the same moment for that.",
            look="The second buyer passed the check. What had the first one changed by then?",
            where=bank.lines,
            paying=paying,
            sold=sold,
        )


@pytest.mark.goal
async def test_correction_leaves_a_promised_print(
    bank: Bank, books: Books, client: httpx.AsyncClient, stops: list[Place | None]
) -> None:
    """A correction of the stock does not take away the print that a buyer is paying for."""
    answer = await client.get("/editions/fern")
    expect_status(answer, 200, because="an edition of the studio is shown")
    counted = {"left": 0, "version": _field(answer, "version")}
    bank.release = asyncio.Event()
    buying = asyncio.create_task(_buy(client, "fern"))
    await _until_somebody_pays(bank, buying)
    correcting = asyncio.create_task(client.put("/editions/fern", json=counted))
    await turns(TURNS)
    bank.release.set()
    order, correction = await asyncio.gather(buying, correcting)
    _no_stop(stops, [order, correction])
    expect_status(order, 201, because=SELLS)
    left = await _left(client, "fern")
    if left < 0:
        raise lesson(
            "corrected-under-the-buyer",
            seen="While a buyer paid for the last print, the stock was corrected to 0: answer "
            "{correction}. The payment went through, and then the shelf said that {left} are left.",
            production="The count was done before the sale and written after it. The shelf now "
            "owes a print that was sold once.",
            look="Which functions change the same edition, and what tells one of them about the "
            "other?",
            where=bank.lines,
            correction=correction.status_code,
            left=left,
        )


@pytest.mark.goal
def test_second_loop_sells_the_same_print(
    bank: Bank, books: Books, raw_app: FastAPI, stops: list[Place | None]
) -> None:
    """The application sells one edition to two buyers on one event loop, then on another."""
    _sell_on_two_loops(raw_app, bank, ["tide", "tide"], stops)


@pytest.mark.goal
def test_second_loop_sells_different_prints(
    bank: Bank, books: Books, raw_app: FastAPI, stops: list[Place | None]
) -> None:
    """The application sells two editions at once on one event loop, then on another."""
    _sell_on_two_loops(raw_app, bank, ["tide", "dune"], stops)


@pytest.mark.guard
async def test_buyers_of_different_prints_pay_together(
    bank: Bank, books: Books, client: httpx.AsyncClient, stops: list[Place | None]
) -> None:
    """A buyer who pays slowly for one edition does not keep the buyer of another one waiting."""
    bank.release = asyncio.Event()
    tasks = [asyncio.create_task(_buy(client, title)) for title in STOCK]
    meeting = asyncio.create_task(bank.all_pay.wait())
    await asyncio.wait(
        {meeting, *tasks}, timeout=LIMIT_SECONDS, return_when=asyncio.FIRST_COMPLETED
    )
    meeting.cancel()
    waits = [place_of_task(task) for task in tasks if not task.done()]
    together = sorted(bank.paying)
    bank.release.set()
    answers = await asyncio.gather(*tasks)
    _no_stop(stops, answers)
    for answer in answers:
        expect_status(answer, 201, because=SELLS)
    if together != sorted(STOCK):
        raise lesson(
            "one-at-a-time",
            seen="One buyer of each edition came, all together: {titles}. While the payments "
            "were held, the bank saw buyers of: {together}.",
            production="One slow payment stops the sale of everything else. With a bank that "
            "needs a second, the studio sells one print a second.",
            look="What does the buyer who is not at the bank wait for, and who has it?",
            where=waits,
            titles=", ".join(sorted(STOCK)),
            together=", ".join(together) or "none",
        )


@pytest.mark.guard
async def test_refused_payment_gives_the_print_back(
    module: Any, bank: Bank, books: Books, client: httpx.AsyncClient
) -> None:
    """A refused payment is 402, and the print can be sold to somebody else."""
    bank.failure = module.PaymentError("no")
    answer = await _buy(client, "fern")
    expect_status(answer, 402, because="the bank refuses the payment")
    await _expect_it_sells(bank, client, "the bank refused the payment")
    _one_sale(books)


@pytest.mark.guard
async def test_crashed_payment_gives_the_print_back(
    bank: Bank, books: Books, client: httpx.AsyncClient
) -> None:
    """When the bank cannot be reached, the print can be sold to somebody else."""
    bank.failure = ConnectionError("the bank cannot be reached")
    answer = await _buy(client, "fern")
    assert answer.status_code >= 500, f"a payment that crashed was answered {answer.status_code}"
    assert bank.asked == 1, f"for one order the bank was asked {bank.asked} times"
    await _expect_it_sells(bank, client, "the bank could not be reached")
    _one_sale(books)


@pytest.mark.guard
async def test_cancelled_payment_gives_the_print_back(
    bank: Bank, books: Books, client: httpx.AsyncClient
) -> None:
    """When the request is cancelled while it pays, the print can be sold to somebody else."""
    bank.release = asyncio.Event()
    request = asyncio.create_task(_buy(client, "fern"))
    await _until_somebody_pays(bank, request)
    request.cancel()
    await asyncio.wait([request])
    assert request.cancelled(), f"a request that was cancelled was answered: {request.result()}"
    await turns(TURNS)
    if bank.paying:
        raise lesson(
            "pays-for-nothing",
            seen="The request was cancelled while it paid. After its end, its payment was still "
            "under way at the bank.",
            production="The buyer pays, and the print is sold to somebody else.",
            look="Who told the payment that its request has ended?",
            where=bank.lines,
        )
    bank.release = None
    await _expect_it_sells(bank, client, "the request was cancelled while it paid")
    _one_sale(books)


@pytest.mark.guard
async def test_cancelled_request_leaves_the_print(
    bank: Bank, books: Books, client: httpx.AsyncClient
) -> None:
    """Wherever a request is cancelled before it has paid, the print stays on the shelf."""
    bank.release = asyncio.Event()
    turns = 0
    while not bank.paying and turns < TURNS:
        request = asyncio.create_task(_buy(client, "fern"))
        for _ in range(turns):
            await asyncio.sleep(0)
        turns += 1
        where = place_of_task(request)
        if not bank.paying:
            request.cancel()
            await asyncio.wait([request])
            left = await _left(client, "fern")
            if left != 1:
                raise lesson(
                    "print-is-lost-on-the-way",
                    seen="A request was cancelled before it came to the bank. Then the shelf said "
                    "that {left} of 1 prints are left.",
                    production="Buyers who close the page at the wrong moment take a print with "
                    "them: not sold, not on the shelf.",
                    look="From which line on is the print taken, and from which line on is it "
                    "given back?",
                    where=where,
                    left=left,
                )
        else:
            bank.release.set()
            expect_status(await request, 201, because=SELLS)
            return


@pytest.mark.guard
async def test_failed_payment_undoes_nothing_else(
    module: Any, bank: Bank, books: Books, client: httpx.AsyncClient
) -> None:
    """A payment that fails does not undo the sale to somebody else, and leaves a new version."""
    bank.release = asyncio.Event()
    bank.failure, bank.fails_for = module.PaymentError("no"), "Ada"
    tasks = [asyncio.create_task(_buy(client, "tide", buyer)) for buyer in ("Ada", "Ben")]
    await _until_somebody_pays(bank, tasks[0])
    await turns(TURNS)
    meanwhile = (await client.get("/editions/tide")).json()
    bank.release.set()
    refused, sold = await asyncio.gather(*tasks)
    expect_status(refused, 402, because="the bank refuses the payment of this buyer")
    expect_status(sold, 201, because=SELLS)
    after = (await client.get("/editions/tide")).json()
    assert after["left"] == STOCK["tide"] - 1, (
        f"of two buyers one paid and one was refused; of {STOCK['tide']} prints "
        f"{after['left']} are left"
    )
    assert after["left"] == meanwhile["left"] or after["version"] > meanwhile["version"], (
        f"the edition changed from {meanwhile} to {after}, and its version was not raised"
    )


@pytest.mark.guard
def test_second_loop_refuses_too(module: Any, bank: Bank, books: Books, raw_app: FastAPI) -> None:
    """Refused payments are 402 on one event loop, and then on another."""
    bank.failure = module.PaymentError("no")
    for _ in range(2):
        with asyncio.Runner() as runner:
            answers, left = runner.run(_business_day(raw_app, ["tide", "tide", "dune"]))
        for answer in answers:
            expect_status(answer, 402, because="the bank refuses the payment")
        assert left == {"tide": STOCK["tide"], "dune": STOCK["dune"]}, f"then {left} were left"


@pytest.mark.guard
async def test_each_print_finds_a_buyer(
    bank: Bank, books: Books, client: httpx.AsyncClient, stops: list[Place | None]
) -> None:
    """Eight buyers who come together for eight prints get one each."""
    answers = await _rush(client, ["tide"] * STOCK["tide"])
    _no_stop(stops, answers)
    for answer in answers:
        expect_status(answer, 201, because="there are as many prints as buyers")
    assert await _left(client, "tide") == 0, "the prints were not taken"


@pytest.mark.guard
async def test_books_that_fail_cost_a_number_at_most(
    bank: Bank, books: Books, client: httpx.AsyncClient
) -> None:
    """When the books fail, the buyer hears of it, and no number is given twice."""
    books.fail_for = "moon"
    failed, *sold = await _rush(client, ["moon", "tide", "dune"])
    assert failed.status_code >= 500, f"the books failed, and the answer was {failed.status_code}"
    books.fail_for = ""
    left = await _left(client, "moon")
    assert left == STOCK["moon"] - 1, f"the buyer has paid for a print, and {left} of 3 are left"
    sold += await _rush(client, ["tide", "dune"])
    for answer in sold:
        expect_status(answer, 201, because=SELLS)
    numbers = [number for number, _ in _orders(sold)]
    assert len(set(numbers)) == len(numbers), f"after the books had failed: {numbers}"
    assert sorted(books.entries) == _orders(sold), "the books do not have each order once"


@pytest.mark.guard
async def test_every_order_has_its_own_number(
    bank: Bank, books: Books, client: httpx.AsyncClient, stops: list[Place | None]
) -> None:
    """Orders are counted from 1, each has its own number, and the books have each order once."""
    answers = await _rush(client, ["tide", "dune", "tide", "dune", "moon"])
    _no_stop(stops, answers)
    for answer in answers:
        expect_status(answer, 201, because=SELLS)
    orders = _orders(answers)
    _own_numbers(orders)
    assert sorted(books.entries) == orders, "the books do not have each order once"


@pytest.mark.guard
async def test_order_is_confirmed_and_taken_from_the_shelf(
    bank: Bank, books: Books, client: httpx.AsyncClient
) -> None:
    """An order is answered with 201, its number, its title and its buyer. One print is gone."""
    answer = await client.post("/editions/tide/orders", json={"buyer": "Ines"})
    expect_status(answer, 201, because=SELLS)
    assert answer.json() == {"number": 1, "title": "tide", "buyer": "Ines"}
    assert await _left(client, "tide") == STOCK["tide"] - 1, "the print was not taken"


@pytest.mark.guard
async def test_sold_out_edition_is_409(bank: Bank, books: Books, client: httpx.AsyncClient) -> None:
    """Buyers who come one after the other get a print until none is left; then 409."""
    for _ in range(STOCK["moon"]):
        expect_status(await _buy(client, "moon"), 201, because=SELLS)
    expect_status(await _buy(client, "moon"), 409, because="the edition is sold out")
    assert bank.asked == STOCK["moon"], "a buyer was charged for a print that is not there"


@pytest.mark.guard
async def test_stock_is_corrected_unless_it_has_changed(
    bank: Bank, books: Books, client: httpx.AsyncClient
) -> None:
    """A counted stock is written down, but not when a print was sold since the counting."""
    seen = await client.get("/editions/tide")
    expect_status(seen, 200, because="an edition that exists is returned")
    version = seen.json()["version"]
    counted = {"left": 5, "version": version}
    answer = await client.put("/editions/tide", json=counted)
    expect_status(answer, 200, because="nothing has changed since the counting")
    assert answer.json()["left"] == 5, "the counted stock was not written down"
    counted = {"left": 7, "version": answer.json()["version"]}
    expect_status(await _buy(client, "tide"), 201, because=SELLS)
    answer = await client.put("/editions/tide", json=counted)
    expect_status(answer, 409, because="a print was sold since the counting")
    assert await _left(client, "tide") == 4, "the sale was lost in the correction"


@pytest.mark.guard
async def test_one_of_two_corrections_is_written(bank: Bank, client: httpx.AsyncClient) -> None:
    """Of two corrections that were counted at the same version, one is written down."""
    answers = await asyncio.gather(
        *(client.put("/editions/tide", json={"left": left, "version": 1}) for left in (5, 6))
    )
    found = sorted(answer.status_code for answer in answers)
    assert found == [200, 409], f"two corrections of the same version were answered {found}"


@pytest.mark.guard
async def test_unknown_edition_and_empty_buyer(bank: Bank, client: httpx.AsyncClient) -> None:
    """An unknown edition is 404, an order without a name is 422, and neither is charged."""
    expect_status(await _buy(client, "star"), 404, because="there is no such edition")
    answer = await client.post("/editions/moon/orders", json={"buyer": ""})
    expect_status(answer, 422, because="a buyer has a name")
    assert bank.asked == 0, "somebody was charged for an order that cannot be"


async def _buy(client: httpx.AsyncClient, title: str, buyer: str = "Ada") -> httpx.Response:
    return await client.post(f"/editions/{title}/orders", json={"buyer": buyer})


async def _rush(client: httpx.AsyncClient, titles: list[str]) -> list[httpx.Response]:
    """Send one buyer for each title, all in the same moment."""
    return await asyncio.gather(
        *(_buy(client, title, f"buyer {number}") for number, title in enumerate(titles, start=1))
    )


def _field(answer: httpx.Response, name: str) -> Any:
    """Read one field of an answer, which the contract says is there."""
    body = answer.json()
    if not isinstance(body, dict) or body.get(name) is None:
        raise lesson(
            "field-is-missing",
            seen="{request} answered {body}. The field `{name}` is not there.",
            production="Every client that reads this field fails.",
            look="Compare the answer with the contract on the page of this kata.",
            request=f"{answer.request.method} {answer.request.url.path}",
            body=answer.text[:200],
            name=name,
        )
    return body[name]


async def _left(client: httpx.AsyncClient, title: str) -> int:
    answer = await client.get(f"/editions/{title}")
    expect_status(answer, 200, because="an edition that exists is returned")
    return int(_field(answer, "left"))


async def _until_somebody_pays(bank: Bank, request: asyncio.Task[httpx.Response]) -> None:
    """Wait until a request is at the bank; if it ends before, say what it ended with."""
    arrival = asyncio.create_task(bank.somebody_pays.wait())
    await asyncio.wait({arrival, request}, return_when=asyncio.FIRST_COMPLETED)
    arrival.cancel()
    if not bank.somebody_pays.is_set():
        answer = await request
        expect_status(answer, 201, because=SELLS)
        raise lesson(
            "sold-without-payment",
            seen="The request was answered with {status}, and the bank was asked {asked} times.",
            production="Prints leave the studio without being paid for.",
            look="Which function takes the money, and is it still called by its name?",
            status=answer.status_code,
            asked=bank.asked,
        )


async def _expect_it_sells(bank: Bank, client: httpx.AsyncClient, what: str) -> None:
    """The one print of `fern` is on the shelf, and the next buyer gets it."""
    what = what[0].upper() + what[1:]
    bank.failure = None
    left = await _left(client, "fern")
    request = asyncio.create_task(_buy(client, "fern"))
    await asyncio.wait([request], timeout=LIMIT_SECONDS)
    if not request.done():
        where = place_of_task(request)
        request.cancel()
        await asyncio.wait([request])
        raise lesson(
            "next-buyer-waits",
            seen="{what}. The shelf says that {left} print is left, but the next buyer gets no "
            "answer at all.",
            production="From the first failed payment on, this edition cannot be sold any more, "
            "and each buyer who tries keeps a connection open.",
            look="What does this line wait for, and who was to give it?",
            where=where,
            what=what,
            left=left,
        )
    answer = await request
    if left > 1 or (left < 1 and answer.status_code == 201):
        raise lesson(
            "print-given-back-twice" if left > 1 else "print-comes-back-late",
            seen="{what}. When it was over, the shelf said that {left} of 1 prints are left; the "
            "next buyer got {status}.",
            production="The shelf says something that is not so, and the next decision is made "
            "by it.",
            look="How often, and when, does a line of yours give the print back?",
            where=bank.lines,
            what=what,
            left=left,
            status=answer.status_code,
        )
    if left != 1 or answer.status_code == 409:
        raise lesson(
            "print-is-lost",
            seen="{what}. The shelf said that {left} of 1 prints are left, and the next buyer "
            "got {status}.",
            production="Each failed payment takes a print out of the world: not sold, not on "
            "the shelf. On a bad day of the bank the studio is sold out without one sale.",
            look="Follow the request from the payment to its end. What does it leave behind?",
            where=bank.lines,
            what=what,
            left=left,
            status=answer.status_code,
        )
    expect_status(answer, 201, because=SELLS)


def _one_sale(books: Books) -> None:
    assert [title for _, title in books.entries] == ["fern"], (
        f"one print was sold, and the books have {books.entries}"
    )


def _sold_and_refused(answers: Sequence[httpx.Response]) -> tuple[int, int]:
    """Count the answers, which must all be 201 or 409."""
    for answer in answers:
        if answer.status_code != 409:
            expect_status(answer, 201, because="a buyer gets a print, or 409 when none is left")
    refused = sum(answer.status_code == 409 for answer in answers)
    return len(answers) - refused, refused


def _orders(answers: Sequence[httpx.Response]) -> list[tuple[int, str]]:
    """Read the number and the title of each order."""
    return sorted((int(_field(a, "number")), str(_field(a, "title"))) for a in answers)


def _own_numbers(orders: list[tuple[int, str]]) -> None:
    """Fail unless the orders are counted from 1, each with its own number."""
    numbers = [number for number, _ in orders]
    if numbers != list(range(1, len(orders) + 1)):
        raise lesson(
            "number-given-twice" if len(set(numbers)) < len(numbers) else "number-left-out",
            seen="{count} orders have the numbers {numbers}.",
            production="The books, the parcels and the customers know an order by its number.",
            look="What happens between reading the last number and writing the new one?",
            count=len(orders),
            numbers=numbers,
        )


def _no_stop(stops: list[Place | None], answers: Sequence[httpx.Response]) -> None:
    """Fail if the loop was about to wait for itself."""
    if stops:
        raise lesson(
            "loop-waits-for-itself",
            seen="{stops} times, the thread of the event loop was about to wait for a lock that "
            "it holds already. The tests broke off the wait; {answers} requests were sent.",
            production="The wait never ends. The loop stands still with all its requests, the "
            "process has to be killed, and the log says nothing.",
            look="Who would have to run to let go of this lock, and in which thread?",
            where=stops,
            stops=len(stops),
            answers=len(answers),
        )


def _sell_on_two_loops(
    app: FastAPI, bank: Bank, titles: list[str], stops: list[Place | None]
) -> None:
    """Sell one print of each title at the same time on an event loop, and then on a second one."""
    sold: list[tuple[int, str]] = []
    left: dict[str, int] = {}
    for loop in ("first", "second"):
        before = bank.asked
        with asyncio.Runner() as runner:
            answers, left = runner.run(_business_day(app, titles))
        _no_stop(stops, answers)
        crashes = [crash for crash in map(crash_of, answers) if crash is not None]
        foreign = [crash for crash in crashes if "loop" in str(crash)]
        if foreign:
            raise lesson(
                "bound-to-another-loop",
                seen="On the {loop} event loop, {failed} of {buyers} orders crashed, and "
                "{asked} buyers had been charged by then. {error}",
                production="Every script, test suite or worker that runs the application on "
                "another loop than the first fails, and only when two requests meet.",
                look="When is this object made, and which loops does it meet in its life?",
                where=[place_of_exception(crash) for crash in foreign],
                loop=loop,
                failed=len(crashes),
                buyers=len(titles),
                asked=bank.asked - before,
                error=_without_address(foreign[0]),
            )
        for answer in answers:
            expect_status(answer, 201, because=f"a print that is left is sold on the {loop} loop")
        sold += _orders(answers)
    _own_numbers(sorted(sold))
    for title in titles:
        count = sum(title == of for _, of in sold)
        if left[title] != STOCK[title] - count:
            raise lesson(
                "stock-forgotten",
                seen="{count} prints of `{title}` were sold on two event loops, and at the end of "
                "the second one the shelf said that {left} of {all} are left.",
                production="Each start of the application sells again what was sold before.",
                look="When is the shelf made, and how often does that line run?",
                count=count,
                title=title,
                left=left[title],
                all=STOCK[title],
            )


async def _business_day(
    app: FastAPI, titles: list[str]
) -> tuple[list[httpx.Response], dict[str, int]]:
    """Start the application on the running loop, let one buyer come for each title, stop it."""
    async with AsyncExitStack() as stack:
        try:
            state = await stack.enter_async_context(app.router.lifespan_context(app))
        except Exception as error:
            raise lesson(
                "does-not-start-again",
                seen="The application did not start on this event loop: {error}",
                production="A process that starts the application twice cannot serve.",
                look="What did the first start leave behind?",
                where=place_of_exception(error),
                error=_without_address(error),
            ) from error

        async def started(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=WatchingTransport(started), base_url="http://testserver")
        )
        answers = await _rush(client, titles)
        return answers, {title: await _left(client, title) for title in titles}


def _without_address(error: BaseException) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", f"{type(error).__name__}: {error}")
