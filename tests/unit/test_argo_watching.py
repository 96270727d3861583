"""Watches and logs over connections that break. Neighbours: `fireworks.workflow.argo.watching`, `podlogs`."""

import threading
import time

import pytest

from answering import Reply, answering, refusal, write_kubeconfig
from fireworks.errors import ClusterError, ClusterUnavailable, CredentialsExpired, ResourceNotFound
from fireworks.workflow.argo import ClusterClient
from fireworks.workflow.argo.podlogs import LogLine
from fireworks.workflow.argo.resources import PODS

ALL = "/api/v1/namespaces/fireworks/pods"
LOG = f"{ALL}/p/log"


@pytest.fixture
def server():
    with answering() as running:
        yield running


@pytest.fixture
def connect(server, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", server.url)))
    return lambda patience_s=5: ClusterClient(patience_s=patience_s, timeout_s=2)


def pod(name, version, **others):
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}, **others}


def listed(version, *pods):
    return Reply(body={"metadata": {"resourceVersion": str(version)}, "items": list(pods)})


def event(kind, one):
    return {"type": kind, "object": one}


def streams(server, lists, *replies):
    """Answers lists by `lists` and watches by `replies`, in turn."""
    server.on(f"GET {ALL}", *(reply for pair in zip(lists, replies, strict=True) for reply in pair))


def seen(changes, number):
    found = []
    for change in changes:
        found.append((change.kind, change.object["metadata"]["name"], change.object["metadata"]["resourceVersion"]))
        if len(found) == number:
            return found
    return found


def test_what_is_there_comes_first_then_what_changes(server, connect):
    events = [event("ADDED", pod("b", 6)), event("MODIFIED", pod("a", 7)), event("DELETED", pod("b", 8))]
    server.on(f"GET {ALL}", listed(5, pod("a", 3)), Reply(body=events))
    changes = connect().watch(PODS, labels="x=y")
    assert [("added", "a", "3"), ("added", "b", "6"), ("modified", "a", "7"), ("deleted", "b", "8")] == seen(changes, 4)
    first, second = (one["query"] for one in server.requests)
    assert ("x=y", None) == (first["labelSelector"], first.get("watch"))
    assert ("x=y", "true", "5") == (second["labelSelector"], second["watch"], second["resourceVersion"])


@pytest.mark.parametrize("end", ["", "drop"])
def test_it_goes_on_where_a_stream_ended(server, connect, end):
    bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "20"}})
    server.on(
        f"GET {ALL}",
        listed(5),
        Reply(body=[event("ADDED", pod("a", 6)), bookmark], end=end),
        refusal(503, "starting"),
        Reply(body=[event("MODIFIED", pod("a", 6)), event("MODIFIED", pod("a", 21))]),
    )
    assert [("added", "a", "6"), ("modified", "a", "21")] == seen(connect().watch(PODS), 2)
    assert "20" == server.requests[-1]["query"]["resourceVersion"]


@pytest.mark.parametrize(
    "expired",
    [
        Reply(body=[event("ERROR", refusal(410, "too old resource version", "Expired").body)]),
        refusal(410, "too old resource version", "Expired"),
    ],
)
def test_a_version_that_is_gone_means_comparing_lists(server, connect, expired):
    server.on(
        f"GET {ALL}",
        listed(5, pod("gone", 1), pod("same", 2), pod("changed", 3)),
        expired,
        listed(9, pod("same", 2), pod("changed", 8), pod("new", 9)),
        Reply(body=[event("MODIFIED", pod("new", 10))]),
    )
    changes = seen(connect().watch(PODS), 7)
    assert [
        ("deleted", "gone", "1"),
        ("modified", "changed", "8"),
        ("added", "new", "9"),
        ("modified", "new", "10"),
    ] == (changes[3:])


def test_a_watch_ends_at_its_limit(server, connect):
    server.on(f"GET {ALL}", listed(5, pod("a", 1)), Reply(body=[]))
    started = time.monotonic()
    assert [("added", "a", "1")] == seen(connect().watch(PODS, limit_s=0.5), 9)
    assert 0.5 <= time.monotonic() - started < 3


def test_a_watch_ends_when_the_api_is_gone_for_too_long(server, connect):
    server.on(f"GET {ALL}", listed(5), Reply(body=[], end="reset"))
    with pytest.raises(ClusterUnavailable, match="must answer"):
        seen(connect(0.5).watch(PODS), 1)


@pytest.mark.parametrize(
    "reply", [Reply(body=[event("ADDED", pod("b", 6))], end="hang"), refusal(503, "later")], ids=["silent", "away"]
)
def test_a_watch_ends_when_its_client_is_closed(server, connect, reply):
    server.on(f"GET {ALL}", listed(5, pod("a", 3)), reply)
    client = connect(60)
    closing = threading.Timer(1.0, client.close)
    began = time.monotonic()
    closing.start()
    with pytest.raises(ClusterUnavailable, match="must not be asked after `close`, but was for pods in namespace"):
        seen(client.watch(PODS), 5)
    assert time.monotonic() < began + 5
    closing.join()


