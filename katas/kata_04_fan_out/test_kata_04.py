"""The ward round asks for many samples: together, within the limit, and as a whole."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import httpx
import pytest

from fastapi_katas.probes import (
    Place,
    TaskLedger,
    crash_of,
    expect_status,
    lesson,
    place_in_stack,
    place_of_exception,
    place_of_task,
    turns,
)

LIMIT = 4
PATHS = ("/results", "/alarms", "/summary")
# Turns of the event loop in which nobody comes to the laboratory or leaves it.
CALM = 60
LONG_CALM = 500
# Seconds, only to end a wait that would never end.
PATIENCE = 0.25
NO_ANSWER = 2.0

Hold = Callable[[str], Awaitable[None]]


class Laboratory:
    """Takes the place of `call_laboratory`: counts who is here, and holds each enquiry."""

    def __init__(self) -> None:
        self.values = {f"S-{number}": number / 2 for number in range(41)}
        self.failure: Exception = ConnectionError("the line to the laboratory is dead")
        self.hold: Hold = self.hold_until_calm
        self.asked: list[str] = []
        self.answered: list[str] = []
        self.routes: list[list[Place | None]] = []
        self.here = 0
        self.hanging_up = 0
        self.peak = 0
        self._news = 0
        self._gave_up = False

    async def call(self, sample: str) -> float | None:
        self.asked.append(sample)
        self.routes.append(_route())
        self.here += 1
        self._news += 1
        self.peak = max(self.peak, self.here)
        try:
            await self.hold(sample)
            if sample.startswith("D-"):
                raise self.failure
            self.answered.append(sample)
            return self.values.get(sample)
        except asyncio.CancelledError:
            # Closing a connection takes a moment, as it does on a real network.
            self.hanging_up += 1
            try:
                await turns(LONG_CALM)
            finally:
                self.hanging_up -= 1
            raise
        finally:
            self.here -= 1
            self._news += 1

    async def calm(self, turns: int = CALM) -> None:
        """Wait until nobody has come or gone for a number of turns of the loop."""
        known, left = self._news, turns
        while left:
            await asyncio.sleep(0)
            left = left - 1 if known == self._news else turns
            known = self._news

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something is reached, or until it is plain that it never will be."""
        clock = asyncio.get_running_loop().time
        known, turns, since = self._news, 0, clock()
        while not self._gave_up and not reached():
            await asyncio.sleep(0)
            turns += 1
            if known != self._news:
                known, turns, since = self._news, 0, clock()
            self._gave_up = turns > CALM and clock() - since > PATIENCE

    def begin(self, hold: Hold) -> None:
        """Forget what was counted, and hold the next enquiries in another way."""
        self.hold = hold
        self.asked, self.answered, self.routes = [], [], []
        self.peak = 0
        self._gave_up = False

    async def hold_until_all_places_are_taken(self, sample: str) -> None:
        await self.until(lambda: self.peak >= LIMIT)

    async def hold_until_calm(self, sample: str) -> None:
        """Answer when everybody who wants to be here has come."""
        await self.calm()

    async def hold_briefly(self, sample: str) -> None:
        await turns(5)

    async def hold_all_but_unknown(self, sample: str) -> None:
        """Refuse an unknown or broken sample at once; keep the others for a long time."""
        await self.calm(CALM if sample not in self.values else LONG_CALM)


@pytest.fixture
def laboratory(module: Any) -> Laboratory:
    """Put the laboratory of the tests in place of the real one."""
    here = Laboratory()
    module.call_laboratory = here.call
    return here


# --- goals


