"""A small real HTTP server with /v1/models and /v1/chat/completions, in threads of this process, that answers as a function says."""

import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Act = Callable[[str, int], Any]
"""(text of the last user turn, how many requests came before) to what happens: an object or a text is the content of the answer, a number a
status, a pair a status and headers, `hang`, `trickle` and `drop` no answer; `cut` one that max_tokens ended, `garbage` no JSON."""


class ChatServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, act: Act, models: list[str] | None = None, api_key: str | None = None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.act, self.models, self.api_key = act, ["tiny"] if models is None else models, api_key
        self.bodies: list[dict] = []
        self.lock, self.released = threading.Lock(), threading.Event()
        self.num_under_way = self.most_at_once = 0
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def texts(self) -> list[str]:
        """Of the last turn of each request."""
        return [text_of(body) for body in self.bodies]

    def close(self) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, address: object) -> None:
        """Print nothing where a client has hung up."""


def text_of(body: dict) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else content[-1]["text"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer

    def do_GET(self) -> None:
        if not self._is_allowed():
            self._answer(401, {"error": {"message": "Incorrect API key provided: " + str(self.headers["Authorization"])}})
        elif self.path == "/v1/models":
            self._answer(200, {"data": [{"id": name} for name in self.server.models]})
        else:
            self._answer(404, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            number = len(server.bodies)
            server.bodies.append(body)
            server.num_under_way += 1
            server.most_at_once = max(server.most_at_once, server.num_under_way)
        try:
            if body["model"] not in server.models:
                self._answer(404, {"error": {"message": f"The model `{body['model']}` does not exist."}})
            else:
                self._act(server.act(text_of(body), number))
        finally:
            with server.lock:
                server.num_under_way -= 1

    def _act(self, found: Any) -> None:
        if isinstance(found, tuple):
            self._answer(found[0], {"error": {"message": "later"}}, found[1])
        elif isinstance(found, int):
            self._answer(found, {"error": {"message": f"status {found}"}})
        elif found == "hang":
            self.server.released.wait(60)
        elif found == "trickle":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            while not self.server.released.is_set():
                self.wfile.write(b" ")
                time.sleep(0.02)
        elif found == "drop":
            self.close_connection = True
        elif found == "garbage":
            self._answer(200, "<html>")
        elif found == "cut":
            self._chat('{"think": "the lips', "length")
        else:
            self._chat(found if isinstance(found, str) else json.dumps(found), "stop")

    def _chat(self, content: str, finish_reason: str) -> None:
        choice = {"message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}
        self._answer(200, {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 10}})

    def _is_allowed(self) -> bool:
        return self.server.api_key in (None, (self.headers["Authorization"] or "").removeprefix("Bearer "))

    def _answer(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        content = (value if isinstance(value, str) else json.dumps(value)).encode()
        self.send_response(status)
        for name, text in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Print nothing for each request."""


def good_reasoning(text: str, number: int) -> dict:
    """What `facial_r1_loop` asks for: each unit of the prompt by its code, then the emotion."""
    codes = re.findall(r"^- (AU\d+), (.*?)(?:, intensity.*)?$", text, re.MULTILINE)
    emotion = re.search(r"The emotion is (.*)\.", text)[1]
    signs = "; ".join(f"the face shows it clearly here ({code})" for code, _ in codes)
    return {"think": f"Over brows, eyes and mouth {signs}. Together these signs of the face amount to {emotion}.", "emotion": emotion}
