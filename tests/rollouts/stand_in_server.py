"""A small real HTTP server that behaves, or misbehaves, as its command line says; run as a process of its own.

GET /health answers 200 without a body, GET /seen what has been asked so far, POST /echo the `name` of the body. `--on NAME=ACTION`
(repeated) is what a POST with that name meets instead: an HTTP status, `slow:SECONDS`, `hang`, `trickle` (a byte now and then, for
ever), `drop` (hangs up), `garbage` (200, no JSON), `empty` (200, no body) or `die` (the process ends with exit code 3).
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = {"num_posts": 0, "num_under_way": 0, "most_at_once": 0}
    lock = threading.Lock()
    options: argparse.Namespace

    def do_GET(self) -> None:
        if self.path == "/seen":
            self.answer(200, json.dumps(self.seen))
        elif self.path == "/health":
            first, *rest = self.options.health
            self.options.health = rest or [first]
            time.sleep(600 if first == "hang" else 0)
            self.answer(int(first), "")
        else:
            self.answer(404, "")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.lock:
            self.seen["num_posts"] += 1
            self.seen["num_under_way"] += 1
            self.seen["most_at_once"] = max(self.seen["most_at_once"], self.seen["num_under_way"])
            number = self.seen["num_posts"]
        try:
            self.reply(body, number)
        finally:
            with self.lock:
                self.seen["num_under_way"] -= 1

    def reply(self, body: dict, number: int) -> None:
        num_fails, _, status = self.options.fail_first.partition(":")
        if number <= int(num_fails):
            self.answer(int(status), "later")
        elif self.options.api_key and self.headers["Authorization"] != f"Bearer {self.options.api_key}":
            self.answer(401, '{"error": "Unauthorized"}')
        elif self.path != "/echo":
            self.answer(404, '{"detail": "Not Found"}')
        else:
            self.act(body, dict(pair.split("=") for pair in self.options.on).get(body["name"], "echo"))

    def act(self, body: dict, action: str) -> None:
        action, _, seconds = action.partition(":")
        match action:
            case "hang":
                time.sleep(600)
            case "trickle":
                self.send_response(200)
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                while True:
                    self.wfile.write(b" ")
                    time.sleep(0.02)
            case "drop":
                self.close_connection = True
            case "garbage":
                self.answer(200, "<html>no JSON</html>")
            case "empty":
                self.answer(200, "")
            case "die":
                print("EngineCore: CUDA error", flush=True)
                os._exit(3)
            case "slow" | "echo":
                time.sleep(float(seconds or 0))
                self.answer(200, json.dumps({"echo": body["name"]}))
            case status:
                self.answer(int(status), json.dumps({"error": {"message": f"the prompt of {body['name']} is too long"}}))

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments: object) -> None:
        """Print nothing for each request."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request: object, address: object) -> None:
        """Print nothing where a client has hung up."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--print-lines", type=int, default=0)
    parser.add_argument("--end-at-once", help="an exit code, or the name of a signal")
    parser.add_argument("--load-s", type=float, default=0.0, help="before it listens")
    parser.add_argument("--busy-starts", type=int, default=0, help="so many starts, counted in --starts, find the port taken")
    parser.add_argument("--starts", type=Path, help="a file with the port of each start")
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--worker", action="store_true", help="starts a process that ignores SIGTERM, too, as a child")
    parser.add_argument("--print-environment", action="store_true")
    parser.add_argument("--health", nargs="+", default=["200"], help="one answer after the other, a status or hang; the last one stays")
    parser.add_argument("--fail-first", default="0:503", help="COUNT:STATUS of the first POSTs")
    parser.add_argument("--on", action="append", default=[])
    parser.add_argument("--api-key")
    options = Handler.options = parser.parse_args()
    for number in range(options.print_lines):
        print(f"line {number + 1}")
    if options.print_environment:
        print(json.dumps(dict(os.environ)))
    sys.stdout.flush()
    if options.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.worker:
        subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"])
    if options.end_at_once and options.end_at_once.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[options.end_at_once])
    if options.end_at_once:
        sys.exit(int(options.end_at_once))
    if options.starts:
        with options.starts.open("a") as starts:
            starts.write(f"{options.port}\n")
        if len(options.starts.read_text().split()) <= options.busy_starts:
            rival = socket.socket()  # without SO_REUSEPORT: nobody else can bind the port while it listens
            rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            rival.bind(("127.0.0.1", options.port))
            rival.listen()
    time.sleep(options.load_s)
    Server(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