@pytest.mark.goal
async def test_enquiries_wait_together(laboratory: Laboratory, client: httpx.AsyncClient) -> None:
    """Four samples of one request wait at the laboratory at the same time."""
    for path in PATHS:
        laboratory.begin(laboratory.hold_until_all_places_are_taken)
        response = await ask(client, path, samples(LIMIT))
        expect_asked(laboratory, response)
        expect_status(response, 200, because="all samples are known")
        if laboratory.peak < LIMIT:
            raise lesson(
                "one-at-a-time",
                seen="GET {path} asked for {wanted} samples. At most {together} of them were at "
                "the laboratory at the same time, and each was held until no other one came.",
                production="Waiting adds up: with half a second for each sample, a patient with "
                "twenty samples waits ten seconds.",
                look="The first sample was on its way. What did the second one wait for?",
                where=laboratory.routes[0],
                path=path,
                wanted=LIMIT,
                together=laboratory.peak,
            )


@pytest.mark.goal
async def test_slow_sample_holds_up_nobody(
    laboratory: Laboratory, client: httpx.AsyncClient
) -> None:
    """While one sample is slow, the others of its request and other requests are answered."""
    wanted = samples(2 * LIMIT)
    for path in PATHS:
        meanwhile = {"answered": 0, "free": LIMIT}

        async def slow_first(sample: str, meanwhile: dict[str, int] = meanwhile) -> None:
            if sample != wanted[0]:
                await laboratory.hold_briefly(sample)
                return
            await laboratory.until(lambda: len(laboratory.answered) == len(wanted) - 1)
            meanwhile.update(answered=len(laboratory.answered), free=LIMIT - laboratory.here)

        laboratory.begin(slow_first)
        response = await ask(client, path, wanted)
        expect_asked(laboratory, response)
        expect_status(response, 200, because="all samples are known")
        if meanwhile["answered"] < len(wanted) - 1:
            raise lesson(
                "held-up",
                seen="GET {path}: while the enquiry for {slow} was slow, {answered} of the other "
                "{others} samples were answered, then nothing moved any more. The laboratory had "
                "{free} of its {limit} places free.",
                production="One slow sample decides when the next ones may start. The slowest of "
                "each row adds up.",
                look="What do the samples behind the slow one wait for?",
                where=laboratory.routes[0],
                path=path,
                slow=wanted[0],
                others=len(wanted) - 1,
                limit=LIMIT,
                **meanwhile,
            )
    for path in PATHS:
        for other in PATHS:
            await _slow_sample_of_another_request(laboratory, client, path, other)


@pytest.mark.goal
async def test_one_request_keeps_the_limit(
    laboratory: Laboratory, client: httpx.AsyncClient
) -> None:
    """One request with twelve samples opens at most four enquiries at a time."""
    wanted = samples(3 * LIMIT)
    for path in PATHS:
        laboratory.begin(laboratory.hold_until_calm)
        async with TaskLedger() as ledger:
            response = await ask(client, path, wanted)
        expect_asked(laboratory, response)
        expect_status(response, 200, because="all samples are known")
        if laboratory.peak > LIMIT:
            raise lesson(
                "too-many-of-one-request",
                seen="One GET {path} for {wanted} samples had {together} enquiries open at the "
                "same time. The laboratory allows {limit}.",
                production="The caller decides how hard you hit the other side. The laboratory "
                "drops enquiries, or drops you, and with it every patient.",
                look="Which line starts the enquiries, and what makes the fifth one wait?",
                where=[*(task.made_at for task in ledger.records), *laboratory.routes[LIMIT]],
                path=path,
                wanted=len(wanted),
                together=laboratory.peak,
                limit=LIMIT,
            )


@pytest.mark.goal
async def test_all_requests_together_keep_the_limit(
    laboratory: Laboratory, client: httpx.AsyncClient
) -> None:
    """Six requests at the same time open at most four enquiries at a time, all in all."""
    responses = await asyncio.gather(
        *(
            ask(client, path, samples(LIMIT, first=1 + number * LIMIT))
            for number, path in enumerate(PATHS * 2)
        )
    )
    for response in responses:
        expect_asked(laboratory, response)
        expect_status(response, 200, because="all samples are known")
    if laboratory.peak > LIMIT:
        raise lesson(
            "too-many-of-all-requests",
            seen="{requests} requests for {wanted} samples each came in together. They had "
            "{together} enquiries open at the same time. The laboratory allows this process "
            "{limit}.",
            production="The laboratory does not know your requests, it counts the enquiries of "
            "this process. On a busy morning they are far too many.",
            look="A second request comes in. How does it know of the enquiries of the first?",
            where=laboratory.routes[LIMIT],
            requests=len(responses),
            wanted=LIMIT,
            together=laboratory.peak,
            limit=LIMIT,
        )


