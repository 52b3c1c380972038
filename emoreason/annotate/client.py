"""Calls of a server's /v1/chat/completions: each with a time-out and repeats, and an end to all where the server is past helping."""

import email.utils
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import httpx

from emoreason.annotate.cache import Reply
from emoreason.faults import UserError, did_you_mean
from emoreason.secrets import HIDDEN, redacted_text

KEY_VARIABLES = ("EMOREASON_API_KEY", "OPENAI_API_KEY")
_WORTH_REPEATING = frozenset({408, 425, 429, 500, 502, 503, 504})
_SAME_FOR_ALL = frozenset({401, 403, 404, 405})
_NO_ANSWER = "no answer within"
_MAX_DELAY_S = 15.0
_LONGEST_RETRY_AFTER_S = 600.0
_KEEP_ALIVE_S = 2.0
"""vLLM hangs up after five idle seconds."""


class RequestError(RuntimeError):
    """One request has no answer that can be read; others may."""


class ServerStoppedError(RuntimeError):
    """No request will be answered; the message says what to do."""


@dataclass(frozen=True)
class ClientSettings:
    """How patient a client is."""

    timeout_s: float = 300.0
    """For one attempt, from its first byte to its last."""
    num_retries: int = 4
    """After 408, 425, 429, 500, 502, 503, 504, or a connection that broke; after a time-out one at most."""
    first_backoff_s: float = 0.5
    """Before the first repeat, doubled with each further one up to 15 s, times 0.5 to 1.5 at random; Retry-After is kept to."""
    stop_after: int = 8
    """So many requests in a row without an answer, each with all its repeats, end the run."""


class ChatClient:
    """The server at `base_url`, `http://HOST:PORT`, with or without `/v1`."""

    def __init__(self, base_url: str, settings: ClientSettings = ClientSettings(), seed: int = 0, clock: Callable[[], float] = time.monotonic):
        """A client; the key is that of `EMOREASON_API_KEY` or `OPENAI_API_KEY`, and is written nowhere.

        Raises:
            UserError: `base_url` is no address of a server, or has a password in it.
        """
        self.base_url = checked_url(base_url)
        self.settings = settings
        self.num_sent = self.num_retries = 0
        self._key = next((os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)), None)
        if self._key and not (self._key.isascii() and self._key.isprintable()):
            raise UserError(f"the key in {' or '.join(KEY_VARIABLES)} holds a character that no key has, such as a line's end; set it again")
        self._random = random.Random(seed)
        self._clock = clock
        self._not_before = 0.0
        self._num_unanswered = 0
        self.has_answered = False
        """Whether requests like these were answered, now or in an earlier run; one that is refused is then the fault of that one alone."""

    def connection(self) -> httpx.AsyncClient:
        """What `models` and `chat` call through, to be opened and closed by whoever calls."""
        return httpx.AsyncClient(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx.Timeout(None, connect=min(10.0, self.settings.timeout_s)),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=_KEEP_ALIVE_S),
            verify=self.base_url.startswith("https"),
            trust_env=False,  # clusters set HTTP_PROXY for the outside world
        )

    async def models(self, http: httpx.AsyncClient) -> list[str] | None:
        """The names that the server answers to, or None where it does not tell.

        Raises:
            ServerStoppedError: it is not there, or not for us.
        """
        found, what = await self._attempts(http, "GET", "/v1/models", None, min(2, self.settings.num_retries), min(20.0, self.settings.timeout_s))
        status = found.status_code if found is not None else None
        if status in (401, 403):
            raise ServerStoppedError(self._unauthorised(what))
        if status is None or status >= 500 or status == 429:
            raise ServerStoppedError(f"{self.base_url}: {what}; is the server running, and the address right?")
        try:
            return [str(one["id"]) for one in found.json()["data"]] if found.is_success else None
        except (ValueError, KeyError, TypeError):
            return None

    async def chat(self, http: httpx.AsyncClient, body: dict[str, Any]) -> Reply:
        """The server's reply.

        Raises:
            RequestError: no answer to this request.
            ServerStoppedError: the server refuses all requests, or has not answered `stop_after` in a row.
        """
        found, what = await self._attempts(http, "POST", "/v1/chat/completions", body, self.settings.num_retries, self.settings.timeout_s)
        if found is not None and found.is_success:
            reply = _reply_of(found)
            if reply is not None:
                self.has_answered, self._num_unanswered = True, 0
                return reply
            what = f"{what}: no chat completion"
        status = found.status_code if found is not None else None
        if status in (401, 403):
            raise ServerStoppedError(self._unauthorised(what))
        if status in _SAME_FOR_ALL:
            raise ServerStoppedError(f"{self.base_url}: {what}; does it serve /v1/chat/completions, and the model {body['model']!r}?")
        # A request may be refused for what it is (400: too long); before any was answered, it is for what all of them are.
        if status is None or status >= 500 or status == 429 or not self.has_answered:
            self._num_unanswered += 1
        if self._num_unanswered >= self.settings.stop_after:
            raise ServerStoppedError(f"{self.base_url}: {self._num_unanswered} requests in a row had no answer, the last one: {what}; "
                                     "see the server's log; what was answered is kept, and the same command goes on from there")  # fmt: skip
        raise RequestError(what)

    async def _attempts(
        self, http: httpx.AsyncClient, method: str, path: str, body: Any, num_retries: int, timeout_s: float
    ) -> tuple[httpx.Response | None, str]:
        """(the last response or None, what came back on one line), after as many attempts as it takes."""
        attempt = num_timeouts = 0
        while True:
            attempt += 1
            if (wait := self._not_before - self._clock()) > 0:
                await anyio.sleep(wait)
            self.num_sent += method == "POST"
            found, what = await self._attempt(http, method, path, body, timeout_s)
            num_timeouts += found is None and what.startswith(_NO_ANSWER)
            if attempt > num_retries or num_timeouts > 1 or not (found is None or found.status_code in _WORTH_REPEATING):
                return found, what
            self.num_retries += method == "POST"
            asked_for = _retry_after_s(found) if found is not None else None
            if asked_for is not None:  # the others would only be turned away, too
                self._not_before = max(self._not_before, self._clock() + asked_for)
            else:
                delay = min(self.settings.first_backoff_s * 2 ** (attempt - 1), _MAX_DELAY_S)
                await anyio.sleep(delay * (0.5 + self._random.random()))

    async def _attempt(
        self, http: httpx.AsyncClient, method: str, path: str, body: Any, timeout_s: float
    ) -> tuple[httpx.Response | None, str]:
        try:
            with anyio.fail_after(timeout_s):
                found = await http.request(method, path, json=body)
        except TimeoutError:
            return None, f"{_NO_ANSWER} {timeout_s:g} s"
        except (httpx.TransportError, httpx.DecodingError) as error:
            return None, self._told(f"{type(error).__name__}: {error}")
        return found, self._told(f"HTTP {found.status_code}: {found.text}")

    def _unauthorised(self, what: str) -> str:
        given = "the key was refused" if self._key else "it asks for a key"
        return f"{self.base_url}: {given} ({what}); set {KEY_VARIABLES[0]} in the environment"

    def _told(self, text: str) -> str:
        """On one line, cut, and without the key, which servers like to repeat."""
        line = " ".join("".join(sign if sign.isprintable() else " " for sign in text[:4000]).split())
        line = redacted_text(line.replace(self._key, HIDDEN) if self._key else line)
        return f"{line[:300]}..." if len(line) > 300 else line