def test_credentials_that_expire_in_mid_watch_are_told(server, connect):
    server.on(f"GET {ALL}", listed(5, pod("a", 1)), Reply(body=[]), refusal(401, "Unauthorized"))
    with pytest.raises(CredentialsExpired, match="have expired. Log in again"):
        seen(connect().watch(PODS), 2)


def container(state, spec=("main",)):
    status = {"phase": "Running", "containerStatuses": [{"name": "main", "state": state}]}
    return Reply(body=pod("p", 1, spec={"containers": [{"name": name} for name in spec]}, status=status))


def lines(*texts):
    return [f"2026-01-01T00:00:0{number}.000000001Z {text}\n" for number, text in texts]


def texts(found):
    return [line.text for line in found]


RUNNING, ENDED = {"running": {}}, {"terminated": {"exitCode": 0}}


def test_a_log_is_read_once(server, connect):
    server.on(f"GET {LOG}", Reply(body="".join(lines((1, "a b"), (2, ""), (2, "é"))).removesuffix("\n")))
    found = list(connect().logs("p", container="wait"))
    assert LogLine("2026-01-01T00:00:01.000000001Z", "a b") == found[0]
    assert ["a b", "", "é"] == texts(found)
    assert {"container": "wait", "timestamps": "true", "follow": "false"} == server.requests[0]["query"]


def test_a_log_goes_on_since_a_line(server, connect):
    server.on(f"GET {LOG}", Reply(body="".join(lines((1, "a"), (2, "b"), (3, "c")))))
    assert ["c"] == texts(connect().logs("p", since="2026-01-01T00:00:02.000000001Z"))
    assert "2026-01-01T00:00:02Z" == server.requests[0]["query"]["sinceTime"]


def test_following_waits_for_the_start_and_ends_with_the_container(server, connect):
    starting = container({"waiting": {"reason": "ContainerCreating"}})
    server.on(f"GET {ALL}/p", starting, container(RUNNING), container(ENDED))
    server.on(f"GET {LOG}", Reply(body=lines((1, "a"))), Reply(body=lines((1, "a"), (2, "b"))))
    assert ["a", "b"] == texts(connect().logs("p", follow_on=True))


def test_following_goes_on_over_a_lost_connection_with_no_line_twice_or_lost(server, connect):
    server.on(f"GET {ALL}/p", container(RUNNING), container(RUNNING), container(ENDED))
    server.on(
        f"GET {LOG}",
        Reply(body=[*lines((1, "a"), (2, "b"), (2, "b"))]),
        # Cut in mid-line: half a line is none.
        Reply(body=[*lines((2, "b"), (2, "b"), (2, "b"), (3, "c")), "2026-01-01T00:00:04.000000001Z hal"], end="drop"),
        Reply(body=lines((3, "c"), (4, "half"), (5, "d"))),
    )
    assert ["a", "b", "b", "b", "c", "half", "d"] == texts(connect().logs("p", follow_on=True))


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            container({"waiting": {"reason": "ImagePullBackOff", "message": "no\nsuch image"}}),
            "ImagePullBackOff, no such image",
        ),
        (container(RUNNING, ["side"]), r"one of the pod's containers \(side\), but got 'main'"),
        (
            Reply(
                body=pod(
                    "p", 1, spec={"containers": [{"name": "main"}]}, status={"phase": "Failed", "reason": "Evicted"}
                )
            ),
            "must have run to have a log, but 'main' of p did not: Evicted",
        ),
        (refusal(404, 'pods "p" not found', "NotFound"), "pods 'p' in namespace fireworks must be there"),
    ],
)
def test_a_log_that_will_never_come_is_not_waited_for(server, connect, reply, message):
    server.on(f"GET {ALL}/p", reply)
    with pytest.raises(ClusterError, match=message):
        list(connect().logs("p", follow_on=True))


def test_what_the_kubelet_says_is_no_line(server, connect):
    said = "failed to watch file\n"
    server.on(f"GET {LOG}", Reply(body="".join([*lines((1, "a")), said, *lines((2, "b"))])))
    assert ["a", "b"] == texts(connect().logs("p"))
    server.on(f"GET {LOG}", Reply(body="unable to retrieve container logs for containerd://abc"))
    with pytest.raises(ResourceNotFound, match="must be on its node, but: unable to retrieve .*abc. The store has it"):
        list(connect().logs("p"))


def test_a_pod_that_is_gone_has_no_log(server, connect):
    server.on(f"GET {LOG}", refusal(404, 'pods "p" not found', "NotFound"))
    with pytest.raises(ResourceNotFound, match="their records stay in the store"):
        list(connect().logs("p"))
