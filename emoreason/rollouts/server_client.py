"""JSON to and from an engine's server: every call has a deadline, and one bad request does not spoil the others.

Calls run in an event loop, since cancelling a task is the one way to end a request for certain: the time-outs of sockets start
anew with each byte, and a thread that waits for a socket cannot be stopped.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import httpx
from anyio.from_thread import start_blocking_portal

from emoreason.faults import UserError
from emoreason.rollouts.faults import EngineError, EngineLostError

T = TypeVar("T")

_WORTH_REPEATING = frozenset({429, 502, 503, 504})
"""Answers of a server, or of a proxy before it, that is busy for a while."""
_SAME_FOR_ALL = frozenset({401, 403, 404, 405})
"""Answers that every other request to the path would get, too."""
_KEEP_ALIVE_S = 2.0
"""vLLM hangs up after five idle seconds (VLLM_HTTP_TIMEOUT_KEEP_ALIVE); a request must not meet a connection on its way out."""
_MAX_DELAY_S = 15.0
_ANSWERED_IN_TEXT = ("/v1/load_lora_adapter", "/v1/unload_lora_adapter")
"""Paths of vLLM that answer a sentence."""


def backoff_s(num_failures: int, first_s: float, generator: random.Random) -> float:
    """Seconds to wait after this many failures: `first_s`, doubled with each further one, at most 15, times 0.5 to 1.5 at random.

    Without chance, all requests that a busy server has turned away would come back at the same moment.
    """
    return min(first_s * 2 ** (num_failures - 1), _MAX_DELAY_S) * (0.5 + generator.random())


class ServerClient:
    """Calls of the server at `base_url`, `http://HOST:PORT`."""

    def __init__(
        self,
        base_url: str,
        timeout_s: float = 600.0,
        connect_timeout_s: float = 10.0,
        health_timeout_s: float = 20.0,
        num_retries: int = 4,
        first_backoff_s: float = 0.5,
        seed: int = 0,
        check_alive: Callable[[], None] | None = None,
        api_key: str | None = None,
    ):
        """A client; it holds no connection between calls.

        Args:
            timeout_s: for a call as a whole, with all its attempts and the waits between them, where the call gives none of its own.
            health_timeout_s: after a failure, a server whose /health is silent for so long is taken to be frozen; vLLM's front end may
                be busy with the media of a request for seconds.
            num_retries: further attempts after a broken connection or an answer of 429, 502, 503 or 504; never after another answer.
            check_alive: raises where the server's process is known to have ended (`ServerProcess.check_alive`); asked on each failure.
            api_key: VLLM_API_KEY of the environment where None.

        Raises:
            UserError: `base_url` is no address of a server.
        """
        self.base_url = _checked_url(base_url)
        self.timeout_s = timeout_s
        self.connect_timeout_s = connect_timeout_s
        self.health_timeout_s = health_timeout_s
        self.num_retries = num_retries
        self.first_backoff_s = first_backoff_s
        self.check_alive = check_alive
        self._generator = random.Random(seed)
        key = api_key or os.environ.get("VLLM_API_KEY")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def get_json(self, path: str, timeout_s: float | None = None) -> Any:
        """What the server answers to GET, None where the body is empty; repeated `num_retries` times.

        Raises:
            EngineError: no answer in time, or one that is not a success or not JSON; `EngineLostError` where the server is gone.
        """
        return _run(self._one, "GET", path, None, timeout_s, self.num_retries)

    def post_json(self, path: str, body: Any, timeout_s: float | None = None, num_retries: int = 0) -> Any:
        """What the server answers to POST, None where the body is empty.

        Not repeated unless told to, since a broken connection does not tell whether the server has done its work.

        Raises:
            EngineError: as `get_json`.
        """
        return _run(self._one, "POST", path, body, timeout_s, num_retries)

    def post_many(
        self,
        path: str,
        bodies: Sequence[Any],
        max_concurrent: int,
        timeout_s: float | None = None,
        num_retries: int | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Any | EngineError]:
        """The answer to each body, in order; an `EngineError` where the server refused that one, or took too long over it.

        At most `max_concurrent` are under way at a time; the deadline of each starts when it is sent. `bodies[i]` is read at that
        moment, so a sequence may make them when asked. `num_retries` is the client's own where None: requests must be safe to repeat.
        `bodies` and `progress(done, total)` are called from another thread.

        Raises:
            EngineLostError: the server is gone, or none of the requests under way were answered in time; the rest is not sent.
            EngineError: the path is not served, or not to us (401, 403, 404, 405).
        """
        assert max_concurrent >= 1, max_concurrent
        if not len(bodies):
            return []
        num_retries = self.num_retries if num_retries is None else num_retries
        return _run(self._many, path, bodies, max_concurrent, timeout_s or self.timeout_s, num_retries, progress)

    def wait_until_healthy(self, timeout_s: float) -> None:
        """Return when GET /health answers 200.

        Raises:
            EngineError: it does not within `timeout_s`, something else than a vLLM server answers, or what `check_alive` raises.
        """
        _run(self._wait_until_healthy, timeout_s)

    def _connection(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.base_url,
            headers=self._headers,
            timeout=httpx.Timeout(None, connect=self.connect_timeout_s),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=_KEEP_ALIVE_S),
            verify=self.base_url.startswith("https"),  # reading the certificates takes longer than a call
            trust_env=False,  # clusters set HTTP_PROXY for the outside world; their proxy knows nothing of this machine's ports
        )

    async def _one(self, method: str, path: str, body: Any, timeout_s: float | None, num_retries: int) -> Any:
        async with self._connection() as http:
            return await self._call(http, method, path, body, timeout_s or self.timeout_s, num_retries)

    async def _many(
        self, path: str, bodies: Sequence[Any], max_concurrent: int, timeout_s: float, num_retries: int, progress: Callable[[int, int], None]
    ) -> list[Any | EngineError]:
        answers: list[Any] = [None] * len(bodies)
        num_done = num_unanswered = 0

        async def work(places: Iterator[int], http: httpx.AsyncClient) -> None:
            nonlocal num_done, num_unanswered
            for place in places:
                try:
                    answers[place] = await self._call(http, "POST", path, bodies[place], timeout_s, num_retries)
                    num_unanswered = 0
                except EngineLostError:
                    raise
                except EngineError as error:
                    if error.status in _SAME_FOR_ALL:
                        raise
                    answers[place] = error
                    num_unanswered = num_unanswered + 1 if error.status is None else 0
                    # One request may be too much for the server. When as many as are under way together fail one after the other,
                    # its engine hangs behind a front end that still answers, and each of those to come would wait in vain.
                    if num_unanswered >= max(3, max_concurrent):
                        raise EngineLostError(f"{error}; {num_unanswered} requests in a row had no answer, so the rest is not sent") from error
                num_done += 1
                progress(num_done, len(bodies))

        async with self._connection() as http:
            places = iter(range(len(bodies)))  # shared: whoever is free takes the next
            tasks = [asyncio.create_task(work(places, http)) for _ in range(min(max_concurrent, len(bodies)))]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return answers

    async def _call(self, http: httpx.AsyncClient, method: str, path: str, body: Any, timeout_s: float, num_retries: int) -> Any:
        """What the server answers, after as many attempts as it takes."""
        attempt, found = 0, None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    attempt += 1
                    found = await self._attempt(http, method, path, body)
                    status = found.status_code if isinstance(found, httpx.Response) else None
                    is_passing = isinstance(found, httpx.TransportError) or status in _WORTH_REPEATING
                    if attempt > num_retries or not is_passing:
                        break
                    await asyncio.sleep(backoff_s(attempt, self.first_backoff_s, self._generator))
        except TimeoutError:
            earlier = f"; before that: {_told(found)}" if found is not None else ""
            status, what = None, f"no answer within {timeout_s:g} s{earlier}"
        else:
            what = _told(found)
            if isinstance(found, httpx.Response) and found.is_success:
                try:
                    if path in _ANSWERED_IN_TEXT:
                        return found.text
                    return found.json() if found.content else None
                except ValueError:
                    what = f"{what} is not JSON"
        asked = f"{method} {self.base_url}{path}, attempt {attempt} of {num_retries + 1}"
        error = EngineError(f"{asked}: {what}; {_advice(path, status)}", status)
        if status is None or status >= 500:
            await self._check_server(http, error)
        raise error

    async def _attempt(self, http: httpx.AsyncClient, method: str, path: str, body: Any) -> httpx.Response | httpx.RequestError:
        try:
            return await http.request(method, path, json=body)
        except (httpx.TransportError, httpx.DecodingError) as error:
            self._check_process()
            return error

    async def _check_server(self, http: httpx.AsyncClient, found: EngineError) -> None:
        """Raise `EngineLostError` where not only the request of `found` failed but the server as a whole."""
        self._check_process()
        health = await self._health(http)
        if isinstance(health, int) and health < 500:
            return
        # A process that has just crashed takes a moment to end, and its exit code and last words say more than we can from here.
        for _ in range(10 if self.check_alive else 0):
            self._check_process()
            await asyncio.sleep(0.2)
        raise EngineLostError(f"{found}; GET /health: {health}, so the server as a whole is gone", found.status) from found

    def _check_process(self) -> None:
        if self.check_alive:
            self.check_alive()

    async def _health(self, http: httpx.AsyncClient) -> int | str:
        """The status of GET /health, or why there is none."""
        try:
            async with asyncio.timeout(self.health_timeout_s):
                return (await http.get("/health")).status_code
        except TimeoutError:
            return f"nothing within {self.health_timeout_s:g} s"
        except (httpx.TransportError, httpx.DecodingError) as error:
            return _told(error)

    async def _wait_until_healthy(self, timeout_s: float) -> None:
        health: int | str = "nothing yet"
        with suppress(TimeoutError):
            async with self._connection() as http, asyncio.timeout(timeout_s):
                while True:
                    self._check_process()
                    health = await self._health(http)
                    if health == 200:
                        return
                    if isinstance(health, int) and health < 500:
                        raise EngineError(f"GET {self.base_url}/health: HTTP {health}; this is no vLLM server: is the address right?", health)
                    await asyncio.sleep(0.1)
        raise EngineError(f"GET {self.base_url}/health: not ready within {timeout_s:g} s, the last answer: {health}; "
                          "give it more time where it still loads, and see the server's log where it does not")


def _run(function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """What the coroutine function returns.

    Its event loop has a thread of its own, since a notebook already runs one in this thread. When the wait for it is interrupted
    (Ctrl-C), anyio cancels the requests under way and ends the thread.
    """
    with start_blocking_portal() as portal:
        return portal.call(function, *arguments)


def _checked_url(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host or not (url.port is None or 0 < url.port < 65536):
        raise UserError(f"server address {base_url!r}; accepted: http://HOST:PORT or https://HOST:PORT")
    return base_url.rstrip("/")


def _told(found: httpx.Response | httpx.RequestError) -> str:
    """What came back, on one line: the status and the start of the body, or the kind of failure."""
    if isinstance(found, httpx.RequestError):
        return f"{type(found).__name__}: {found}" if str(found) else type(found).__name__
    line = " ".join(found.text.split())
    return f"HTTP {found.status_code}: {line[:400]}..." if len(line) > 400 else f"HTTP {found.status_code}: {line or '(empty)'}"


def _advice(path: str, status: int | None) -> str:
    """What to do about an answer; Source of the 404s: vLLM's entrypoints/serve, 0.29 and 0.30."""
    match status:
        case None:
            return "is the server running, and its log clean? Where it is only slow, give it more time or fewer requests at once"
        case 401 | 403:
            return "set VLLM_API_KEY to the key that the server was started with"
        case 404 if path.startswith("/inference/") or path.endswith("/render"):
            return "start the server with `vllm serve ... --enable-scale-out`; vLLM 0.30 and newer serve this path only then"
        case 404 if not path.startswith("/v1/"):
            return "start the server with VLLM_SERVER_DEV_MODE=1 in its environment; vLLM serves this path only then"
        case 404:
            return "is this the address of a vLLM server, and does it serve this model?"
        case 429 | 502 | 503 | 504:
            return "the server is overloaded or not ready: send fewer requests at once, or wait"
        case _ if status >= 500:
            return "the server's log says why"
    return "what it says against the request has to be mended"
