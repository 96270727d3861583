"""A proxy that goes wrong on demand: between a client and a real server.

Comes in: requests, and a list of faults, one for each. Goes out: the server's answers, spoiled or not.
"""

import http.client
import threading
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from urllib.parse import urlsplit

STATUS = {
    "500": (500, "InternalError"),
    "503": (503, "SlowDown"),
    "507": (507, "InsufficientStorage"),
    "quota": (403, "QuotaExceeded"),
    "skew": (403, "RequestTimeTooSkewed"),
    "conflict": (409, "ConditionalRequestConflict"),
    "redirect": (301, "PermanentRedirect"),
}


class FaultyProxy(ThreadingHTTPServer):
    """Each request takes the next of `faults`, none when they are used up; `always` is one that never is.

    ``stall`` sends a byte a second, ``truncate`` half of the body, ``lose`` forwards and hangs up without an answer.
    The others are answers of `STATUS`, given in the server's place.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, upstream, port=0):
        super().__init__(("127.0.0.1", port), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        self.faults = deque()
        self.requests = []
        self.closing = threading.Event()

    def always(self, fault):
        self.faults = repeat(fault)

    def next_fault(self):
        if isinstance(self.faults, deque):
            return self.faults.popleft() if self.faults else None
        return next(self.faults)

    def handle_error(self, request, client_address):
        """Clients that hang up are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(f"{self.command} {self.path}")
        fault = self.server.next_fault()
        if fault in STATUS:
            status, code = STATUS[fault]
            self.send(status, [], f"<Error><Code>{code}</Code></Error>".encode(), None)
            return
        connection = http.client.HTTPConnection(self.server.upstream, timeout=30)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        kept = [(name, value) for name, value in answer.getheaders() if name not in ("Connection", "Transfer-Encoding")]
        content = answer.read()
        connection.close()
        if fault == "lose":
            self.close_connection = True
        else:
            self.send(answer.status, kept, content, fault)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815  (the names that http.server looks up)

    def send(self, status, headers, content, fault):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in {name.lower() for name, _ in headers}:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == "truncate":
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        elif fault == "stall":
            for at in range(len(content)):
                self.wfile.write(content[at : at + 1])
                if self.server.closing.wait(1):
                    return
        else:
            self.wfile.write(content)

    def log_message(self, format, *args):
        """Tests are quiet."""


@contextmanager
def proxied(upstream, port=0):
    """A running proxy in front of a server."""
    with FaultyProxy(upstream, port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.closing.set()
            proxy.shutdown()
            thread.join()