@pytest.mark.goal
async def test_nothing_goes_on_after_the_answer(
    laboratory: Laboratory, client: httpx.AsyncClient
) -> None:
    """When one enquiry fails, no other one of the request is open or starts after the answer."""
    requests = [
        (path, bad) for bad in ("X-1", "D-1") for path in ("/alarms", "/results", "/summary")
    ]
    for path, bad in requests:
        laboratory.begin(laboratory.hold_all_but_unknown)
        async with TaskLedger() as ledger:
            response = await ask(client, path, [bad, *samples(2 * LIMIT)])
            running = [task.made_at for task in ledger.records if task.state == "pending"]
            hanging_up = laboratory.hanging_up
            still_open, asked = laboratory.here - hanging_up, len(laboratory.asked)
            await laboratory.calm(2 * LONG_CALM)
        late = len(laboratory.asked) - asked
        expect_asked(laboratory, response)
        if still_open or late:
            raise lesson(
                "still-asking",
                seen="GET {path} was answered with {status}. At that moment {still_open} of its "
                "enquiries were open at the laboratory, and {late} more began afterwards.",
                production="Nobody waits for these answers any more, but they take places and "
                "cost the laboratory work. When much fails, the failed requests are what keeps "
                "the good ones waiting.",
                look="One enquiry failed. Who tells the others, and who waits for their end?",
                where=running,
                path=path,
                status=response.status_code,
                still_open=still_open,
                late=late,
            )
        if hanging_up:
            raise lesson(
                "still-hanging-up",
                seen="GET {path} was answered with {status}. At that moment {hanging_up} of its "
                "enquiries had been told to stop, and had not ended yet.",
                production="What is still being closed still counts at the laboratory. What goes "
                "wrong while it closes, nobody hears.",
                look="Does your code know when these tasks have really ended?",
                where=running,
                path=path,
                status=response.status_code,
                hanging_up=hanging_up,
            )


@pytest.mark.goal
async def test_unknown_sample_in_summary_is_404(
    laboratory: Laboratory, client: httpx.AsyncClient
) -> None:
    """The summary answers 404 with the name of the sample, also when two samples are unknown."""
    await expect_404(laboratory, client, "/summary", ["S-1", "X-1", "S-3"])
    await expect_404(laboratory, client, "/summary", ["X-1", "S-2", "X-2"])


# --- guards


@pytest.mark.guard
async def test_unknown_sample_is_404(laboratory: Laboratory, client: httpx.AsyncClient) -> None:
    """The results and the alarms answer 404 with the name of the sample that is unknown."""
    for path in ("/results", "/alarms"):
        await expect_404(laboratory, client, path, ["S-1", "X-1", "S-3"])
        await expect_404(laboratory, client, path, ["X-1", "S-2", "X-2"])


@pytest.mark.guard
async def test_results_keep_the_order_of_the_request(
    laboratory: Laboratory, client: httpx.AsyncClient
) -> None:
    """Results and alarms stand in the order of the request, whichever comes back first."""
    wanted = ["S-14", "S-0", "S-20", "S-12", "S-13"]

    async def last_one_first(sample: str) -> None:
        await turns(40 * (len(wanted) - wanted.index(sample)))

    laboratory.hold = last_one_first
    response = await ask(client, "/results", wanted)
    expect_status(response, 200, because="all samples are known")
    assert response.json() == [
        {"sample": "S-14", "value": 7.0, "critical": True},
        {"sample": "S-0", "value": 0.0, "critical": False},
        {"sample": "S-20", "value": 10.0, "critical": True},
        {"sample": "S-12", "value": 6.0, "critical": False},
        {"sample": "S-13", "value": 6.5, "critical": True},
    ], "GET /results does not have one result for each sample, in the order of the request"
    response = await ask(client, "/alarms", wanted)
    expect_status(response, 200, because="all samples are known")
    assert response.json() == [
        {"sample": "S-14", "value": 7.0, "critical": True},
        {"sample": "S-20", "value": 10.0, "critical": True},
        {"sample": "S-13", "value": 6.5, "critical": True},
    ], "GET /alarms does not have the critical results in the order of the request"


