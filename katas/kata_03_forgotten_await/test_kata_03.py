"""What the emergency desk starts, it must also finish, and it must see how it ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from fastapi_katas.probes import (
    DroppedCoroutine,
    Lesson,
    TaskLedger,
    WatchingTransport,
    dropped_coroutines,
    expect_status,
    lesson,
    place_of_exception,
    place_of_task,
    turns,
)

TURNS = 50
# What the contract grants to the gateway for one message.
GATEWAY_SECONDS = 5
# Two doctors open the record of P-100. The gateway refuses P-300 where a test says so.
OPENINGS = [
    ("P-100", "Dr. Abel"),
    ("P-200", "Dr. Brod"),
    ("P-100", "Dr. Cole"),
    ("P-300", "Dr. Dorn"),
]
# One doctor opens two records, and one of them twice.
BY_ONE_DOCTOR = [("P-100", "Dr. Egon"), ("P-200", "Dr. Egon"), ("P-100", "Dr. Egon")]
# So many messages are on their way at once on a bad day.
CROWD = 110


@pytest.mark.goal
async def test_audit_row_is_written_before_the_answer(desk: Desk) -> None:
    """When the doctor has the record, the audit row is already written."""
    desk.audit.hold()
    asking = asyncio.create_task(desk.open_record("P-100", "Dr. Abel"))
    await desk.settle(lambda: bool(desk.audit.arrived) or asking.done())
    await turns(TURNS)
    answered_early = asking.done()
    rows_at_the_answer = len(desk.audit.passed)
    desk.audit.let_all_go()
    response = await asking
    expect_status(response, 200, because="a record of a known patient is opened")
    await turns(TURNS)
    rows = [tuple(getattr(entry, name, None) for name in ENTRY) for (entry,) in desk.audit.passed]
    if not rows:
        desk.ledger.collect_garbage()
        raise lesson(
            "no-audit-row",
            seen="The answer was {status}, and the audit trail has {rows} rows. {thrown_away} "
            "was made in this request and thrown away before it ran.",
            production="Nobody can say afterwards who opened a record, and no error told of it.",
            look="What does this line give back, and who uses it?",
            where=[dropped.made_at for dropped in desk.dropped],
            status=response.status_code,
            rows=len(rows),
            thrown_away=", ".join(dropped.name for dropped in desk.dropped) or "No coroutine",
        )
    if answered_early:
        raise lesson(
            "answered-before-audit",
            seen="The audit trail took its time. The answer {status} went out meanwhile, with "
            "{rows} audit rows written.",
            production="A crash in this moment leaves a record that was shown and never written "
            "down.",
            look="Which line starts the writing, and which line waits until it is done?",
            where=[record.made_at for record in desk.ledger.records],
            status=response.status_code,
            rows=rows_at_the_answer,
        )
    if rows != [("P-100", "Dr. Abel", "no pulse")]:
        raise lesson(
            "wrong-audit-row",
            seen="One opening of P-100 by Dr. Abel left these rows: {rows}.",
            production="The audit trail counts for nothing when its rows are wrong.",
            look="Compare the rows with the contract on the page of this kata.",
            rows=str(rows),
        )
    desk.audit.hold()
    asking = asyncio.create_task(desk.open_record("P-100", "Dr. Cole", patience=100))
    await desk.settle(lambda: len(desk.audit.arrived) > 1 or asking.done())
    let_time_pass(60)
    await turns(TURNS)
    answered_early, written = asking.done(), len(desk.audit.passed)
    desk.audit.let_all_go()
    response = await asking
    await turns(TURNS)
    if response.status_code == 200 and (answered_early or len(desk.audit.passed) != 2):
        raise lesson(
            "second-row-missing" if written == len(desk.audit.passed) else "answered-before-audit",
            seen="P-100 was opened once more, and the audit trail took a minute. The answer was "
            "{status}, with {written} rows written before it and {rows} in the end.",
            production="The record was shown, and the trail does not know of it.",
            look="What does this request do when the trail is slow, or knows this patient already?",
            status=response.status_code,
            written=written,
            rows=len(desk.audit.passed),
        )


@pytest.mark.goal
async def test_no_record_without_an_audit_row(desk: Desk) -> None:
    """When the audit trail refuses the row, the record stays closed: 503."""
    desk.audit.refuse(lambda entry: True, lambda: desk.module.AuditError("the trail is full"))
    response = await desk.open_record("P-200", "Dr. Brod")
    if response.status_code == 200:
        raise lesson(
            "shown-without-audit",
            seen="The audit trail takes no rows; it was asked {asked} times before the answer. "
            "The answer was {status}, with the record in it.",
            production="An `except` that never sees the failure is no protection: records are "
            "shown for days while the trail is down.",
            look="At which moment would this coroutine raise, and is the `try` still open then?",
            where=[dropped.made_at for dropped in desk.dropped]
            or [record.made_at for record in desk.ledger.records],
            status=response.status_code,
            asked=len(desk.audit.arrived),
        )
    expect_status(response, 503, because="without an audit row no record is opened")
    desk.audit.hold()
    asking = asyncio.create_task(desk.open_record("P-200", "Dr. Brod"))
    await desk.settle(lambda: len(desk.audit.arrived) > 1 or asking.done())
    await turns(TURNS)
    desk.audit.let_all_go()
    response = await asking
    expect_status(response, 503, because="without an audit row no record is opened")
    await turns(TURNS)
    if desk.gateway.arrived:
        raise lesson(
            "told-without-opening",
            seen="The answer was {status}, and {messages} messages told the patient of an opening.",
            production="Patients are told of something that did not happen.",
            look="Which comes first, the audit row or the message?",
            where=[record.made_at for record in desk.ledger.records],
            status=response.status_code,
            messages=len(desk.gateway.arrived),
        )
    desk.audit.refuse(lambda entry: True, lambda: OSError("the disk of the trail is gone"))
    response = await desk.open_record("P-200", "Dr. Brod")
    if response.status_code == 200:
        raise lesson(
            "shown-without-audit",
            seen="The audit trail raised OSError and took no row. The answer was {status}, with "
            "the record in it.",
            production="Records are shown for days while the trail is down.",
            look="What happens here with an exception that is no AuditError?",
            status=response.status_code,
        )


@pytest.mark.goal
async def test_no_coroutine_is_thrown_away(desk: Desk) -> None:
    """Every coroutine that is made is also run, in good times and in bad ones."""
    for patient, doctor in OPENINGS[:2]:
        response = await desk.open_record(patient, doctor)
        expect_status(response, 200, because="a record of a known patient is opened")
    desk.gateway.refuse(lambda phone, text: True, lambda: ConnectionResetError("hung up"))
    response = await desk.open_record("P-300", "Dr. Dorn")
    expect_status(response, 200, because="the answer does not depend on the message")
    await turns(TURNS)
    desk.ledger.collect_garbage()
    if desk.dropped:
        raise lesson(
            "never-awaited",
            seen="{count} coroutines were made and never awaited: {names}.",
            production="Python says so in one line on the error stream, and answers 200.",
            look="What do these calls give back?",
            where=[dropped.made_at for dropped in desk.dropped],
            count=len(desk.dropped),
            names=", ".join(sorted({dropped.name for dropped in desk.dropped})),
        )


@pytest.mark.goal
async def test_messages_survive_a_garbage_collection(desk: Desk) -> None:
    """Messages on their way arrive, also when Python collects garbage meanwhile."""
    desk.gateway.hold()
    for patient, doctor in OPENINGS:
        response = await desk.open_record(patient, doctor)
        expect_status(response, 200, because="a record of a known patient is opened")
    await turns(TURNS)
    await desk.settle(lambda: bool(desk.gateway.arrived))
    gc.unfreeze()  # nothing that the module froze is safe
    desk.ledger.collect_garbage()
    gc.freeze()  # later collections need not look at everything again
    desk.gateway.let_all_go()
    await desk.settle(partial(desk.has_sent, len(OPENINGS)))
    arrived = len(desk.gateway.passed)
    told = " ".join(str(text) for _, text in desk.gateway.passed)
    untold = [doctor for _, doctor in OPENINGS if doctor not in told]
    if desk.ledger.lost and untold == ["Dr. Abel"]:
        raise lesson(
            "collected-same-patient",
            seen="{openings} messages were on their way, two of them to {patient}. Python "
            "collected garbage, and the older of these two was gone; {arrived} messages arrived.",
            production="Two doctors open one record in the same emergency. The patient hears of "
            "one of them.",
            look="What happens to the first task when the second one is kept?",
            where=[record.made_at for record in desk.ledger.lost],
            openings=len(OPENINGS),
            patient="P-100",
            arrived=arrived,
        )
    if desk.ledger.lost and arrived < len(OPENINGS):
        raise lesson(
            "collected",
            seen="{openings} messages were on their way. Python collected garbage, and {lost} "
            "tasks were gone before they had ended; {arrived} messages arrived.",
            production="Garbage is collected at any moment. Some messages never arrive, on some "
            "days, and no error tells of it.",
            look="The event loop holds a task only weakly. Who else holds this one?",
            where=[record.made_at for record in desk.ledger.lost],
            openings=len(OPENINGS),
            lost=len(desk.ledger.lost),
            arrived=arrived,
        )
    if arrived < len(OPENINGS):
        raise lesson(
            "messages-missing",
            seen="{openings} records were opened, and {arrived} messages arrived.",
            production="Patients are not told who opened their record.",
            look="Follow one message from the opening to the gateway.",
            where=[record.failed_at or record.made_at for record in desk.ledger.records],
            openings=len(OPENINGS),
            arrived=arrived,
        )
    desk.gateway.hold()
    for patient, doctor in BY_ONE_DOCTOR:
        response = await desk.open_record(patient, doctor)
        expect_status(response, 200, because="a record of a known patient is opened")
    await turns(TURNS)
    desk.ledger.collect_garbage()
    desk.gateway.let_all_go()
    await desk.settle(partial(desk.has_sent, len(OPENINGS) + len(BY_ONE_DOCTOR)))
    arrived = len(desk.gateway.passed) - len(OPENINGS)
    if arrived < len(BY_ONE_DOCTOR):
        raise lesson(
            "collected-same-doctor",
            seen="One doctor opened three records within a minute, one of them twice. Python "
            "collected garbage, and {lost} tasks were gone before they had ended; {arrived} "
            "messages arrived.",
            production="The doctor who opens many records is the one whose openings count.",
            look="What happens to the first task when the next one is kept?",
            where=[record.made_at for record in desk.ledger.lost],
            lost=len(desk.ledger.lost),
            arrived=arrived,
        )


@pytest.mark.goal
async def test_failed_message_is_logged(desk: Desk) -> None:
    """A message that fails leaves an ERROR record with its traceback and its patient."""

    class GatewayError(Exception):
        """An exception that the module has never heard of."""

    errors = {
        "P-100": ConnectionResetError("hung up"),
        "P-200": KeyError("price"),
        "P-300": GatewayError("no credit"),
    }
    for patient, error in errors.items():
        desk.log.clear()
        desk.gateway.refuse(lambda phone, text: True, partial(_same, error))
        response = await desk.open_record(patient, "Dr. Abel")
        expect_status(response, 200, because="the answer does not depend on the message")
        await desk.settle(partial(_tells, desk.log, error, patient))
        if not _tells(desk.log, error, patient):
            desk.ledger.collect_garbage()
            told_before = [other for other in errors if other < patient]
            raise _silence(desk, patient, error, told_before)


@pytest.mark.goal
async def test_shutdown_finishes_the_messages(desk: Desk) -> None:
    """When the desk closes, the messages on their way end first, even if one of them fails."""
    desk.gateway.hold()
    refused = desk.phone("P-300")
    error = ConnectionResetError("hung up")
    desk.gateway.refuse(lambda phone, text: phone == refused, partial(_same, error))
    for patient, doctor in OPENINGS:
        response = await desk.open_record(patient, doctor)
        expect_status(response, 200, because="a record of a known patient is opened")
    await turns(TURNS)
    await desk.settle(lambda: bool(desk.gateway.arrived))
    closing = asyncio.create_task(desk.server.stop())
    await turns(TURNS)
    ended_at_once = closing.done()
    # The gateway needs its five seconds: all pauses and time limits below that come to their end.
    let_time_pass(GATEWAY_SECONDS)
    await turns(TURNS)
    # The newest message first, so that a wait for only one of them is seen.
    while not closing.done() and desk.gateway.let_newest_go():
        await turns(TURNS)
    if not closing.done():
        await asyncio.wait({closing}, timeout=1)
    desk.expect_all_ended(closing, at_once=ended_at_once)
    desk.expect_clean_end(closing)


@pytest.mark.guard
async def test_quiet_desk_closes_cleanly(desk: Desk) -> None:
    """The desk closes at once when no message is on its way."""
    response = await desk.open_record("P-100", "Dr. Abel")
    expect_status(response, 200, because="a record of a known patient is opened")
    await desk.settle(lambda: bool(desk.gateway.passed))
    await turns(TURNS)
    closing = asyncio.create_task(desk.server.stop())
    await asyncio.wait({closing}, timeout=1)
    desk.expect_clean_end(closing)


@pytest.mark.guard
async def test_answer_does_not_wait_for_the_gateway(desk: Desk) -> None:
    """The doctor has the record while the gateway is still busy with the message."""
    desk.gateway.hold()
    asking = asyncio.create_task(desk.open_record("P-100", "Dr. Abel"))
    await desk.settle(lambda: bool(desk.gateway.arrived) or asking.done())
    await desk.settle(asking.done)
    answered = asking.done()
    waits = [place_of_task(task) for task in asyncio.all_tasks()]
    desk.gateway.let_all_go()
    response = await asking
    expect_status(response, 200, because="a record of a known patient is opened")
    if not answered:
        raise lesson(
            "waits-for-gateway",
            seen="The gateway held {held} message, and the doctor had no answer until it let go.",
            production="An emergency waits for a text message.",
            look="What must be done before the answer, and what may be done after it?",
            where=waits,
            held=len(desk.gateway.arrived),
        )
    desk.gateway.hold()
    # A crowd takes a while on a busy machine.
    crowd = (desk.open_record(*OPENINGS[1], patience=10) for _ in range(CROWD))
    responses = await asyncio.gather(*crowd)
    for response in responses:
        expect_status(response, 200, because="a record of a known patient is opened")
    desk.gateway.let_all_go()
    await desk.settle(partial(desk.has_sent, CROWD + 1))
    if len(desk.gateway.passed) < CROWD + 1:
        raise lesson(
            "messages-missing",
            seen="{openings} records were opened while the gateway was slow, and {arrived} "
            "messages arrived.",
            production="On the worst day the desk forgets whom it has to tell.",
            look="How many messages can wait in your module, and what becomes of the next one?",
            openings=CROWD + 1,
            arrived=len(desk.gateway.passed),
        )


@pytest.mark.guard
async def test_record_is_returned(desk: Desk) -> None:
    """The record of the patient is returned, without the telephone number."""
    response = await desk.open_record("P-300", "Dr. Dorn")
    expect_status(response, 200, because="a record of a known patient is opened")
    assert response.json() == {
        "patient_id": "P-300",
        "name": "Chi Okafor",
        "allergies": ["latex"],
    }, f"the answer was {response.text}"


@pytest.mark.guard
async def test_patient_is_told_once(desk: Desk) -> None:
    """Each opening sends one message to the patient, with the name of the doctor."""
    openings = [*OPENINGS, *BY_ONE_DOCTOR]
    for count, (patient, doctor) in enumerate(openings, start=1):
        response = await desk.open_record(patient, doctor)
        expect_status(response, 200, because="a record of a known patient is opened")
        await desk.settle(partial(desk.has_sent, count))
    await turns(TURNS)
    pairs = zip(desk.gateway.passed, openings, strict=False)
    told = sorted((phone, doctor in text) for (phone, text), (_, doctor) in pairs)
    expected = sorted((desk.phone(patient), True) for patient, _ in openings)
    assert told == expected, f"the gateway got {desk.gateway.passed}"


@pytest.mark.guard
async def test_one_failure_leaves_the_others(desk: Desk) -> None:
    """A message that fails stops neither the messages beside it nor those after it."""
    refused = desk.phone("P-300")
    error = ConnectionResetError("hung up")
    desk.gateway.refuse(lambda phone, text: phone == refused, partial(_same, error))
    desk.gateway.hold()
    for patient, doctor in (OPENINGS[3], *OPENINGS[:2]):
        response = await desk.open_record(patient, doctor)
        expect_status(response, 200, because="a record of a known patient is opened")
    await turns(TURNS)
    # The oldest message first: it is the one that fails.
    desk.gateway.let_oldest_go()
    await turns(TURNS)
    desk.gateway.let_all_go()
    response = await desk.open_record(*OPENINGS[2])
    expect_status(response, 200, because="one failed message does not close the desk")
    await desk.settle(partial(desk.has_sent, 3))
    if len(desk.gateway.passed) < 3:
        raise lesson(
            "one-stops-the-others",
            seen="{openings} messages were due and one of them failed. {arrived} of the others "
            "arrived.",
            production="One wrong telephone number silences the desk until the next restart.",
            look="What becomes of the other messages when one of them raises?",
            where=[record.failed_at or record.made_at for record in desk.ledger.records],
            openings=len(OPENINGS),
            arrived=len(desk.gateway.passed),
        )
    let_time_pass(60)
    await turns(TURNS)
    if len(desk.gateway.arrived) > len(OPENINGS):
        raise lesson(
            "sent-again",
            seen="{openings} messages were due and one of them failed. The gateway was asked "
            "{asked} times.",
            production="A gateway that fails after the sending is asked to send once more: the "
            "patient gets the same message several times.",
            look="How often does the contract let one opening call `send`?",
            where=[record.failed_at or record.made_at for record in desk.ledger.records],
            openings=len(OPENINGS),
            asked=len(desk.gateway.arrived),
        )


@pytest.mark.guard
async def test_ended_messages_are_let_go(desk: Desk) -> None:
    """The desk does not collect tasks that have ended long ago."""
    for count in range(1, 7):
        response = await desk.open_record("P-100", f"Dr. {count}")
        expect_status(response, 200, because="a record of a known patient is opened")
        await desk.settle(partial(desk.has_sent, count))
        await turns(TURNS)
    desk.gateway.refuse(lambda phone, text: True, lambda: ConnectionResetError("hung up"))
    for count in range(1, 7):
        response = await desk.open_record("P-200", f"Dr. {count}")
        expect_status(response, 200, because="the answer does not depend on the message")
        await desk.settle(lambda count=count: len(desk.gateway.refused) >= count)  # type: ignore[misc]
        await turns(TURNS)
    for record in desk.log:
        record.exc_info = None  # its traceback may lead to a task, and pytest keeps the record
    desk.ledger.collect_garbage()
    ended = sum(1 for task in map(_follow, desk.gateway.tasks) if task is not None and task.done())
    if ended > 2:
        raise lesson(
            "tasks-pile-up",
            seen="Six messages were sent one after the other, six more failed, and {ended} tasks "
            "that have ended are still kept.",
            production="The memory of the worker grows with each opening, until it is stopped.",
            look="When is a task no longer needed, and who could take it away then?",
            where=[record.made_at for record in desk.ledger.records],
            ended=ended,
        )


@pytest.mark.guard
async def test_unknown_patient_is_404(desk: Desk) -> None:
    """An unknown patient is 404, and nothing is written and nobody is told."""
    response = await desk.open_record("P-999", "Dr. Abel")
    expect_status(response, 404, because="there is no such patient")
    await turns(TURNS)
    assert not desk.audit.arrived, "an audit row was written for a record that does not exist"
    assert not desk.gateway.arrived, "a message was sent about a record that does not exist"


# The instruments of this kata: a desk whose audit trail and gateway do what the test says.

ENTRY = ("patient_id", "doctor", "reason")


class Gate:
    """Takes the place of a method: each call waits here until the test lets it go.

    What a call waits for is known to its own task only. The test keeps a weak reference, so a task
    that nobody keeps is garbage while it waits, as it is while a socket object waits with it.
    """

    def __init__(self) -> None:
        self.arrived: list[tuple[Any, ...]] = []
        self.passed: list[tuple[Any, ...]] = []
        self.refused: list[tuple[Any, ...]] = []
        self.tasks: list[weakref.ref[asyncio.Task[Any]] | None] = []
        self._waiting: list[weakref.ref[asyncio.Future[None]]] = []
        self._closed = False
        self._refuses: Callable[..., bool] = lambda *call: False
        self._error: Callable[[], Exception] = RuntimeError

    def hold(self) -> None:
        """From now on, let calls wait."""
        self._closed = True

    def refuse(self, which: Callable[..., bool], error: Callable[[], Exception]) -> None:
        """From now on, fail the calls that ``which`` is true of."""
        self._refuses, self._error = which, error

    def let_all_go(self) -> None:
        """End all waiting, now and from now on."""
        self._closed = False
        while self.let_oldest_go():
            pass

    def let_oldest_go(self) -> bool:
        """End the waiting of the call that came first."""
        return self._let_go(0)

    def let_newest_go(self) -> bool:
        """End the waiting of the call that came last."""
        return self._let_go(-1)

    def _let_go(self, which: int) -> bool:
        while self._waiting:
            future = self._waiting.pop(which)()
            if future is not None and not future.done():
                future.set_result(None)
                return True
        return False

    async def pass_through(self, *call: Any) -> None:
        task = asyncio.current_task()
        self.tasks.append(None if task is None else weakref.ref(task))
        del task
        self.arrived.append(call)
        if self._closed:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(weakref.ref(future))
            await future
        if self._refuses(*call):
            self.refused.append(call)
            raise self._error()
        self.passed.append(call)


class Server:
    """Runs an application as a web server does.

    It keeps the task of each request until that has ended, answers as soon as the response is
    complete, and closes in order: first its requests end, then the lifespan.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._state: dict[str, Any] = {}
        self._requests: set[asyncio.Task[None]] = set()
        self._orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.life: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Run the lifespan up to its start."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}
        self.life = asyncio.create_task(self._app(scope, self._orders.get, self._said.put))
        self._orders.put_nowait({"type": "lifespan.startup"})
        said = asyncio.create_task(self._said.get())
        await asyncio.wait({said, self.life}, timeout=2, return_when=asyncio.FIRST_COMPLETED)
        if said.done() and said.result()["type"] == "lifespan.startup.complete":
            return
        said.cancel()
        await turns(TURNS)
        error = self.life.exception() if self.life.done() else None
        raise lesson(
            "does-not-start",
            seen="The application did not start: {error}.",
            production="The deployment is rolled back.",
            look="Read what the lifespan does before its `yield`.",
            where=place_of_exception(error) if error else place_of_task(self.life),
            error=repr(error) if error else "after two seconds it was still starting",
        )

    async def stop(self) -> None:
        """Close as a server does.

        Raises:
            Exception: What the lifespan raised.
        """
        while self._requests:
            await asyncio.wait(set(self._requests))
        assert self.life is not None
        self._orders.put_nowait({"type": "lifespan.shutdown"})
        # Not ``await self.life``: the end of this wait must not end the lifespan.
        await asyncio.wait({self.life})
        self.life.result()

    @property
    def busy(self) -> bool:
        return bool(self._requests)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        answered = asyncio.get_running_loop().create_future()
        status: list[int] = []

        async def sending(message: Any) -> None:
            if answered.done():
                return
            await send(message)
            status.append(message.get("status", 0))
            if message["type"] == "http.response.body" and not message.get("more_body"):
                answered.set_result(None)

        scope = {**scope, "state": dict(self._state)}
        request = asyncio.create_task(self._app(scope, receive, sending))
        self._requests.add(request)
        request.add_done_callback(self._ended)
        await asyncio.wait({request, answered}, return_when=asyncio.FIRST_COMPLETED)
        if not answered.done() or max(status) >= 500:
            await request

    def _ended(self, request: asyncio.Task[None]) -> None:
        self._requests.discard(request)
        if not request.cancelled():
            request.exception()  # a server logs it; no test asks for that


