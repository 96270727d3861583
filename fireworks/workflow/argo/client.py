"""Objects of one cluster: made, read, changed, removed, watched.

Comes in: names and plain JSON objects from ``fireworks submit``, `fireworks.workflow.argo.diagnosis` and the verbs that
look at runs. Goes out: requests through `fireworks.workflow.argo.transport`; plain JSON objects, never Python classes
of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ...errors import FireworksError, ResourceExists, ResourceNotFound
from .faults import Expired
from .kubeconfig import log_in
from .podlogs import LogLine, follow, read
from .resources import EVENTS, PODS, Resource
from .transport import Answer, Call, Transport
from .watching import Change, watch

__all__ = ["DEFAULT_NAMESPACE", "MANAGER", "ClusterClient"]

# That of manifests/. A context's own is `default` more often than not, where nothing is installed.
DEFAULT_NAMESPACE = "fireworks"
MANAGER = "fireworks"
_PAGE = 500

Object = dict[str, Any]
# Not `list[Object]` where the method `list` would be meant.
Objects = list[Object]


class ClusterClient:
    """One cluster, one namespace. Safe to use from many threads.

    Every method raises `ClusterUnavailable` when the API gave no proper answer for `patience_s` seconds,
    `CredentialsExpired` when it no longer knows us, `ClusterDenied` when we may not, `ClusterError` when it has no
    Argo Workflows.

    Args:
        context: Of the kubeconfig; its current one by default. In a pod without kubeconfig, the pod's account.
        namespace: `DEFAULT_NAMESPACE` by default; in a pod, the pod's.
        patience_s: How long server errors, stalls and lost connections are tried again, in seconds.
        timeout_s: How long a request may say nothing, in seconds.
        first_s: The patience until there was a first answer; `patience_s` by default.
        waiting: Told of an outage that lasts, once it has lasted some seconds.

    Raises:
        KubeconfigError: If there is no kubeconfig, or it leads nowhere. The cluster is not asked yet.
    """

    def __init__(
        self,
        context: str | None = None,
        namespace: str | None = None,
        *,
        patience_s: float = 600.0,
        timeout_s: float = 30.0,
        first_s: float | None = None,
        waiting: Callable[[FireworksError], None] = lambda fault: None,
    ) -> None:
        self.transport = Transport(
            partial(log_in, context), patience_s=patience_s, timeout_s=timeout_s, first_s=first_s, waiting=waiting
        )
        login = self.transport.login
        self.namespace = namespace or (login.namespace if login.context is None else None) or DEFAULT_NAMESPACE

    @property
    def server(self) -> str:
        """URL of the API."""
        return self.transport.login.server

    @property
    def context(self) -> str | None:
        """The kubeconfig's; None in a pod."""
        return self.transport.login.context

    def close(self) -> None:
        """Give up whatever is asked, watched or read, in all threads: it ends there with ClusterUnavailable."""
        self.transport.close()

    def create(self, resource: Resource, body: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Make an object; unknown fields are refused.

        If an answer was lost and the object is there when asked again, with all that `body` says, it counts as made
        by us. An object whose name the server is to choose is not asked for twice.

        Args:
            resource: Its kind.
            body: The object.
            dry_run: Let the server check everything, and make nothing.

        Raises:
            ResourceExists: If there is one of this name.
            ResourceRefused: If it breaks the schema, an admission rule or a quota.
            ResourceNotFound: If there is no such namespace.
        """
        name = body["metadata"].get("name", "")
        query = {"fieldValidation": "Strict", "fieldManager": MANAGER, "dryRun": "All" if dry_run else None}
        call = self._call("POST", resource, name=name, path_name=None, query=query, body=body)
        call.repeatable = dry_run or bool(name)
        try:
            return _object(self.transport.send(call))
        except ResourceExists:
            if call.lost and not dry_run:
                there = self.get(resource, name)
                if _covers(there, body):
                    return there
            raise

    def ensure(self, resource: Resource, body: Mapping[str, Any]) -> Object:
        """Make an object unless the same is there already, as templates are that are named by their content.

        Raises:
            ResourceExists: If there is another one of this name.
        """
        try:
            return self.create(resource, body)
        except ResourceExists:
            there = self.get(resource, body["metadata"]["name"])
            if _covers(there, body):
                return there
            raise

    def get(self, resource: Resource, name: str) -> Object:
        """One object.

        Raises:
            ResourceNotFound: If there is none of this name.
        """
        return _object(self.transport.send(self._call("GET", resource, name=name)))

    def find(self, resource: Resource, name: str) -> Object | None:
        """One object, or None if there is none of this name."""
        try:
            return self.get(resource, name)
        except ResourceNotFound:
            return None

    def list(self, resource: Resource, *, labels: str | None = None, fields: str | None = None) -> Objects:
        """All objects of the namespace, or those that a label and a field selector leave, such as ``a=b,c!=d``."""
        return self._list(resource, labels=labels, fields=fields)[0]

    def _list(self, resource: Resource, *, labels: str | None, fields: str | None) -> tuple[Objects, str]:
        """The objects, and the version of the whole they were read at."""
        found: Objects = []
        page = None
        while True:
            query = {"labelSelector": labels, "fieldSelector": fields, "limit": _PAGE, "continue": page}
            try:
                answer = _object(self.transport.send(self._call("GET", resource, query=query)))
            except Expired:  # The list took so long that its pages are no longer kept: from the beginning.
                found, page = [], None
                continue
            found += answer.get("items") or []
            page = answer["metadata"].get("continue") or None
            if page is None:
                return found, answer["metadata"]["resourceVersion"]

    def patch(self, resource: Resource, name: str, change: Mapping[str, Any]) -> Object:
        """Change an object by a JSON merge patch (RFC 7386): None removes a field, lists are replaced whole.

        Raises:
            ResourceNotFound: If there is none of this name.
            ResourceRefused: If the result breaks the schema or an admission rule.
        """
        query = {"fieldValidation": "Strict", "fieldManager": MANAGER}
        call = self._call("PATCH", resource, name=name, query=query, body=change)
        call.content_type = "application/merge-patch+json"
        return _object(self.transport.send(call))

    def delete(self, resource: Resource, name: str, *, grace_s: int | None = None) -> None:
        """Remove an object, and then what it owns.

        Args:
            resource: Its kind.
            name: Which.
            grace_s: How long pods get to end, in seconds; what they say themselves by default.

        Raises:
            ResourceNotFound: If there is none of this name.
        """
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        body = options if grace_s is None else {**options, "gracePeriodSeconds": grace_s}
        call = self._call("DELETE", resource, name=name, body=body)
        try:
            self.transport.send(call)
        except ResourceNotFound:
            if not call.lost:
                raise

    def watch(
        self,
        resource: Resource,
        *,
        labels: str | None = None,
        fields: str | None = None,
        limit_s: float | None = None,
    ) -> Iterator[Change]:
        """What there is, then what changes, over lost connections and restarts of the API; see `Change`.

        Args:
            resource: The kind of objects.
            labels: A label selector.
            fields: A field selector, such as ``metadata.name=x``.
            limit_s: Ends after that many seconds; never by default.
        """
        lister = partial(self._list, resource, labels=labels, fields=fields)
        query = {"labelSelector": labels, "fieldSelector": fields}
        return watch(self.transport, lister, partial(self._call, "GET", resource), query, limit_s)

    def logs(
        self, pod: str, *, container: str = "main", follow_on: bool = False, since: str | None = None
    ) -> Iterator[LogLine]:
        """What a container printed, line by line; see `LogLine`.

        Args:
            pod: Its name.
            container: Which of the pod's.
            follow_on: Wait for the container to start, and go on until it ends, over lost connections.
            since: Leave out lines up to this time, that of a `LogLine`.

        Raises:
            ResourceNotFound: If there is no such pod.
            ClusterError: If it has not started, or cannot start and says why.
        """
        call = partial(self._call, "GET", PODS, name=pod, part="log")
        if follow_on:
            return follow(self.transport, call, partial(self.get, PODS, pod), container, since)
        return read(self.transport, call, container, since)

    def events(self, name: str | None = None, uid: str | None = None) -> Objects:
        """Events of the namespace, or of one object, oldest first."""
        fields = [f"involvedObject.name={name}"] * (name is not None) + [f"involvedObject.uid={uid}"] * (
            uid is not None
        )
        found = self.list(EVENTS, fields=",".join(fields) or None)
        return sorted(found, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")

    def version(self) -> Answer:
        """The server's version, as JSON, with the answer's headers."""
        return self.ask("/version")

    def ask(self, path: str, what: str = "") -> Answer:
        """Any other document of the API, such as its schemas; `what` it is, for messages."""
        return self.transport.send(Call("GET", path, target=self.transport.target(what, path)))

    def _call(
        self,
        method: str,
        resource: Resource,
        *,
        name: str = "",
        path_name: str | None = "",
        part: str | None = None,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Call:
        """A request about one object, or about all where it has no name; a new one is not in the path."""
        path = resource.path(self.namespace, name if name and path_name is not None else None, part)
        namespace = self.namespace if resource.namespaced else ""
        return Call(method, path, query or {}, body, self.transport.target(str(resource), name, namespace))


def _object(answer: Answer) -> Object:
    content: Object = answer.content
    return content


def _covers(there: Any, wanted: Any) -> bool:
    """Whether an object says all that another does; the server adds fields, but changes none."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(_covers(there.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list | tuple):
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(_covers(one, other) for one, other in zip(there, wanted, strict=True))
        )
    return bool(there == wanted)
