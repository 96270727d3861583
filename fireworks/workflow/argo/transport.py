"""Requests to the Kubernetes API: sent, timed, tried again, their failures translated.

Comes in: requests of `fireworks.workflow.argo.client`, a `Login`. Goes out: JSON and open streams.

The `kubernetes` package gives address, credentials and the connection pool; objects stay plain JSON, because its
models know nothing of Argo's.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from secrets import SystemRandom
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from ...errors import ClusterUnavailable, CredentialsExpired, FireworksError
from .faults import Target, from_answer, from_network
from .kubeconfig import Login

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

__all__ = ["Answer", "Breaks", "Broken", "Call", "Transport"]

T = TypeVar("T")

_LONGEST_PAUSE_S = 10.0
_CONNECT_S = 10.0
_TELL_S = 2.0
# Clients must not all come back at once. `random` itself stays the user's: its state is part of their results.
_jitter = SystemRandom()


@dataclass
class Call:
    """One request, possibly sent several times.

    Args:
        path: Under the server's URL.
        query: None values are left out.
        target: What it is about, for messages.
        content_type: Of the body.
        repeatable: Whether sending it twice does what sending it once does.
        headers: Beside those that every request has.
        lost: Whether an answer was lost, so that the request may have been carried out already.
    """

    method: str
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    target: Target = field(default_factory=lambda: Target("", ""))
    content_type: str = "application/json"
    repeatable: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    lost: bool = False

    def url(self, server: str) -> str:
        """The whole of it."""
        asked = {name: _text(value) for name, value in self.query.items() if value is not None}
        return f"{server}{self.path}{'?' + urlencode(asked) if asked else ''}"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Answer:
    """What came back.

    Args:
        seconds: Between sending and the answer's first byte.
        received_at: This machine's clock then, in seconds since the epoch.
    """

    content: Any
    headers: Mapping[str, str]
    seconds: float
    received_at: float


class Transport:
    """A connection to one cluster's API. Safe to use from many threads.

    Args:
        login: Logs in; called again when the cluster no longer accepts the credentials, since a login program or a
            person may have renewed them.
        patience_s: How long server errors, stalls and lost connections are tried again, in seconds.
        timeout_s: How long a request may say nothing, in seconds.
        first_s: The patience until there was a first answer: a cluster that never answers is one that is not there.
        waiting: Told once an outage has lasted for some seconds.
    """

    def __init__(
        self,
        login: Callable[[], Login],
        *,
        patience_s: float,
        timeout_s: float,
        first_s: float | None = None,
        waiting: Callable[[FireworksError], None] = lambda fault: None,
    ) -> None:
        self._log_in = login
        self._waiting = waiting
        self._first_s = patience_s if first_s is None else min(first_s, patience_s)
        self._answered = False
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._streams: set[BaseHTTPResponse] = set()
        self.login = login()
        self._pool = _pool(self.login)
        self.patience_s = patience_s
        self.timeout_s = max(min(timeout_s, patience_s), 0.1)

    def target(self, what: str = "", name: str = "", namespace: str = "") -> Target:
        """What a request is about, and where it goes."""
        login = self.login
        source = f"context {login.context!r} of {login.source}" if login.context else login.source
        return Target(login.server, source, what, name, namespace)

    def send(self, call: Call) -> Answer:
        """Send it until there is an answer.

        Raises:
            ClusterUnavailable: If there is none within `patience_s`.
            CredentialsExpired, ClusterDenied, ResourceNotFound, ResourceExists, ResourceRefused: As the answer says.
        """

        def once() -> Answer:
            started = time.monotonic()
            response = self._request(call, self.timeout_s, preload=True)
            seconds = time.monotonic() - started
            content = json.loads(response.data) if _is_json(response) else response.data.decode("utf-8", "replace")
            return Answer(content, dict(response.headers), seconds, time.time())

        return self._patiently(call, once)

    @contextmanager
    def stream(self, call: Call, timeout_s: float) -> Iterator[BaseHTTPResponse]:
        """An answer that goes on, read as it comes.

        Args:
            call: The request.
            timeout_s: How long it may say nothing, in seconds.

        Raises:
            Broken: If the connection is lost while it is read.
        """
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        response = self._patiently(call, lambda: self._request(call, timeout_s, preload=False))
        with self._lock:
            self._streams.add(response)
        try:
            self._check_open(call)  # Else nobody would shut it.
            yield response
        except HTTPError as error:
            raise Broken(from_network(error, call.target), silent=isinstance(error, ReadTimeoutError)) from error
        finally:
            with self._lock:
                self._streams.discard(response)
            response.close()  # Half-read, the connection is of no use to others.

    def close(self) -> None:
        """Give up whatever is asked or read, in all threads: it ends there with ClusterUnavailable."""
        with self._lock:
            self._closed.set()
            for response in self._streams:
                with suppress(OSError, RuntimeError, ValueError):  # It has just ended by itself.
                    response.shutdown()

    def _check_open(self, call: Call) -> None:
        if self._closed.is_set():
            raise ClusterUnavailable(f"a cluster must not be asked after `close`, but was for {call.target}.")

    def _patiently(self, call: Call, once: Callable[[], T]) -> T:
        began = time.monotonic()
        pause, renewed, told = 0.1, False, False
        while True:
            self._check_open(call)
            try:
                answer = once()
                self._answered = True
                return answer
            except CredentialsExpired:
                if renewed:
                    raise
                renewed = True
                self._renew()
            except _Transient as transient:
                wait = transient.after_s or pause * _jitter.uniform(0.5, 1.5)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                past_s = time.monotonic() + wait - began
                patience_s = self.patience_s if self._answered else self._first_s
                if not (call.repeatable or transient.refused) or past_s > patience_s:
                    raise transient.fault from transient.__cause__
                if past_s > _TELL_S and not told:
                    told = True
                    self._waiting(transient.fault)
                call.lost |= not transient.refused
                self._closed.wait(wait)

    def _request(self, call: Call, timeout_s: float, *, preload: bool) -> BaseHTTPResponse:
        from urllib3 import Timeout
        from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProxyError

        headers = {"Accept": "application/json, */*", "User-Agent": "fireworks", **self._credentials(), **call.headers}
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        try:
            response = self._pool.request(
                call.method,
                call.url(self.login.server),
                body=None if call.body is None else json.dumps(call.body).encode(),
                headers=headers,
                timeout=Timeout(connect=min(_CONNECT_S, timeout_s), read=timeout_s),
                retries=False,
                preload_content=preload,
            )
            if response.status < 300:
                return response
            body = response.data
        except HTTPError as error:
            fault = from_network(error, call.target)
            if isinstance(fault, ClusterUnavailable):
                refused = isinstance(error, NewConnectionError | ConnectTimeoutError | ProxyError)
                raise _Transient(fault, refused=refused) from error
            raise fault from error
        fault = from_answer(response.status, body, call.target)
        if isinstance(fault, ClusterUnavailable):
            raise _Transient(fault, refused=response.status == 429, after_s=_retry_after(response.headers))
        raise fault

    def _credentials(self) -> dict[str, str]:
        settings = self.login.configuration.auth_settings().get("BearerToken")
        value = settings.get("value") if settings else None
        return {"Authorization": value} if value else {}

    def _renew(self) -> None:
        """Log in again: the kubeconfig may hold newer credentials by now."""
        with self._lock:
            try:
                self.login = self._log_in()
            except FireworksError:  # The refusal says more than a kubeconfig that is being written.
                return
            self._pool = _pool(self.login)


class Broken(Exception):
    """A stream that was lost while it was read; `silent` if because it said nothing for too long."""

    def __init__(self, fault: FireworksError, *, silent: bool = False) -> None:
        super().__init__(fault)
        self.fault, self.silent = fault, silent


class Breaks:
    """Streams that are lost: opened again, unless nothing has come of that for `patience_s` seconds."""

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self._since: float | None = None

    def progress(self) -> None:
        """Something came."""
        self._since = None

    def wait(self, broken: Broken) -> None:
        """Wait before the next attempt.

        Raises:
            ClusterUnavailable: If there have been enough.
        """
        now = time.monotonic()
        self._since = self._since or now
        if now - self._since > self.patience_s:
            raise broken.fault from broken
        time.sleep(_jitter.uniform(0.2, 1.0))


class _Transient(Exception):
    """An answer worth asking for again; `refused` says that the request was surely not carried out."""

    def __init__(self, fault: FireworksError, *, refused: bool, after_s: float | None = None) -> None:
        super().__init__(fault)
        self.fault, self.refused, self.after_s = fault, refused, after_s


def _pool(login: Login) -> PoolManager:
    from kubernetes.client.rest import RESTClientObject

    return RESTClientObject(login.configuration).pool_manager


def _is_json(response: BaseHTTPResponse) -> bool:
    return "json" in response.headers.get("Content-Type", "")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None