class Desk:
    """The application under test, on a server, with the instruments in place."""

    def __init__(
        self,
        module: Any,
        raw_app: Any,
        ledger: TaskLedger,
        dropped: list[DroppedCoroutine],
        log: list[logging.LogRecord],
    ) -> None:
        self.module, self.ledger, self.dropped, self.log = module, ledger, dropped, log
        self.audit, self.gateway = Gate(), Gate()
        self.server = Server(raw_app)
        audit, gateway = self.audit, self.gateway

        async def append(self: Any, entry: Any) -> None:
            await audit.pass_through(entry)

        async def send(self: Any, phone: str, text: str) -> None:
            await gateway.pass_through(phone, text)

        append.__qualname__, send.__qualname__ = "AuditTrail.append", "TextGateway.send"
        module.AuditTrail.append = append
        module.TextGateway.send = send

    def has_sent(self, count: int) -> bool:
        """Tell whether that many messages have arrived."""
        return len(self.gateway.passed) >= count

    def phone(self, patient: str) -> str:
        return str(self.module.PATIENTS[patient].phone)

    async def open_record(
        self, patient: str, doctor: str, *, patience: float = 2
    ) -> httpx.Response:
        """Open a record."""
        transport = WatchingTransport(self.server, limit=patience)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as http:
            return await http.post(
                f"/patients/{patient}/openings", json={"doctor": doctor, "reason": "no pulse"}
            )

    async def settle(self, reached: Callable[[], bool]) -> None:
        """Wait until something is reached, or until nothing is under way that could reach it."""
        for _ in range(TURNS):
            if reached():
                return
            await asyncio.sleep(0)
        for _ in range(100):
            pending = any(record.state == "pending" for record in self.ledger.records)
            if reached() or not (pending or self.server.busy):
                return
            await asyncio.sleep(0.01)

    def expect_all_ended(self, closing: asyncio.Task[None], *, at_once: bool) -> None:
        """Fail unless every message had ended, well or badly, before the desk was closed."""
        ended = len(self.gateway.passed) + len(self.gateway.refused)
        if ended >= len(OPENINGS):
            return
        cancelled = [record for record in self.ledger.records if record.state == "cancelled"]
        open_tasks = [record for record in self.ledger.records if record.state == "pending"]
        where = [record.made_at for record in cancelled or open_tasks or self.ledger.records]
        error = None if not closing.done() or closing.cancelled() else closing.exception()
        if not closing.done():
            self.expect_clean_end(closing)
        if error is not None and not self.gateway.refused:
            self.expect_clean_end(closing)  # no message has failed yet: the closing did by itself
        if error is not None:
            raise lesson(
                "closing-stopped-short",
                seen="{openings} messages were on their way when the desk closed. One failed, and "
                "the closing ended with {error} when {ended} of them had ended.",
                production="One wrong telephone number costs the messages beside it, and all that "
                "the desk would have done after this line.",
                look="What does this wait do when one of those it waits for raises?",
                where=[place_of_exception(error), *where],
                openings=len(OPENINGS),
                error=repr(error),
                ended=ended,
            )
        if cancelled:
            raise lesson(
                "cancelled-at-the-end",
                seen="{openings} messages were on their way when the desk closed. {cancelled} of "
                "their tasks were cancelled; {ended} messages had ended by themselves.",
                production="Each deployment cuts off the messages of its last seconds.",
                look="What does the contract say about messages on their way?",
                where=where,
                openings=len(OPENINGS),
                cancelled=len(cancelled),
                ended=ended,
            )
        if not at_once:
            raise lesson(
                "closed-by-the-clock",
                seen="{openings} messages were on their way when the desk closed. It waited for a "
                "while, and was closed when {ended} of them had ended.",
                production="On a slow day the wait is too short, and messages are lost. On every "
                "other day it is too long.",
                look="What did this wait really wait for?",
                where=where,
                openings=len(OPENINGS),
                ended=ended,
            )
        raise lesson(
            "closed-too-early",
            seen="{openings} messages were on their way when the desk closed. It was closed at "
            "once, when {ended} of them had ended.",
            production="Each deployment loses the messages of its last seconds.",
            look="What runs between the signal to stop and the end of the event loop?",
            where=where,
            openings=len(OPENINGS),
            ended=ended,
        )

    def expect_clean_end(self, closing: asyncio.Task[None]) -> None:
        """Fail unless the application has closed without an error."""
        if not closing.done():
            raise lesson(
                "does-not-close",
                seen="The desk was told to close. {ended} messages had ended, nothing held the "
                "others back, and it was still closing.",
                production="The operator kills the process, and with it whatever it still holds.",
                look="What does the closing wait for, and who would end it?",
                where=[place_of_task(task) for task in asyncio.all_tasks()],
                ended=len(self.gateway.passed) + len(self.gateway.refused),
            )
        error = None if closing.cancelled() else closing.exception()
        if closing.cancelled() or error is not None:
            raise lesson(
                "does-not-close-cleanly",
                seen="The desk closed with {error} after {arrived} messages had arrived.",
                production="What comes after this line at shutdown is skipped: connections stay "
                "open, files stay unwritten.",
                look="What does the lifespan do after its `yield` in this situation?",
                where=place_of_exception(error) if error is not None else None,
                error=repr(error) if error is not None else "a cancellation",
                arrived=len(self.gateway.passed),
            )


