"""The packing desk must stay awake while the carrier prints."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from fastapi_katas.probes import (
    BlockingCall,
    Call,
    Heartbeat,
    Lesson,
    Meeting,
    Place,
    Reply,
    Upstream,
    blocking_calls,
    expect_status,
    lesson,
)

# A pool of threads may be as small as five, on a machine with one core.
WAITERS = 5
PRINTED = {order: f"/labels/{order}" for order in range(1, WAITERS + 1)}
LATE, NEVER, UNKNOWN = 71, 81, 91
PAUSE = 0.1
SHORT_PAUSE = 0.002


@dataclass(slots=True)
class Printer:
    """A label that is printed late: the carrier answers 202 some times, and then the label.

    Attributes:
        refusals: How many times it answers 202.
        heartbeat: The heartbeat of the module's loop.
        gaps: Seconds between each answer 202 and the next question.
        stalls: The longest time in each of these gaps in which the loop made no turn, in seconds.
    """

    refusals: int
    heartbeat: Heartbeat
    gaps: list[float] = field(default_factory=list)
    stalls: list[float] = field(default_factory=list)
    _refused: int = 0
    _answered_at: float = 0.0

    def __call__(self, call: Call) -> Reply:
        stall = self.heartbeat.take_stall()
        if self._refused:
            self.gaps.append(time.monotonic() - self._answered_at)
            self.stalls.append(stall)
        if self._refused < self.refusals:
            self._refused += 1
            self._answered_at = time.monotonic()
            return Reply(202)
        return Reply(200, {"tracking": "TR-" + call.path.rsplit("/", 1)[-1]})


@pytest.fixture
async def heartbeat() -> AsyncIterator[Heartbeat]:
    """A heartbeat that rests between its beats: these tests wait more than they compute."""
    async with Heartbeat(rest=0.001) as beats:
        yield beats


@pytest.fixture(autouse=True)
def carrier(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """Put the carrier in place before the module is loaded."""
    monkeypatch.setenv("CARRIER_URL", upstream.url)
    for order, path in PRINTED.items():
        upstream.reply(path, json={"tracking": f"TR-{order}"})
    return upstream


@pytest.fixture
def short_pause(module: Any) -> None:
    """Let the carrier be content with less, where the length of the pause is not the point."""
    module.PAUSE_SECONDS = SHORT_PAUSE


@dataclass(frozen=True, slots=True)
class NeverPrinted:
    """What one request for a label that is never printed led to."""

    response: httpx.Response
    printer: Printer
    questions: int


@pytest.fixture(scope="module")
def walked() -> list[NeverPrinted]:
    """Keep the one walk whose pauses are real: more than one test looks at it."""
    return []


@pytest.fixture
async def never_printed(
    walked: list[NeverPrinted], carrier: Upstream, client: httpx.AsyncClient, heartbeat: Heartbeat
) -> NeverPrinted:
    """Ask for a label that is never printed, with the pauses as the module makes them."""
    if not walked:
        printer = Printer(99, heartbeat)
        carrier.script(f"/labels/{NEVER}", printer)
        response = await client.get(f"/orders/{NEVER}/label")
        walked.append(NeverPrinted(response, printer, len(carrier.calls)))
    return walked[0]


@pytest.mark.goal
async def test_loop_turns_while_carrier_answers(
    carrier: Upstream, client: httpx.AsyncClient
) -> None:
    """While one request waits for the carrier, the event loop goes on working."""
    holds = carrier.hold_each()
    response = await client.get("/orders/1/label")
    expect_status(response, 200, because="a printed label is returned")
    for held in holds:
        if held.blocked_at is not None or held.turns == 0:
            raise lesson(
                _where_key("loop-stood-still", held.blocked_at),
                seen="The carrier held the call until the event loop had turned. "
                "The loop made {turns} turns and stood on one line all the while.",
                production="One worker has one loop. While it stands still, nobody is served: "
                "not the other orders, not the health check. A slow carrier takes the desk down.",
                look="What does the loop do while this line waits for its answer?",
                where=held.blocked_at,
                turns=held.turns,
            )


@pytest.mark.goal
async def test_loop_turns_during_the_pause(never_printed: NeverPrinted) -> None:
    """While one request gives the carrier time to print, the event loop goes on working."""
    printer = never_printed.printer
    expect_status(never_printed.response, 503, because="the carrier never printed the label")
    # A busy machine can stop a free loop too, but hardly for a whole pause, twice running.
    if printer.stalls and min(printer.stalls) >= 0.9 * PAUSE:
        raise lesson(
            "pause-stood-still",
            seen="The carrier was given {gaps} seconds between two questions. In these pauses the "
            "event loop stood still for {stalls} seconds without a break.",
            production="Every label that is printed late stops the whole desk, once for each "
            "pause.",
            look="What does the loop's thread do during the pause?",
            gaps=_listed(printer.gaps),
            stalls=_listed(printer.stalls),
        )


@pytest.mark.goal
async def test_requests_wait_for_carrier_together(
    carrier: Upstream, client: httpx.AsyncClient
) -> None:
    """Five orders wait at the carrier at the same time, not one after the other."""
    meeting = carrier.meet(WAITERS)
    await _ask_for_all(client)
    if not meeting.met:
        raise _one_at_a_time(meeting, "came in together")


@pytest.mark.usefixtures("short_pause")
@pytest.mark.goal
async def test_late_labels_wait_together(
    carrier: Upstream, client: httpx.AsyncClient, heartbeat: Heartbeat
) -> None:
    """Five orders whose labels are printed late ask again together, too."""
    second: list[Meeting] = []
    for path in PRINTED.values():
        printer = Printer(1, heartbeat)

        def answer(call: Call, printer: Printer = printer) -> Reply:
            if first.met and not second:  # now the second questions shall meet, too
                second.append(carrier.meet(WAITERS))
            return printer(call)

        carrier.script(path, answer)
    first = carrier.meet(WAITERS)
    await _ask_for_all(client)
    for meeting, did in zip([first, *second], ["came in together", "asked again"], strict=False):
        if not meeting.met:
            raise _one_at_a_time(meeting, did)


@pytest.mark.usefixtures("short_pause")
@pytest.mark.goal
@pytest.mark.parametrize(
    ("order", "status"),
    [
        pytest.param(LATE, 200, id="printed late"),
        pytest.param(NEVER, 503, id="never printed"),
        pytest.param(UNKNOWN, 404, id="unknown"),
    ],
)
async def test_no_line_stops_the_loop(
    carrier: Upstream, client: httpx.AsyncClient, order: int, status: int, heartbeat: Heartbeat
) -> None:
    """No line of the module stops the loop, neither in the call nor in the pause."""
    carrier.script(f"/labels/{LATE}", Printer(1, heartbeat))
    carrier.script(f"/labels/{NEVER}", Printer(99, heartbeat))
    # The carrier takes so long that a thread which waits for it has to wait, on any machine.
    carrier.hold_each()
    with blocking_calls() as calls:
        response = await client.get(f"/orders/{order}/label")
    expect_status(response, status, because="the contract says so for this label")
    if calls:
        raise lesson(
            _what_blocks(calls),
            seen="{count} blocking calls ran on the event loop: {calls}.",
            production="Each of them stops every request of this worker for as long as it takes.",
            look="Read these lines. Which of them could let the loop go on?",
            where=[call.place for call in calls],
            count=len(calls),
            calls=", ".join(f"{call.name} at {call.place}" for call in calls),
        )


@pytest.mark.guard
async def test_printed_label_is_returned(carrier: Upstream, client: httpx.AsyncClient) -> None:
    """A printed label is returned with its order and its tracking number, after one question."""
    response = await client.get("/orders/2/label")
    expect_status(response, 200, because="a printed label is returned")
    assert response.json() == {"order_id": 2, "tracking": "TR-2"}
    assert len(carrier.calls) == 1, f"the carrier was asked {len(carrier.calls)} times, not once"


@pytest.mark.usefixtures("short_pause")
@pytest.mark.guard
async def test_late_label_is_returned(
    carrier: Upstream, client: httpx.AsyncClient, heartbeat: Heartbeat
) -> None:
    """A label that is printed late is asked for again, and returned."""
    carrier.script(f"/labels/{LATE}", Printer(1, heartbeat))
    response = await client.get(f"/orders/{LATE}/label")
    expect_status(response, 200, because="a label that is printed late is returned")
    assert len(carrier.calls) == 2, f"the carrier was asked {len(carrier.calls)} times, not twice"


@pytest.mark.guard
async def test_carrier_gets_time_between_questions(
    never_printed: NeverPrinted, module: Any
) -> None:
    """After each answer 202 the carrier gets its pause, as it demands; then 503."""
    response, printer = never_printed.response, never_printed.printer
    expect_status(response, 503, because="the carrier never printed the label")
    asked = never_printed.questions
    assert asked == 3, f"the carrier was asked {asked} times, not 3"
    # A pause may be longer than asked for, on a busy machine; it is never shorter.
    assert module.PAUSE_SECONDS == PAUSE, "PAUSE_SECONDS is a rule of the carrier and stays"
    if min(printer.gaps) < 0.8 * PAUSE:
        raise lesson(
            "pauses-missing",
            seen="The carrier answered 202 twice, and was asked again after {gaps} seconds. It "
            "asks for {pause} seconds.",
            production="The carrier asked for time to print. Without it the questions are used up "
            "before the label is ready, and the carrier may lock you out.",
            look="Compare the waiting of your copy with the waiting of bad.py.",
            gaps=_listed(printer.gaps),
            pause=PAUSE,
        )


@pytest.mark.usefixtures("short_pause")
@pytest.mark.guard
async def test_label_is_asked_for_again_later(
    carrier: Upstream, client: httpx.AsyncClient, heartbeat: Heartbeat
) -> None:
    """A label that was not printed in time, or not known, can be fetched later."""
    carrier.script(f"/labels/{LATE}", Printer(3, heartbeat))
    response = await client.get(f"/orders/{LATE}/label")
    expect_status(response, 503, because="the carrier had not printed the label yet")
    response = await client.get(f"/orders/{LATE}/label")
    expect_status(response, 200, because="the label is printed by now")
    response = await client.get(f"/orders/{UNKNOWN}/label")
    expect_status(response, 404, because="the carrier does not know this order")
    carrier.reply(f"/labels/{UNKNOWN}", json={"tracking": "TR-new"})
    response = await client.get(f"/orders/{UNKNOWN}/label")
    expect_status(response, 200, because="the carrier knows this order by now")


@pytest.mark.guard
async def test_unknown_order_is_404(carrier: Upstream, client: httpx.AsyncClient) -> None:
    """An order that the carrier does not know is 404, after one question."""
    response = await client.get(f"/orders/{UNKNOWN}/label")
    expect_status(response, 404, because="the carrier does not know this order")
    assert len(carrier.calls) == 1, f"the carrier was asked {len(carrier.calls)} times, not once"


@pytest.mark.guard
async def test_health_check_needs_no_carrier(carrier: Upstream, client: httpx.AsyncClient) -> None:
    """The health check answers by itself, without asking the carrier."""
    response = await client.get("/health")
    expect_status(response, 200, because="the desk itself is well")
    assert response.json() == {"status": "ok"}
    assert not carrier.calls, "the health check asked the carrier"


def _listed(seconds: list[float]) -> str:
    return " and ".join(f"{value:.2f}" for value in seconds)


async def _ask_for_all(client: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(*(client.get(f"/orders/{order}/label") for order in PRINTED))
    for order, response in zip(PRINTED, responses, strict=True):
        expect_status(response, 200, because=f"the label of order {order} is printed")


def _one_at_a_time(meeting: Meeting, did: str) -> Lesson:
    return lesson(
        "one-at-a-time" if meeting.together == 1 else "few-at-a-time",
        seen="{wanted} requests {did}. No more than {together} at a time reached the carrier.",
        production="Waiting adds up: with a carrier that needs one second, the hundredth order "
        "waits a hundred seconds.",
        look="The first request was on its way. What kept the others from starting?",
        where=meeting.blocked_at,
        wanted=meeting.wanted,
        together=meeting.together,
        did=did,
    )


def _where_key(key: str, place: Place | None) -> str:
    """Tell apart a loop that is stopped in the endpoint and one that is stopped elsewhere."""
    return key if place is None or place.function == "get_label" else f"{key}-in-helper"


def _what_blocks(calls: list[BlockingCall]) -> str:
    """Name the kinds of blocking calls that were seen."""
    names = {call.name for call in calls}
    kinds = [
        kind
        for kind, seen in (
            ("call", any(name.startswith(("socket.", "ssl.")) for name in names)),
            ("pause", "time.sleep" in names),
            ("lock", any("Lock" in name for name in names)),
        )
        if seen
    ]
    return ("-and-".join(kinds) or "something") + "-blocks"