@pytest.mark.guard
async def test_sample_named_twice_is_there_twice(
    laboratory: Laboratory, client: httpx.AsyncClient
) -> None:
    """A sample that is named twice in the request is there twice in the answer."""
    laboratory.hold = laboratory.hold_briefly
    response = await ask(client, "/results", ["S-2", "S-1", "S-2"])
    expect_status(response, 200, because="all samples are known")
    first = {"sample": "S-1", "value": 0.5, "critical": False}
    second = {"sample": "S-2", "value": 1.0, "critical": False}
    assert response.json() == [second, first, second], (
        f"asked for S-2, S-1, S-2, and got {response.text[:200]}"
    )
    response = await ask(client, "/alarms", ["S-14", "S-1", "S-14"])
    expect_status(response, 200, because="all samples are known")
    assert response.json() == [{"sample": "S-14", "value": 7.0, "critical": True}] * 2, (
        f"asked for the alarms of S-14, S-1, S-14, and got {response.text[:200]}"
    )
    response = await ask(client, "/summary", ["S-2", "S-1", "S-2"])
    expect_status(response, 200, because="all samples are known")
    assert response.json() == {"count": 3, "lowest": 0.5, "highest": 1.0}, (
        f"asked for the summary of S-2, S-1, S-2, and got {response.text[:200]}"
    )


@pytest.mark.guard
async def test_one_enquiry_for_each_sample(
    laboratory: Laboratory, client: httpx.AsyncClient
) -> None:
    """Each request asks the laboratory once for each of its samples."""
    wanted = samples(6)
    for path in PATHS:
        laboratory.begin(laboratory.hold_briefly)
        response = await ask(client, path, wanted)
        expect_status(response, 200, because="all samples are known")
        assert sorted(laboratory.asked) == wanted, (
            f"GET {path} for {', '.join(wanted)} asked the laboratory for "
            f"{', '.join(laboratory.asked) or 'nothing'}"
        )


@pytest.mark.guard
async def test_each_request_asks_anew(laboratory: Laboratory, client: httpx.AsyncClient) -> None:
    """Requests share no enquiry and no answer, neither together nor one after the other."""
    wanted = samples(2)
    for path in PATHS:
        laboratory.begin(laboratory.hold_until_calm)
        for response in await asyncio.gather(ask(client, path, wanted), ask(client, path, wanted)):
            expect_status(response, 200, because="all samples are known")
        assert sorted(laboratory.asked) == sorted(2 * wanted), (
            f"two GET {path} at the same time, each for {', '.join(wanted)}, asked the laboratory "
            f"for {', '.join(sorted(laboratory.asked))}"
        )
    for path in PATHS:
        laboratory.begin(laboratory.hold_briefly)
        laboratory.values.pop("S-40", None)
        await ask(client, path, ["S-40", "S-1"])
        laboratory.values["S-40"] = 20.0
        response = await ask(client, path, ["S-40", "S-1"])
        expect_status(response, 200, because="the laboratory knows this sample now")


@pytest.mark.guard
async def test_failing_request_leaves_others_alone(
    laboratory: Laboratory, client: httpx.AsyncClient
) -> None:
    """While one request fails, another one is answered as if nothing had happened."""
    for path in PATHS:
        for bad in ("X-1", "D-1"):
            laboratory.begin(laboratory.hold_all_but_unknown)
            _, response = await asyncio.gather(
                ask(client, path, [bad, "S-1"]), ask(client, path, ["S-3", "S-4"])
            )
            expect_status(response, 200, because="all samples of this request are known")
            await laboratory.calm(2 * LONG_CALM)


