"""Tests that need a cluster run when asked for by `-m cluster`. Neighbours: `provider`, `make test-cluster`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cluster.faults import hashes
from cluster.provider import Provider, choose
from cluster.provider.images import stage_image
from cluster.provider.settings import Settings
from cluster.recorded import Programs
from cluster.runs import ROOT, TINY, UNRULY, Runs
from fireworks import load_pipeline, run
from fireworks.store import Store, open_store
from fireworks.workflow.argo.client import ClusterClient
from fireworks.workflow.argo.observing import remove
from fireworks.workflow.history import list_runs
from forking import Finished, fireworks

MEASURED = "measured"
# pytest's own exit codes end with 5. The Makefile tries again after 1 alone.
FINAL = 6
# Of a command, which may wait for a run's end.
LIMIT_S = 1200
# Files that take minutes, those that take most of them first.
FIRST = (
    *("pods_lost", "containers", "choosing", "pod_faults", "readme"),
    *("compiled", "store_faults", "submit", "logs", "grid"),
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cluster: needs a cluster that is up; without one it fails")
    config.addinivalue_line("markers", "invariant: must hold each time, so what fails is not tried again")
    # A connection that a test of outages tore down is closed when somebody else's test is under way.
    config.addinivalue_line("filterwarnings", "ignore:unclosed <ssl.SSLSocket:ResourceWarning")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave them out, unless the command line speaks of them."""
    if "cluster" in config.option.markexpr:
        places = {f"test_{name}.py": place for place, name in enumerate(FIRST)}
        items.sort(key=lambda item: places.get(item.path.name, len(places)))
        return
    left_out = [item for item in items if item.get_closest_marker("cluster")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End with a code of its own if an invariant was broken."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None:  # A worker, whose tests the main process counts.
        return
    failed = [*terminal.stats.get("failed", ()), *terminal.stats.get("error", ())]
    if any("invariant" in getattr(report, "keywords", ()) for report in failed):
        session.exitstatus = FINAL


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what tests measured, and how those ended that were tried again."""
    reports = [
        report
        for found in terminalreporter.stats.values()
        for report in found
        if isinstance(report, pytest.TestReport) and report.when == "call"
    ]
    measured = [(report, text) for report in reports for name, text in report.user_properties if name == MEASURED]
    if measured:
        terminalreporter.section("measured")
    for nodeid in dict.fromkeys(report.nodeid for report, _ in measured):
        terminalreporter.write_line(nodeid)
        for text in (text for report, text in measured if report.nodeid == nodeid):
            terminalreporter.write_line(f"    {text}")
    if config.getoption("lf", default=False):
        terminalreporter.section("tried again")
        for report in reports:
            terminalreporter.write_line(f"{report.outcome:<8} {report.nodeid}")


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Those of a node that is not there."""
    return Settings(tmp_path / "state", tmp_path / "cache")


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Programs:
    """Makes programs that write down how they were called, and answer as told; they alone are on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    return Programs(tmp_path / "programs")


@pytest.fixture
def report(request) -> Callable[..., None]:
    """Keeps a line for the end of the session's output: `print` of a test that passes is not shown."""

    def call(*values):
        text = " ".join(map(str, values))
        print(text)
        request.node.user_properties.append((MEASURED, text))

    return call


@pytest.fixture(scope="session")
def cluster() -> Provider:
    """The cluster of `make cluster-up`."""
    provider = choose(os.environ)
    status = provider.status()
    assert status.ready, f"{status}\nRun: make cluster-up"
    return provider


@pytest.fixture(scope="module")
def environment(cluster):
    """The settings under which this process finds the cluster and its store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(cluster.kubeconfig()))
        for name, value in cluster.environment().items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def client(environment, cluster) -> ClusterClient:
    return ClusterClient(namespace=cluster.namespace)


@pytest.fixture
def store(environment, cluster) -> Store:
    """A place of its own in the cluster's store."""
    place = open_store(f"{cluster.s3_url()}/tests/{uuid4().hex[:12]}", patience_s=30)
    yield place
    place.delete([info.key for info in place.list("")])


@pytest.fixture
def runs(client, store, tmp_path) -> Runs:
    """Submits pipelines and waits for them."""
    made = Runs(client, store, tmp_path)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def fine(tmp_path_factory):
    """The hashes of the stages of a pipeline that does not misbehave as it could, computed in this process."""
    return hashes(run(load_pipeline(str(UNRULY)), store=tmp_path_factory.mktemp("fine")))


@pytest.fixture
def project(tmp_path):
    return Path(shutil.copytree(TINY, tmp_path / "tiny", ignore=shutil.ignore_patterns("__pycache__", ".fireworks")))


@pytest.fixture
def say(store, client, tmp_path, tmp_path_factory):
    """Runs a command, as a person with a shell from `make cluster-env` does; or Python that ends in one."""
    scratch = tmp_path_factory.mktemp("said")

    def call(*arguments, script="", code=0, folder=tmp_path):
        environment = {"FIREWORKS_STORE": store.url, "FIREWORKS_IMAGE": stage_image()}
        if script:
            environment = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-c", script, *arguments]
            ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            done = Finished(ended.returncode, ended.stdout, ended.stderr)
        else:
            done = fireworks(list(arguments), folder, scratch, limit_s=LIMIT_S, **environment)
        assert code == done.code, f"{done.out}\n{done.err}"
        return done

    yield call
    for run_id in list_runs(store):
        remove(client, run_id)
