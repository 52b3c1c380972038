"""Calls of a server that is busy, broken, closed or not there: each ends, and the run with it where there is no hope."""

import re
import time
from contextlib import closing
from email.utils import formatdate

import anyio
import pytest
from chat_server import Act, ChatServer

from emoreason.annotate.cache import Reply
from emoreason.annotate.client import ChatClient, ClientSettings, RequestError, ServerStoppedError, checked_url, choose_model
from emoreason.faults import UserError

BODY = {"model": "tiny", "messages": [{"role": "user", "content": "x"}]}
QUICK = ClientSettings(timeout_s=5.0, num_retries=2, first_backoff_s=0.001)


def calls(act: Act, num_calls: int = 1, settings: ClientSettings = QUICK, **server: object) -> tuple[list, ChatClient, ChatServer]:
    """What came of so many calls, one after the other."""
    with closing(ChatServer(act, **server)) as opened:
        client = ChatClient(opened.url, settings)

        async def all_calls() -> list:
            found = []
            async with client.connection() as http:
                for _ in range(num_calls):
                    try:
                        found.append(await client.chat(http, BODY))
                    except (RequestError, ServerStoppedError) as error:
                        found.append(error)
            return found

        return anyio.run(all_calls), client, opened


def test_an_answer_comes_with_its_tokens() -> None:
    (reply,), client, _ = calls(lambda text, number: {"a": 1})
    assert reply == Reply('{"a": 1}', "stop", 100, 10) and (client.num_sent, client.num_retries) == (1, 0)


@pytest.mark.parametrize("trouble", [429, 500, 502, 503, 504, 408, "drop"])
def test_trouble_that_passes_is_waited_out(trouble: object) -> None:
    (reply,), client, _ = calls(lambda text, number: trouble if number < 2 else {"a": 1})
    assert isinstance(reply, Reply) and (client.num_sent, client.num_retries) == (3, 2)


@pytest.mark.parametrize(("trouble", "told"), [(500, "HTTP 500: .*status 500"), ("drop", "RemoteProtocolError"), ("garbage", "no chat completion")])
def test_trouble_that_stays_is_told(trouble: object, told: str) -> None:
    (error,), client, server = calls(lambda text, number: trouble)
    assert type(error) is RequestError and re.search(told, str(error))
    assert client.num_sent == len(server.bodies) == (1 if trouble == "garbage" else 3)


def test_a_request_that_is_wrong_is_not_repeated() -> None:
    (error,), client, _ = calls(lambda text, number: 400)
    assert type(error) is RequestError and client.num_sent == 1


@pytest.mark.parametrize("trouble", ["hang", "trickle"])
def test_a_server_that_never_ends_its_answer_is_left(trouble: str) -> None:
    start = time.monotonic()
    (error,), client, _ = calls(lambda text, number: trouble, settings=ClientSettings(timeout_s=0.1, num_retries=4, first_backoff_s=0.001))
    assert "no answer within 0.1 s" in str(error) and client.num_sent == 2 and time.monotonic() - start < 10


@pytest.mark.parametrize("header", ["0.3", "date"])
def test_retry_after_is_kept_to(header: str) -> None:
    def act(text: str, number: int) -> object:
        after = formatdate(time.time() + 1.2, usegmt=True) if header == "date" else header  # a date has no fractions of a second
        return (429, {"Retry-After": after}) if number == 0 else {"a": 1}

    start = time.monotonic()
    (reply,), _, _ = calls(act)
    assert isinstance(reply, Reply) and 0.19 < time.monotonic() - start < 10


@pytest.mark.parametrize("header", ["soon", "-5", "nan", ""])
def test_a_retry_after_that_is_none_is_passed_over(header: str) -> None:
    (reply,), _, _ = calls(lambda text, number: (503, {"Retry-After": header}) if number == 0 else {"a": 1})
    assert isinstance(reply, Reply)