@pytest.mark.guard
async def test_very_slow_sample_is_not_left_out(
    laboratory: Laboratory, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample that takes four seconds is in the answer, or the answer is a server error."""
    loop = asyncio.get_running_loop()
    clock = loop.time

    async def some_seconds(sample: str) -> None:
        if sample == "S-14":
            await laboratory.calm()
            monkeypatch.setattr(loop, "time", lambda: clock() + 4)
            await laboratory.calm()

    for path in ("/results", "/alarms"):
        laboratory.begin(some_seconds)
        response = await client.get(path, params={"sample": ["S-13", "S-14"]})
        monkeypatch.setattr(loop, "time", clock)
        expect_asked(laboratory, response)
        assert response.status_code >= 500 or len(response.json()) == 2, (
            f"the enquiry for S-14 took four seconds, and GET {path} answered without it: "
            f"{response.status_code} with {response.text[:200]}"
        )


@pytest.mark.guard
async def test_summary_shows_the_range(laboratory: Laboratory, client: httpx.AsyncClient) -> None:
    """The summary has the number of samples, the lowest and the highest value."""
    laboratory.hold = laboratory.hold_briefly
    response = await ask(client, "/summary", ["S-4", "S-2", "S-12", "S-6", "S-8", "S-10"])
    expect_status(response, 200, because="all samples are known")
    assert response.json() == {"count": 6, "lowest": 1.0, "highest": 6.0}


@pytest.mark.guard
async def test_requests_share_the_places(laboratory: Laboratory, client: httpx.AsyncClient) -> None:
    """Two requests with two samples each are at the laboratory together."""
    for paths in (("/alarms", "/summary"), ("/alarms", "/alarms"), ("/summary", "/summary")):
        laboratory.begin(laboratory.hold_until_all_places_are_taken)
        responses = await asyncio.gather(
            ask(client, paths[0], ["S-1", "S-2"]), ask(client, paths[1], ["S-3", "S-4"])
        )
        for response in responses:
            expect_asked(laboratory, response)
            expect_status(response, 200, because="all samples are known")
        if laboratory.peak < LIMIT:
            raise lesson(
                "places-left-empty",
                seen="GET {one} and GET {other} asked for two samples each at the same time. At "
                "most {together} of the {limit} places at the laboratory were used.",
                production="Requests wait although the laboratory would serve them.",
                look="There was a place free. What did the last enquiry wait for?",
                where=laboratory.routes[-1],
                one=paths[0],
                other=paths[1],
                together=laboratory.peak,
                limit=LIMIT,
            )


@pytest.mark.guard
async def test_failures_give_their_places_back(
    laboratory: Laboratory, client: httpx.AsyncClient
) -> None:
    """After requests that failed, the next one finds all places free."""
    laboratory.begin(laboratory.hold_until_all_places_are_taken)
    response = await ask(client, "/alarms", samples(LIMIT))
    expect_status(response, 200, because="all samples are known")
    before = laboratory.peak
    for path in PATHS:
        for bad in ("X", "D"):
            for wanted in (
                ["S-1", f"{bad}-1", "S-2", f"{bad}-2"],
                [f"{bad}-1", *samples(2 * LIMIT)],
            ):
                laboratory.begin(laboratory.hold_all_but_unknown)
                response = await ask(client, path, wanted)
                expect_asked(laboratory, response)
    await laboratory.calm(2 * LONG_CALM)
    laboratory.begin(laboratory.hold_until_all_places_are_taken)
    response = await ask(client, "/alarms", samples(LIMIT))
    expect_status(response, 200, because="all samples are known")
    after = laboratory.peak
    assert after == before, f"{before} enquiries were possible before the failures, {after} after"


@pytest.mark.guard
async def test_failure_of_the_laboratory_stays_visible(
    laboratory: Laboratory, client: httpx.AsyncClient
) -> None:
    """When the laboratory itself fails, the answer is a server error, not 200 and not 404."""
    for failure in (
        ConnectionError("the line to the laboratory is dead"),
        TimeoutError("the laboratory does not answer"),
        ValueError("the answer of the laboratory cannot be read"),
        KeyError("value"),
    ):
        for path in PATHS:
            laboratory.begin(laboratory.hold_until_calm)
            laboratory.failure = failure
            response = await ask(client, path, ["S-1", "D-2", "S-3"])
            expect_asked(laboratory, response)
            assert response.status_code >= 500, (
                f"the laboratory failed with {failure!r}, and GET {path} answered "
                f"{response.status_code} with {response.text[:200]}"
            )
            await laboratory.calm(2 * LONG_CALM)
            assert laboratory.asked.count("D-2") == 1, (
                f"the laboratory failed with {failure!r}, and one GET {path} asked it "
                f"{laboratory.asked.count('D-2')} times for the same sample"
            )


# --- the words of these tests


async def _slow_sample_of_another_request(
    laboratory: Laboratory, client: httpx.AsyncClient, path: str, other: str
) -> None:
    """Keep one sample of a request; a second request finds three places free, and is answered."""
    wanted, few = samples(2 * LIMIT), samples(LIMIT - 1, first=21)
    begun, finish = asyncio.Event(), asyncio.Event()

    async def slow_first(sample: str) -> None:
        if sample != wanted[0]:
            await laboratory.hold_briefly(sample)
            return
        await laboratory.until(lambda: len(laboratory.answered) == len(wanted) - 1)
        begun.set()
        await finish.wait()

    laboratory.begin(slow_first)
    first = asyncio.ensure_future(ask(client, path, wanted))
    meeting = asyncio.ensure_future(begun.wait())
    await asyncio.wait({first, meeting}, timeout=NO_ANSWER, return_when=asyncio.FIRST_COMPLETED)
    meeting.cancel()
    second = asyncio.ensure_future(client.get(other, params={"sample": few}))
    clock, turns = asyncio.get_running_loop().time, 0
    end = clock() + PATIENCE
    # Time alone may pass while another process has the processor; turns are made by this one.
    while not second.done() and (turns < LONG_CALM or clock() < end):
        await asyncio.sleep(0)
        turns += 1
    was_answered, free = second.done(), LIMIT - laboratory.here
    waiting = [place_of_task(task) for task in asyncio.all_tasks()]
    finish.set()
    for response in await asyncio.gather(first, second):
        expect_asked(laboratory, response)
        expect_status(response, 200, because="all samples are known")
    if not was_answered:
        raise lesson(
            "held-up-by-another-request",
            seen="GET {path} still had one slow enquiry open. GET {other} came for {few} samples "
            "and was not answered, although {free} of the {limit} places were free.",
            production="One slow sample of one patient keeps the doctors of all others waiting.",
            look="What does a request hold on to while it waits for its last sample?",
            where=waiting,
            path=path,
            other=other,
            few=len(few),
            free=free,
            limit=LIMIT,
        )


async def ask(client: httpx.AsyncClient, path: str, wanted: list[str]) -> httpx.Response:
    """Send a request, and end it with a lesson if there is never an answer."""
    request = asyncio.ensure_future(client.get(path, params={"sample": wanted}))
    done, _ = await asyncio.wait({request}, timeout=NO_ANSWER)
    if done and not request.cancelled():
        return request.result()
    if done:
        raise lesson(
            "cancelled-by-another",
            seen="GET {path} for {wanted} had no answer: its work was cancelled, and not by its "
            "caller.",
            production="One typing error in one request takes the answers of all others with it.",
            look="Which tasks does a request that fails cancel? Whose are they?",
            path=path,
            wanted=", ".join(wanted),
        )
    waiting = [place_of_task(task) for task in asyncio.all_tasks()]
    request.cancel()
    raise lesson(
        "never-answered",
        seen="GET {path} for {wanted} had no answer after {seconds:g} seconds.",
        production="The caller gives up. What the request holds, it holds until the next restart.",
        look="What does the request wait for at this line, and who would give it?",
        where=waiting,
        path=path,
        wanted=", ".join(wanted),
        seconds=NO_ANSWER,
    )


def samples(count: int, *, first: int = 1) -> list[str]:
    return [f"S-{number}" for number in range(first, first + count)]


def expect_asked(laboratory: Laboratory, response: httpx.Response) -> None:
    """Fail unless the module asked the laboratory of these tests at all."""
    if laboratory.asked:
        return
    crash = crash_of(response)
    if crash is not None:
        error = crash
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise lesson(
            "crashed-before-asking",
            seen="{request} ended in {error}, answered as {status}. It had not called "
            "`call_laboratory` by then.",
            production="The caller gets an error that says nothing, and no sample is looked up.",
            look="Follow the exception to the line it comes from.",
            where=place_of_exception(crash),
            request=f"GET {response.request.url.path}",
            status=response.status_code,
            error=f"{type(error).__name__}: {error}",
        )
    raise lesson(
        "laboratory-not-asked",
        seen="{request} was answered with {status} ({reason}), and `call_laboratory` of the "
        "module was called {calls} times.",
        production="The laboratory is reached through this name alone: what goes past it, nobody "
        "counts.",
        look="Where does the module call `call_laboratory`, and does it get that far?",
        request=f"GET {response.request.url.path}",
        status=response.status_code,
        reason=response.text[:200],
        calls=len(laboratory.asked),
    )


async def expect_404(
    laboratory: Laboratory, client: httpx.AsyncClient, path: str, wanted: list[str]
) -> None:
    """Fail unless a request with unknown samples is 404 and names one of them."""
    response = await ask(client, path, wanted)
    expect_asked(laboratory, response)
    unknown = [sample for sample in wanted if sample not in laboratory.values]
    crash = crash_of(response)
    if isinstance(crash, BaseExceptionGroup):
        inner = [repr(error) for error in crash.exceptions]
        raise lesson(
            "refusal-wrapped",
            seen="GET {path} with {unknown} unknown was answered with {status}. What left the "
            "endpoint was {group}, and the refusal was inside it: {inner}.",
            production="The caller asked for a sample that does not exist and hears that the "
            "server is broken. It tries again, and somebody is called out at night.",
            look="The refusal was raised as it should be. At which line did it get its wrapping?",
            where=[place_of_exception(crash), place_of_exception(crash.exceptions[0])],
            path=path,
            unknown=" and ".join(unknown),
            status=response.status_code,
            group=f"{type(crash).__name__}({crash.message!r})",
            inner=", ".join(inner),
        )
    expect_status(response, 404, because="the laboratory does not know every sample")
    details = [f"The laboratory does not know sample {sample}" for sample in unknown]
    if _content(response) not in [{"detail": detail} for detail in details]:
        raise lesson(
            "detail-lost",
            seen="GET {path} with {unknown} unknown answered 404 with {body}.",
            production="The nurse cannot see which of the samples must be taken again.",
            look="Compare the detail with the contract on the page of this kata.",
            path=path,
            unknown=" and ".join(unknown),
            body=response.text[:200],
        )


def _content(response: httpx.Response) -> object:
    try:
        content: object = response.json()
    except ValueError:
        return response.text
    return content


def _route() -> list[Place | None]:
    """The own lines that led here, from the innermost to the outermost."""
    places: dict[tuple[str, int], Place | None] = {}
    frame: FrameType | None = sys._getframe(2)
    while place := place_in_stack(frame):
        places.setdefault((place.file, place.line), place)
        while frame is not None and frame.f_code.co_filename != place.file:
            frame = frame.f_back
        frame = frame.f_back if frame is not None else None
    return list(places.values())