def choose_model(asked: str | None, served: list[str] | None) -> str:
    """The model that was asked for, or the one that is served.

    Raises:
        ServerStoppedError: it is not served, or there are several to choose from, or none is told.
    """
    if asked is not None:
        if served is not None and asked not in served:
            raise ServerStoppedError(f"--model {asked}: the server has no such model{did_you_mean(asked, served)}")
        return asked
    if not served or len(served) > 1:
        raise ServerStoppedError(f"the server names {len(served or [])} models ({', '.join((served or [])[:8])}); choose one by --model")
    return served[0]


def checked_url(base_url: str) -> str:
    """The address without a slash or `/v1` at its end.

    Raises:
        UserError: it is no address of a server, or has a password in it.
    """
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL("")
    port = 80 if url.port is None else url.port
    if url.userinfo:
        raise UserError(f"--server: a password in an address is shown and logged; set {KEY_VARIABLES[0]} in the environment instead")
    if url.scheme not in ("http", "https") or not url.host or not 0 < port < 65536 or url.query:
        raise UserError(f"--server {base_url!r}; accepted: http://HOST:PORT or https://HOST:PORT")
    return base_url.rstrip("/").removesuffix("/v1").rstrip("/")


def _reply_of(found: httpx.Response) -> Reply | None:
    try:
        answer = found.json()
        choice, usage = answer["choices"][0], answer.get("usage") or {}
        text = choice["message"].get("content") or choice["message"].get("refusal") or ""
        counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None
    return Reply(text, choice.get("finish_reason"), *counts) if isinstance(text, str) else None


def _retry_after_s(found: httpx.Response) -> float | None:
    """Seconds that the server asks to wait, at most ten minutes, or None."""
    header = found.headers.get("Retry-After", "").strip()
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S) if seconds == seconds else None