def test_so_many_requests_without_an_answer_end_the_run() -> None:
    settings = ClientSettings(num_retries=0, first_backoff_s=0.001, stop_after=3)
    found, _, _ = calls(lambda text, number: 500 if number != 2 else {"a": 1}, 6, settings)
    assert [type(one) for one in found] == [RequestError, RequestError, Reply, RequestError, RequestError, ServerStoppedError]
    assert "3 requests in a row had no answer, the last one: HTTP 500" in str(found[-1])


def test_requests_that_are_wrong_end_the_run_only_before_any_was_right() -> None:
    settings = ClientSettings(num_retries=0, stop_after=2)
    found, _, _ = calls(lambda text, number: 400, 2, settings)
    assert [type(one) for one in found] == [RequestError, ServerStoppedError]
    found, _, _ = calls(lambda text, number: 400 if number else {"a": 1}, 5, settings)
    assert [type(one) for one in found] == [Reply] + [RequestError] * 4


def test_a_model_that_is_gone_ends_the_run_at_once() -> None:
    (error,), client, _ = calls(lambda text, number: {}, models=["other"])
    assert type(error) is ServerStoppedError and "The model `tiny` does not exist" in str(error) and client.num_sent == 1


# Before the first request.


def models(client: ChatClient) -> list[str] | None:
    async def ask() -> list[str] | None:
        async with client.connection() as http:
            return await client.models(http)

    return anyio.run(ask)


def test_models_are_asked_for_with_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not this")
    monkeypatch.setenv("EMOREASON_API_KEY", "key-of-the-house")
    with closing(ChatServer(lambda text, number: {}, ["a", "b"], api_key="key-of-the-house")) as server:
        assert models(ChatClient(server.url + "/v1/")) == ["a", "b"]


@pytest.mark.parametrize(("given", "told"), [("wrong-key-1234", "the key was refused"), (None, "it asks for a key")])
def test_a_key_that_is_wrong_ends_the_run_and_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch, given: str | None, told: str) -> None:
    for name in ("EMOREASON_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    if given:
        monkeypatch.setenv("OPENAI_API_KEY", given)
    with closing(ChatServer(lambda text, number: {}, api_key="right")) as server, pytest.raises(ServerStoppedError, match=told) as failed:
        models(ChatClient(server.url, QUICK))
    assert "wrong-key-1234" not in str(failed.value) and "set EMOREASON_API_KEY" in str(failed.value)


def test_a_key_with_the_end_of_a_line_is_refused_unshown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOREASON_API_KEY", "secret\n")
    with pytest.raises(UserError, match="EMOREASON_API_KEY") as failed:
        ChatClient("http://localhost:1")
    assert "secret" not in str(failed.value)


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    with closing(ChatServer(lambda text, number: {})) as server:
        url = server.url
    start = time.monotonic()
    with pytest.raises(ServerStoppedError, match=r"ConnectError.*is the server running"):
        models(ChatClient(url, QUICK))
    assert time.monotonic() - start < 10


def test_which_model_is_asked() -> None:
    assert choose_model(None, ["a"]) == choose_model("a", ["a", "b"]) == choose_model("a", None) == "a"
    for asked, served, told in [(None, ["a", "b"], "2 models"), (None, None, "choose one by --model"), ("qwen2", ["qwen3"], "did you mean 'qwen3'")]:
        with pytest.raises(ServerStoppedError, match=told):
            choose_model(asked, served)


@pytest.mark.parametrize("url", ["localhost:8000", "", "ftp://x", "http://", "http://h:0", "http://h:99999", "http://h:8000?x=1", "http://[::1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="accepted: http://HOST:PORT"):
        checked_url(url)


def test_a_password_in_an_address_is_refused_unshown() -> None:
    with pytest.raises(UserError, match="a password in an address") as failed:
        checked_url("http://me:hunter2@host:8000")
    assert "hunter2" not in str(failed.value)
