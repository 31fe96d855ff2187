"""AgentGym's protocol on a loopback address: TextCraft live, over the embedded environment, or a recording again.

`python -m tests.servers.agentgym_server PORT` serves TextCraft until it is killed.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from envs.textcraft.env import TextCraft, tasks

Answer = tuple[int, Any]
"""HTTP status and what becomes the JSON body; bytes are sent as they are, None closes the connection unanswered."""


class Live:
    """TextCraft's server: numbers of sessions from 0, one embedded environment each."""

    def __init__(self) -> None:
        self.open: dict[int, TextCraft] = {}
        self.observations: dict[int, str] = {}
        self.created = 0
        self.lock = threading.Lock()

    def answer(self, method: str, path: str, body: Any) -> Answer:
        """What the server says, in the words of the recording."""
        url = urlsplit(path)
        if (method, url.path) == ("GET", "/"):
            return 200, "This is environment TextCraft."
        if (method, url.path) == ("GET", "/observation"):
            id = int(parse_qs(url.query)["id"][0])
            return (200, self.observations[id]) if id in self.open else _unknown(id)
        needed = {"/create": (), "/reset": ("id", "data_idx"), "/step": ("id", "action"), "/close": ("id",)}
        if method != "POST" or url.path not in needed:
            return 404, {"detail": "Not Found"}
        lacking = [key for key in needed[url.path] if body is None or key not in body]
        if body is None or lacking:
            return 422, {"detail": [{"type": "missing", "loc": ["body", *lacking], "msg": "Field required"}]}
        with self.lock:
            return self._post(url.path, body)

    def _post(self, path: str, body: dict[str, Any]) -> Answer:
        if path == "/create":
            id = self.created
            self.created += 1
            self.open[id] = TextCraft()
            return 200, self._start(id, id)
        id = body["id"]
        if path == "/close":
            return 200, self.open.pop(id, None) is not None
        if id not in self.open:
            return _unknown(id)
        if path == "/reset":
            return 200, self._start(id, body["data_idx"])
        observation, reward, done, _, _ = self.open[id].step(body["action"])
        self.observations[id] = observation
        return 200, {"observation": observation, "reward": reward, "done": done}

    def _start(self, id: int, number: int) -> dict[str, Any]:
        self.observations[id], _ = self.open[id].reset(options={"task": str(number % len(tasks()))})
        return {"id": id, "observation": self.observations[id], "done": False, "reward": 0}


def _unknown(id: int) -> Answer:
    return 200, {"error": f"The id {id} is not valid."}


class Recorded:
    """A recording again. What was asked more than once is answered as it was the next time after the last answer
    given, else as it was the first time; 404 where it was never asked."""

    def __init__(self, exchanges: list[dict[str, Any]]) -> None:
        self.keys = [_key(one["method"], one["path"], one["request"]) for one in exchanges]
        self.asked: list[str] = []
        self._answers: list[Answer] = []
        self._place = -1
        for exchange in exchanges:
            said = exchange["response"]
            if isinstance(said, dict) and "__text__" in said:
                said = str(said["__text__"]).encode()
            self._answers.append((exchange["status"], said))

    def answer(self, method: str, path: str, body: Any) -> Answer:
        """The recorded answer."""
        key = _key(method, path, body)
        self.asked.append(key)
        places = [place for place, known in enumerate(self.keys) if known == key]
        if not places:
            return 404, {"detail": f"not recorded: {key}"}
        self._place = next((place for place in places if place > self._place), places[0])
        return self._answers[self._place]


def _key(method: str, path: str, body: Any) -> str:
    return f"{method} {path} {json.dumps(body, sort_keys=True)}"


class Server:
    """A server in a thread. `answer` may be replaced at any time, `log` holds method and path of every request."""

    def __init__(self, answer: Callable[[str, str, Any], Answer], port: int = 0, keep_alive: bool = True) -> None:
        self.answer = answer
        self.log: list[str] = []
        self.connections: list[socket.socket] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if keep_alive else "HTTP/1.0"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                outer.connections.append(self.connection)

            def handle_any(self) -> None:
                length = int(self.headers.get("content-length", 0))
                data = self.rfile.read(length)
                outer.log.append(f"{self.command} {self.path}")
                status, said = outer.answer(self.command, self.path, json.loads(data) if data else None)
                if said is None:
                    self.close_connection = True
                    return
                sent = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_POST = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing on the terminal."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away is no news."""

        self._server = Quiet(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def count(self, request: str) -> int:
        """How often that was asked, for example "POST /step"."""
        return self.log.count(request)

    def hang_up(self) -> None:
        """Break all connections off, as a server does with idle ones."""
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # gone already
        self.connections.clear()

    def stop(self) -> None:
        """Gone: nobody listens any more, and all connections break."""
        self._server.shutdown()
        self._server.server_close()
        self.hang_up()


def main() -> None:
    """Serve until killed."""
    server = Server(Live().answer, int(sys.argv[1]))
    print(server.port, flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
