"""Records asked of a server, so many at a time, each answer judged and asked again where it fails; what is answered is kept at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
from anyio.from_thread import start_blocking_portal

from emoreason.annotate.answers import read_answer
from emoreason.annotate.asking import Ask, Sending, context_of, rendered, request_body, request_key
from emoreason.annotate.cache import AnswerCache, Reply
from emoreason.annotate.client import ChatClient, RequestError, ServerStoppedError, choose_model
from emoreason.annotate.filling import agreement, filled_records
from emoreason.annotate.filters import Problem, problems_of
from emoreason.annotate.templates import AnnotationTemplate
from emoreason.faults import UserError
from emoreason.records import Record

_LONGEST_REPEATED = 4000
"""Characters of a rejected answer that the model is shown again."""


class _UnreadableError(RuntimeError):
    """A medium that cannot be read."""


@dataclass
class Outcome:
    """What came of one record."""

    state: str = "not reached"
    """`kept`, `rejected`, `failed` (no answer), `unreadable` (its media) or `not reached`."""
    records: list[Record] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """Of the last answer, where it is rejected."""
    answers: dict[str, str] = field(default_factory=dict)
    """The last answer's text by modality, `all` where there is one."""
    reason: str = ""
    """Of `failed` and `unreadable`."""
    num_rounds: int = 0
    agreement: str | None = None


@dataclass
class Counts:
    """What was done in a run, whatever came of it."""

    num_from_cache: int = 0
    num_answered: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    rejected_answers: dict[str, int] = field(default_factory=dict)
    """Answers by each filter that found fault with them, over all rounds."""


@dataclass
class Work:
    """Records to be annotated, and how."""

    asks: list[list[Ask]]
    """Of each record."""
    folder: Path
    template: AnnotationTemplate
    sending: Sending
    cache: AnswerCache
    rounds: int
    concurrency: int
    deadline_s: float | None = None
    progress: Callable[[int, int], None] = lambda done, total: None
    outcomes: list[Outcome] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    stopped: str | None = None
    """Why the rest was not reached; None when all was."""

    def __post_init__(self) -> None:
        self.outcomes = [Outcome() for _ in self.asks]


def find_model(client: ChatClient, asked: str | None, deadline_s: float | None = None) -> str:
    """The model to ask, as the server names it.

    Raises:
        UserError: the server is not there, not for us, or has no such model.
    """

    async def find() -> str:
        with anyio.move_on_after(deadline_s):
            async with client.connection() as http:
                return choose_model(asked, await client.models(http))
        raise ServerStoppedError(f"{client.base_url}: has not told its models within the deadline of {deadline_s:g} s")

    try:
        with start_blocking_portal() as portal:
            return portal.call(find)
    except ServerStoppedError as error:
        raise UserError(str(error)) from error


def run_work(work: Work, client: ChatClient) -> None:
    """Fill `outcomes`, in the order of the records; what could not be reached stays so, and `stopped` says why.

    The event loop has a thread of its own, since a notebook already runs one in this thread. When the wait for it is interrupted
    (Ctrl-C), the requests under way are cancelled; what was answered is in the cache.

    Raises:
        UserError: a text of the template cannot be rendered, the cache cannot be written.
    """
    try:
        with start_blocking_portal() as portal:
            portal.call(_ask_all, work, client)
    except KeyboardInterrupt:
        work.stopped = "interrupted"


async def _ask_all(work: Work, client: ChatClient) -> None:
    places, faults, num_done = iter(range(len(work.asks))), [], 0

    async def take(places: Iterator[int], http: httpx.AsyncClient, scope: anyio.CancelScope) -> None:
        nonlocal num_done
        for place in places:  # shared: whoever is free takes the next
            try:
                work.outcomes[place] = await _annotate(work, client, http, work.asks[place])
            except ServerStoppedError as error:
                work.stopped = work.stopped or str(error)
                scope.cancel()
                return
            except UserError as error:  # raised after the group, which would wrap it
                faults.append(error)
                scope.cancel()
                return
            num_done += 1
            work.progress(num_done, len(work.asks))

    async with client.connection() as http:
        with anyio.move_on_after(work.deadline_s) as scope:
            async with anyio.create_task_group() as group:
                for _ in range(min(work.concurrency, len(work.asks))):
                    group.start_soon(take, places, http, scope)
    if faults:
        raise faults[0]
    if scope.cancelled_caught and work.stopped is None:
        work.stopped = "the deadline has passed"


