"""Calls of a server that is slow, busy, wrong, dying or dead: each ends in time, and spoils no other."""

import asyncio
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emoreason.faults import UserError
from emoreason.rollouts.faults import EngineError, EngineLostError
from emoreason.rollouts.server_client import ServerClient, backoff_s
from emoreason.rollouts.server_process import ServerProcess

STAND_IN = Path(__file__).with_name("stand_in_server.py")
Serve = Callable[..., ServerClient]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a stand-in server with these flags and returns a client of it that waits little between attempts."""
    servers = []

    def start(*flags: str, **settings: object) -> ServerClient:
        make = lambda port: [sys.executable, str(STAND_IN), "--port", str(port), *flags]  # noqa: E731
        servers.append(ServerProcess(make, tmp_path / "log.txt", start_timeout_s=10.0))
        servers[-1].start()
        settings = {"timeout_s": 10.0, "first_backoff_s": 0.01, "check_alive": servers[-1].check_alive} | settings
        return ServerClient(servers[-1].url, **settings)

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerClient]:
    """A client of one server for all tests that leave it as it is; a POST named after an action meets that action."""
    actions = ("400", "404", "422", "500", "hang", "trickle", "drop", "garbage", "empty")
    flags = [flag for action in actions for flag in ("--on", f"{action}={action}")]
    log_path = tmp_path_factory.mktemp("steady") / "log.txt"
    with ServerProcess(lambda port: [sys.executable, str(STAND_IN), "--port", str(port), *flags], log_path) as server:
        yield ServerClient(server.url, timeout_s=10.0, first_backoff_s=0.01, check_alive=server.check_alive)


@pytest.fixture
def closed_url() -> Iterator[str]:
    """An address at which nobody listens, and nobody will."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


def named(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


def num_posts(client: ServerClient) -> int:
    return client.get_json("/seen")["num_posts"]


def test_json_goes_there_and_back(steady: ServerClient) -> None:
    assert steady.post_json("/echo", {"name": "ä"}) == {"echo": "ä"}
    assert steady.post_json("/echo", {"name": "empty"}) is None
    assert steady.get_json("/seen").keys() == {"num_posts", "num_under_way", "most_at_once"}


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(serve: Serve, status: int) -> None:
    client = serve("--fail-first", f"2:{status}")
    assert client.post_json("/echo", {"name": "a"}, num_retries=2) == {"echo": "a"}
    assert num_posts(client) == 3


def test_attempts_are_bounded(serve: Serve) -> None:
    client = serve("--fail-first", "9:503")
    with pytest.raises(EngineError) as caught:
        client.post_json("/echo", {"name": "a"}, num_retries=2)
    assert str(caught.value) == (f"POST {client.base_url}/echo, attempt 3 of 3: HTTP 503: later; "
                                 "the server is overloaded or not ready: send fewer requests at once, or wait")  # fmt: skip
    assert not isinstance(caught.value, EngineLostError)
    assert num_posts(client) == 3


def test_a_post_is_not_repeated_unless_told(serve: Serve) -> None:
    client = serve("--fail-first", "1:503", "--on", "b=drop")
    for name in "ab":
        with pytest.raises(EngineError, match="attempt 1 of 1"):
            client.post_json("/echo", {"name": name})
    assert num_posts(client) == 2


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_what_will_not_get_better_is_not_asked_again(steady: ServerClient, status: int) -> None:
    before = num_posts(steady)
    with pytest.raises(EngineError, match=rf"attempt 1 of 4: HTTP {status}: .*the prompt of {status} is too long") as caught:
        steady.post_json("/echo", {"name": str(status)}, num_retries=3)
    assert caught.value.status == status
    assert num_posts(steady) == before + 1


def test_a_broken_connection_is_tried_again_where_told(steady: ServerClient) -> None:
    before = num_posts(steady)
    with pytest.raises(EngineError, match="attempt 3 of 3: RemoteProtocolError") as caught:
        steady.post_json("/echo", {"name": "drop"}, num_retries=2)
    assert not isinstance(caught.value, EngineLostError)  # its /health is well
    assert num_posts(steady) == before + 3


def test_an_answer_that_is_no_json_is_shown(steady: ServerClient) -> None:
    with pytest.raises(EngineError, match=r"HTTP 200: <html>no JSON</html> is not JSON") as caught:
        steady.post_json("/echo", {"name": "garbage"})
    assert caught.value.status == 200


@pytest.mark.parametrize("action", ["hang", "trickle"])
def test_no_call_lasts_longer_than_its_deadline(steady: ServerClient, action: str) -> None:
    """Not even one whose answer comes byte by byte, so that no time-out of a socket is ever reached."""
    start = time.monotonic()
    with pytest.raises(EngineError, match=r"attempt 1 of 4: no answer within 0\.4 s") as caught:
        steady.post_json("/echo", {"name": action}, timeout_s=0.4, num_retries=3)
    assert 0.4 <= time.monotonic() - start < 10
    assert caught.value.status is None and not isinstance(caught.value, EngineLostError)


def test_the_deadline_holds_for_all_attempts_together(serve: Serve) -> None:
    client = serve("--fail-first", "99:503", first_backoff_s=0.2)
    start = time.monotonic()
    with pytest.raises(EngineError, match=r"no answer within 0\.5 s; before that: HTTP 503: later"):
        client.post_json("/echo", {"name": "a"}, timeout_s=0.5, num_retries=90)
    assert time.monotonic() - start < 10


def test_a_dead_address_is_told_after_all_attempts(closed_url: str) -> None:
    client = ServerClient(closed_url, first_backoff_s=0.01, num_retries=2)
    with pytest.raises(EngineLostError, match=rf"GET {closed_url}/v1/models, attempt 3 of 3: ConnectError.*is the server running"):
        client.get_json("/v1/models")


@pytest.mark.parametrize(
    ("health", "action", "told"),
    [("503", "500", r"HTTP 500: .*GET /health: 503, so the server as a whole is gone"),
     ("hang", "hang", r"no answer within 0\.4 s.*GET /health: nothing within 0\.3 s, so the server as a whole is gone")],
)  # fmt: skip
def test_a_broken_or_frozen_server_is_lost(serve: Serve, health: str, action: str, told: str) -> None:
    """vLLM's front end lives on for a while when its engine has died: it answers 500, and its /health 503."""
    client = serve("--on", f"a={action}", "--health", "200", health, check_alive=None, health_timeout_s=0.3)
    start = time.monotonic()
    for call in (lambda: client.post_json("/echo", {"name": "a"}, 0.4), lambda: client.post_many("/echo", named(*"aaaaaaaaa"), 1, 0.4)):
        with pytest.raises(EngineLostError, match=told):
            call()
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("path", "advice"),
    [("/inference/v1/generate", "start the server with `vllm serve ... --enable-scale-out`; vLLM 0.30 and newer serve this path only then"),
     ("/collective_rpc", "start the server with VLLM_SERVER_DEV_MODE=1 in its environment; vLLM serves this path only then"),
     ("/v1/completions", "is this the address of a vLLM server, and does it serve this model?")],
)  # fmt: skip
def test_a_path_that_is_not_served_tells_what_the_server_lacks(steady: ServerClient, path: str, advice: str) -> None:
    before = num_posts(steady)
    for call in (lambda: steady.post_json(path, {}), lambda: steady.post_many(path, [{}] * 9, max_concurrent=2, num_retries=0)):
        with pytest.raises(EngineError) as caught:
            call()
        assert str(caught.value) == f'POST {steady.base_url}{path}, attempt 1 of 1: HTTP 404: {{"detail": "Not Found"}}; {advice}'
    assert num_posts(steady) <= before + 3  # not one for each body


