"""A server on loopback that plays the upstream of the data sets."""

from __future__ import annotations

import gc
import threading
import warnings
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fairgroup.datasets import _cache


class Upstream:
    """What the server sends: per path a list of answers, the last of which is repeated.

    An answer is bytes (sent whole), ("cut", bytes) (half of it, then the connection ends) or a
    status code.
    """

    def __init__(self):
        self.answers = {}
        self.requests = defaultdict(int)

    def answer(self, path):
        answers = self.answers.get(path, [404])
        count = self.requests[path]
        self.requests[path] += 1
        return answers[min(count, len(answers) - 1)]


def _handler(upstream):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer = upstream.answer(self.path)
            if isinstance(answer, int):
                self.send_error(answer)
                return
            body = answer[1] if isinstance(answer, tuple) else answer
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if isinstance(answer, tuple) else body)
            self.close_connection = True

        def log_message(self, *args):
            pass

    return Handler


@pytest.fixture
def upstream(monkeypatch):
    """Upstream whose answers a test fills in; downloads go there and are retried at once."""
    played = Upstream()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(played))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setattr(_cache, "_MIRROR", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield played
    server.shutdown()
    server.server_close()
    thread.join()
    with warnings.catch_warnings():
        # pooch leaves the connection of a failed download to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