def let_time_pass(seconds: float) -> None:
    """Put the clock of the event loop forward: its timers are due, and nobody has waited."""
    loop: Any = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds


@pytest.fixture
def dropped() -> Iterator[list[DroppedCoroutine]]:
    """Record thrown away coroutines, and keep Python from collecting garbage by itself."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    gc.disable()
    # What was there before is no part of the test. It stays frozen, for searching it takes long.
    gc.freeze()
    try:
        with dropped_coroutines() as found:
            yield found
    finally:
        gc.enable()
        sys.unraisablehook = hook


@pytest.fixture
def log() -> Iterator[list[logging.LogRecord]]:
    """Record what is logged, by whatever logger, from before the module is loaded."""
    records: list[logging.LogRecord] = []
    factory = logging.getLogRecordFactory()

    def record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made = factory(*args, **kwargs)
        try:
            made.getMessage()
        except Exception:  # noqa: BLE001 - the arguments are the module's, and may be anything
            # A server writes "Logging error" and goes on; pytest would raise it into the module.
            made.msg, made.args = f"{made.msg}, with arguments that do not fit it", ()
        records.append(made)
        return made

    logging.setLogRecordFactory(record)
    yield records
    logging.setLogRecordFactory(factory)


@pytest.fixture
async def desk(
    dropped: list[DroppedCoroutine], log: list[logging.LogRecord], module: Any, raw_app: Any
) -> AsyncIterator[Desk]:
    """The desk, open."""
    async with TaskLedger() as ledger:
        desk = Desk(module, raw_app, ledger, dropped, log)
        await desk.server.start()
        yield desk
        desk.audit.let_all_go()
        desk.gateway.let_all_go()
        closing = asyncio.create_task(desk.server.stop())
        await turns(TURNS)
        let_time_pass(60)
        await asyncio.wait({closing}, timeout=0.5)
        closing.cancel()
        await asyncio.wait({closing})
        if not closing.cancelled():
            closing.exception()  # the tests of the shutdown speak of it
        del closing, desk
        gc.collect()


def _follow(task: weakref.ref[asyncio.Task[Any]] | None) -> asyncio.Task[Any] | None:
    return None if task is None else task()


def _same(error: Exception) -> Exception:
    return error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    queue, seen = [error], set()
    while queue:
        current = queue.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        queue += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            queue += current.exceptions


def _error_of(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if isinstance(record.exc_info, tuple) else None


def _has_traceback(record: logging.LogRecord, error: BaseException) -> bool:
    if any(member is error for member in _chain(_error_of(record))):
        return True
    return "Traceback (most recent call last)" in record.getMessage()


def _names(record: logging.LogRecord, patient: str) -> bool:
    texts = [record.getMessage(), *(str(member) for member in _chain(_error_of(record)))]
    # A name of a task or a thread is in the record, but no usual format writes it down.
    unseen = {"args", "msg", "taskName", "threadName"}
    texts += [str(value) for name, value in vars(record).items() if name not in unseen]
    return any(patient in text for text in texts)


def _by_module(records: list[logging.LogRecord]) -> list[logging.LogRecord]:
    """Leave out what asyncio says by itself when a task is thrown away unseen."""
    return [record for record in records if record.name != "asyncio"]


def _tells(records: list[logging.LogRecord], error: BaseException, patient: str) -> bool:
    return any(
        record.levelno >= logging.ERROR
        and _has_traceback(record, error)
        and _names(record, patient)
        for record in _by_module(records)
    )


def _silence(desk: Desk, patient: str, error: Exception, told_before: list[str]) -> Lesson:
    """Say what is missing in the log."""
    records = [record for record in _by_module(desk.log) if record.levelno >= logging.INFO]
    about = [r for r in records if _has_traceback(r, error) or r.levelno > logging.INFO]
    ends = [record.failed_at for record in desk.ledger.records] + [
        record.made_at for record in desk.ledger.records
    ]
    if not about and told_before:
        return lesson(
            "failure-of-another-kind",
            seen="The message to {before} failed, and the log told of it. The message to {patient} "
            "failed with {error}, and the log has {records} records about it.",
            production="The failures that nobody foresaw are the ones that need the log most.",
            look="Which exceptions leave this task, and who sees them then?",
            where=ends,
            before=", ".join(told_before),
            patient=patient,
            error=repr(error),
            records=len(about),
        )
    if not about and desk.ledger.unretrieved:
        return lesson(
            "failure-nobody-looked",
            seen="The message to {patient} failed with {error}. The desk logged {records} records "
            "about it. asyncio itself reported, when the task was thrown away: {report}. That "
            "report does not know the patient.",
            production="The report comes when the task is thrown away, be it hours later, and "
            "nobody can tell from it whom to call.",
            look="Where does an exception go that leaves this task, and who looks there?",
            where=ends,
            patient=patient,
            error=repr(error),
            records=len(about),
            report=", ".join(desk.ledger.unretrieved),
        )
    if not about:
        return lesson(
            "failure-in-silence",
            seen="The message to {patient} failed with {error}. The desk logged {records} records "
            "about it, and asyncio had nothing to report.",
            production="The gateway can be down for a week before anybody notices.",
            look="Where does this exception end, and what is done there?",
            where=ends,
            patient=patient,
            error=repr(error),
            records=len(about),
        )
    last = about[-1]
    return lesson(
        "failure-half-told",
        seen="The message to {patient} failed with {error}. The record in the log is {level} "
        "{text!r}; it carries the traceback: {traceback}; it names the patient: {named}.",
        production="At night somebody has to know from this record alone that there is something "
        "to do, what went wrong, and for whom.",
        look="Compare the record with the contract on the page of this kata.",
        where=ends,
        patient=patient,
        error=repr(error),
        level=last.levelname,
        text=last.getMessage(),
        traceback=_has_traceback(last, error),
        named=_names(last, patient),
    )