async def _annotate(work: Work, client: ChatClient, http: httpx.AsyncClient, asks: list[Ask]) -> Outcome:
    """All answers of one record."""
    outcome, answers = Outcome("rejected"), {}
    for ask in asks:
        try:
            answer = await _answer(work, client, http, ask, outcome)
        except RequestError as error:
            return Outcome("failed", reason=str(error), num_rounds=outcome.num_rounds)
        except _UnreadableError as error:
            return Outcome("unreadable", reason=str(error))
        if answer is None:
            return outcome
        answers[ask.modality] = answer
    record, template = asks[0].record, work.template
    outcome.records, wrong = filled_records(record, answers, template, work.sending.signature)
    problems = [Problem("format", text) for text in wrong]
    if template.filters.agreement:
        outcome.agreement = agreement(record, answers, template)
        if outcome.agreement in template.filters.agreement.reject:
            problems.append(Problem("agreement", f"the modalities by themselves: {outcome.agreement}"))
    if problems:
        if template.each == "modality":  # of single answers they were counted in `_judge`
            _count(work, problems)
        outcome.records, outcome.problems = [], problems
        return outcome
    outcome.state, outcome.problems = "kept", []
    return outcome


async def _answer(work: Work, client: ChatClient, http: httpx.AsyncClient, ask: Ask, outcome: Outcome) -> dict[str, Any] | None:
    """The first answer that no filter rejects, of at most `rounds`; None where there is none, and `outcome` has the last one's problems."""
    for number in range(1, work.rounds + 1):
        outcome.num_rounds = max(outcome.num_rounds, number)
        reply = await _reply(work, client, http, ask)
        answer, problems = _judge(work, ask, reply)
        outcome.answers[ask.modality or "all"], outcome.problems = reply.text, problems
        if not problems:
            return answer
        _count(work, problems)
        context = {**context_of(ask.record), "modality": ask.modality, "media": list(ask.kinds), "problems": [problem.text for problem in problems]}
        ask.turns.append((reply.text[:_LONGEST_REPEATED], rendered(work.template, "again", work.template.again, context)))
    return None


async def _reply(work: Work, client: ChatClient, http: httpx.AsyncClient, ask: Ask) -> Reply:
    """From the cache, else from the server, and then into the cache."""
    try:
        key = await anyio.to_thread.run_sync(request_key, ask, work.folder, work.template, work.sending)
        reply = work.cache.get(key)
        if reply is not None:
            work.counts.num_from_cache += 1
            client.has_answered = True
            return reply
        body = await anyio.to_thread.run_sync(request_body, ask, work.folder, work.template, work.sending)
    except UserError as error:
        raise _UnreadableError(str(error).replace(f"{work.folder}/", "")) from error
    reply = await client.chat(http, body)
    work.counts.num_answered += 1
    work.counts.prompt_tokens += reply.prompt_tokens
    work.counts.completion_tokens += reply.completion_tokens
    return work.cache.put(key, reply)


def _judge(work: Work, ask: Ask, reply: Reply) -> tuple[dict[str, Any] | None, list[Problem]]:
    """(the answer, why it cannot be used)."""
    if reply.finish_reason == "length":
        return None, [Problem("format", f"cut off at max_tokens {work.template.sampling.max_tokens}; it should be shorter")]
    answer, wrong = read_answer(reply.text, work.template.answer_schema)
    if answer is None or wrong:
        return None, [Problem("format", text) for text in wrong]
    if ask.modality is None:
        wrong = filled_records(ask.record, {None: answer}, work.template, work.sending.signature)[1]
    return answer, [Problem("format", text) for text in wrong] + problems_of(answer, ask.record, work.template.filters)


def _count(work: Work, problems: list[Problem]) -> None:
    for name in {problem.filter for problem in problems}:
        work.counts.rejected_answers[name] = work.counts.rejected_answers.get(name, 0) + 1