def test_the_key_comes_from_the_environment(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    without = serve("--api-key", "sesame")
    with pytest.raises(EngineError, match=r"HTTP 401: .*set VLLM_API_KEY") as caught:
        without.post_many("/echo", named("a", "b"), max_concurrent=1)
    assert caught.value.status == 401
    monkeypatch.setenv("VLLM_API_KEY", "sesame")
    assert ServerClient(without.base_url).post_json("/echo", {"name": "a"}) == {"echo": "a"}


def test_a_proxy_for_the_outside_world_is_not_asked(steady: ServerClient, closed_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, closed_url)
    assert steady.post_json("/echo", {"name": "a"}) == {"echo": "a"}


def test_a_body_that_is_no_json_is_our_own_mistake(steady: ServerClient) -> None:
    for body in ({"name": float("nan")}, {"name": {1}}):
        with pytest.raises((ValueError, TypeError)) as caught:
            steady.post_json("/echo", body)
        assert not isinstance(caught.value, UserError)


def test_calls_work_where_a_loop_runs_already(steady: ServerClient) -> None:
    """As in a notebook."""

    async def cell() -> list:
        return steady.post_many("/echo", named("a", "b"), max_concurrent=2)

    assert asyncio.run(cell()) == [{"echo": "a"}, {"echo": "b"}]


def test_the_waits_between_attempts_double_and_are_the_same_for_the_same_seed() -> None:
    class Half(random.Random):
        def random(self) -> float:
            return 0.5

    assert [backoff_s(num, 0.5, Half()) for num in range(1, 8)] == [0.5, 1, 2, 4, 8, 15, 15]
    first, again = (random.Random(3) for _ in range(2))
    waits = [backoff_s(1, 1.0, first) for _ in range(99)]
    assert waits == [backoff_s(1, 1.0, again) for _ in range(99)]
    assert 0.5 <= min(waits) < 0.6 and 1.4 < max(waits) <= 1.5


def test_many_come_back_in_order_so_many_at_a_time(serve: Serve) -> None:
    client = serve("--on", "0=slow:0.4", "--on", "1=slow:0.2", "--on", "2=slow:0.2", "--on", "3=slow:0.2")
    told: list[tuple[int, int]] = []
    answers = client.post_many("/echo", named(*map(str, range(12))), 3, progress=lambda done, total: told.append((done, total)))
    assert answers == [{"echo": str(number)} for number in range(12)]
    assert told == [(done, 12) for done in range(1, 13)]
    assert client.get_json("/seen")["most_at_once"] == 3


def test_none_are_sent_for_nothing(closed_url: str) -> None:
    assert ServerClient(closed_url).post_many("/echo", [], 4) == []


def test_bodies_are_made_when_their_turn_comes(steady: ServerClient) -> None:
    made = []

    class Bodies(list):
        def __getitem__(self, place: int) -> dict:
            made.append((place, num_done[0]))
            return {"name": str(place)}

    num_done = [0]
    steady.post_many("/echo", Bodies([None] * 8), 2, progress=lambda done, total: num_done.__setitem__(0, done))
    assert [place for place, _ in made] == list(range(8))
    assert all(place - done <= 2 for place, done in made)


def test_a_fault_while_a_body_is_made_comes_out_as_it_is(steady: ServerClient) -> None:
    class Bodies(list):
        def __getitem__(self, place: int) -> dict:
            if place == 3:
                raise UserError("clip.mp4 does not open")
            return {"name": str(place)}

    with pytest.raises(UserError, match=r"^clip.mp4 does not open$"):
        steady.post_many("/echo", Bodies([None] * 8), 2)


@pytest.mark.parametrize(
    ("action", "found"),
    [("400", "HTTP 400: .*the prompt of 400 is too long"), ("500", "HTTP 500"), ("hang", "no answer within 0.8 s"),
     ("trickle", "no answer within 0.8 s"), ("drop", "RemoteProtocolError"), ("garbage", "not JSON")],
)  # fmt: skip
@pytest.mark.parametrize("max_concurrent", [1, 4])
def test_a_bad_request_spoils_no_other(steady: ServerClient, action: str, found: str, max_concurrent: int) -> None:
    answers = steady.post_many("/echo", named("a", action, "b", "c", "d"), max_concurrent, timeout_s=0.8, num_retries=1)
    error = answers.pop(1)
    assert isinstance(error, EngineError)
    with pytest.raises(EngineError, match=found):
        raise error
    assert answers == [{"echo": name} for name in "abcd"]


def test_a_server_that_dies_is_one_error_with_its_last_words(serve: Serve) -> None:
    client = serve("--on", "5=die", "--on", "6=slow:30")
    start, told = time.monotonic(), []
    with pytest.raises(EngineLostError, match=r"exit code 3(.|\n)*EngineCore: CUDA error"):
        client.post_many("/echo", named(*map(str, range(1000))), 2, progress=lambda done, total: told.append(done))
    assert time.monotonic() - start < 20
    assert told[-1] <= 6


def test_a_server_of_others_that_dies_is_one_error(serve: Serve) -> None:
    client = serve("--on", "5=die", check_alive=None)
    with pytest.raises(EngineLostError, match=r"attempt 3 of 3: .*so the server as a whole is gone"):
        client.post_many("/echo", named(*map(str, range(1000))), 2, num_retries=2)


def test_an_engine_that_hangs_behind_a_living_front_end_stops_the_run(serve: Serve) -> None:
    client = serve(*(flag for number in range(4, 1000) for flag in ("--on", f"{number}=hang")))
    start = time.monotonic()
    with pytest.raises(EngineLostError, match=r"no answer within 0\.4 s.*4 requests in a row had no answer, so the rest is not sent"):
        client.post_many("/echo", named(*map(str, range(1000))), 4, timeout_s=0.4)
    assert time.monotonic() - start < 20
    assert num_posts(client) <= 4 + 8


def test_ctrl_c_ends_requests_and_threads(serve: Serve) -> None:
    client = serve("--on", "a=hang")
    code = f"""
import threading
from emoreason.rollouts.server_client import ServerClient

client = ServerClient({client.base_url!r})
print("ready", flush=True)
try:
    client.post_many("/echo", [{{"name": "a"}}] * 4, 2, timeout_s=600)
except KeyboardInterrupt:
    print("interrupted with", threading.active_count(), "thread", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout.readline() == "ready\n"
        while client.get_json("/seen")["num_under_way"] < 2:
            time.sleep(0.02)
        start = time.monotonic()
        caller.send_signal(signal.SIGINT)
        assert caller.stdout.readline() == "interrupted with 1 thread\n"
        assert caller.wait(10) == 0
    assert time.monotonic() - start < 10


def test_no_thread_is_left_behind(steady: ServerClient) -> None:
    before = threading.active_count()
    steady.post_many("/echo", named("hang", "b"), 2, timeout_s=0.3)
    with pytest.raises(EngineError):
        steady.post_json("/nowhere", {})
    assert threading.active_count() == before


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://node7:8000", "http://", "http://node7:0", "http://node7:99999"])
def test_an_address_that_cannot_be_one_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="accepted: http://HOST:PORT"):
        ServerClient(address)
