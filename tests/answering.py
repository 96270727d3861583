"""A server that answers as it is told: what no real Kubernetes API would do on demand.

Comes in: answers by request, the last of which is given again and again. Goes out: HTTP, spoiled or not.
"""

import json
import struct
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_LINGER, SOL_SOCKET
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Reply:
    """One answer.

    ``body`` is JSON, a text, or a list of either: a stream, a line each. ``end`` is what happens after it: ``drop``
    closes the connection, ``reset`` tears it down, what was sent included; ``hang`` says nothing more. Unless it is a
    stream, nothing is said before that.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    end: str = ""


def refusal(code, message, reason="", **headers):
    """A Kubernetes `Status`."""
    body = {"kind": "Status", "status": "Failure", "code": code, "message": message, "reason": reason}
    return Reply(code, body, headers)


class ApiServer(ThreadingHTTPServer):
    """Answers `METHOD /path` with the replies given for it, in their order."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.replies = {}
        self.requests = []
        self.closing = threading.Event()

    def on(self, request, *replies):
        self.replies[request] = deque(replies)

    def asked(self, request):
        """The queries, bodies and headers of the requests so far."""
        return [one for one in self.requests if one["request"] == request]

    def handle_error(self, request, client_address):
        """Clients that hang up are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        parts = urlsplit(self.path)
        request = f"{self.command} {parts.path}"
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query, body = dict(parse_qsl(parts.query)), json.loads(content) if content else None
        self.server.requests.append(
            {
                "request": request,
                "query": query,
                "body": body,
                "headers": {k.lower(): v for k, v in self.headers.items()},
            }
        )
        replies = self.server.replies.get(request) or deque([refusal(404, f"nobody told me about {request}")])
        reply = replies.popleft() if len(replies) > 1 else replies[0]
        if isinstance(reply.body, list):
            self.stream(reply)
        elif reply.end == "":
            self.whole(reply)
        self.finish_with(reply.end)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815  (the names that http.server looks up)

    def whole(self, reply):
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        self.begin(reply, "text/plain" if isinstance(reply.body, str) else "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def stream(self, reply):
        self.begin(reply, "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in reply.body:
            text = (line if isinstance(line, str) else json.dumps(line) + "\n").encode()
            self.wfile.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
        self.wfile.flush()
        if not reply.end:
            self.wfile.write(b"0\r\n\r\n")

    def begin(self, reply, kind):
        self.send_response(reply.status)
        for name, value in {"Content-Type": kind, **reply.headers}.items():
            self.send_header(name.replace("_", "-"), value)

    def finish_with(self, end):
        if end == "hang":
            self.server.closing.wait(30)
        if end:
            self.close_connection = True
        if end == "reset":
            self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, format, *args):
        """Tests are quiet."""


@contextmanager
def answering():
    """A running server."""
    with ApiServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()


def write_kubeconfig(path, server, user=None, *, namespace=None, context="here", authority=None):
    """A kubeconfig of one context."""
    place = {"cluster": "there", "user": "me"} | ({"namespace": namespace} if namespace else {})
    trust = {"certificate-authority": str(authority)} if authority else {}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "there", "cluster": {"server": server} | trust}],
        "users": [{"name": "me", "user": {"token": "first"} if user is None else user}],
        "contexts": [{"name": context, "context": place}],
        "current-context": context,
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
