"""The providers that use what is there: which one is chosen, another's cluster, kind's. Neighbours: `provider/`."""

import json
import re

import pytest

from cluster.provider import ClusterError, choose, choosing, engines, kind
from cluster.provider.archive import write_archive
from cluster.provider.existing import Existing
from cluster.provider.kind import Kind

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {}}],
    "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("production", "staging")],
}


@pytest.fixture
def kubeconfig(tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(KUBECONFIG), encoding="ascii")
    return path


def listing_contexts(programs):
    programs("kubectl", 'case "$*" in *get-contexts*) echo production; echo staging;; esac')


@pytest.mark.parametrize(
    ("environment", "engine", "expected"),
    [
        ({}, None, "node"),
        ({}, "docker", "kind"),
        ({"CLUSTER": "auto"}, "podman", "kind"),
        ({"CLUSTER": "node"}, "docker", "node"),
        ({"CLUSTER": "kind"}, None, "kind"),
        ({"FIREWORKS_KUBECONTEXT": "staging"}, "docker", "existing"),
        ({"CLUSTER": "node", "FIREWORKS_KUBECONTEXT": "staging"}, None, "node"),
    ],
)
def test_the_provider_is_chosen(environment, engine, expected, kubeconfig, programs, monkeypatch):
    listing_contexts(programs)
    monkeypatch.setattr(choosing, "find_engine", lambda: engine)
    assert expected == choose({"HOME": "/nowhere", "KUBECONFIG": str(kubeconfig), **environment}).name


def test_an_unknown_provider_is_refused():
    with pytest.raises(ClusterError, match=r"CLUSTER must be one of auto, node, kind, existing, but is 'minikube'"):
        choose({"CLUSTER": "minikube"})


def test_a_client_without_an_engine_is_no_engine(programs):
    programs("docker", "exit 1")
    assert engines.find_engine() is None
    programs("docker", "echo 27.0")
    assert "docker" == engines.find_engine()
    # So does an old client whose daemon is away.
    programs("docker", "echo; echo 'Cannot connect to the daemon' >&2")
    assert engines.find_engine() is None
    programs("podman", "echo 5.4.0")
    assert "podman" == engines.find_engine()


def test_kind_takes_podman_where_docker_is_a_client_alone(programs, tmp_path):
    programs("docker", "exit 1")
    programs("podman", "echo 5.4.0")
    programs("kind", 'echo "$KIND_EXPERIMENTAL_PROVIDER" >>$0.environment')
    found = choose({"HOME": str(tmp_path), "CLUSTER": "kind"})
    assert found.podman
    found.status()
    assert "podman\n" == (programs.folder / "kind.environment").read_text(encoding="ascii")


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ("stagin", "but is 'stagin'. Did you mean staging?"),
        ("elsewhere", "but is 'elsewhere'. There are: production, staging."),
        ("", "CLUSTER=existing needs a context, but FIREWORKS_KUBECONTEXT is not set"),
    ],
)
def test_a_context_that_is_none_is_refused(context, message, kubeconfig, programs):
    listing_contexts(programs)
    environment = {"CLUSTER": "existing", "KUBECONFIG": str(kubeconfig), "FIREWORKS_KUBECONTEXT": context}
    with pytest.raises(ClusterError, match=re.escape(message)):
        choose(environment)


def test_existing_needs_a_kubeconfig_a_store_and_settings_for_it(tmp_path):
    with pytest.raises(ClusterError, match="needs a kubeconfig, but .*config is not there. Set KUBECONFIG"):
        choose({"CLUSTER": "existing", "HOME": str(tmp_path), "FIREWORKS_KUBECONTEXT": "x"})
    provider = Existing("x", "ours", tmp_path / "kubeconfig", tmp_path)
    with pytest.raises(ClusterError, match="FIREWORKS_S3_URL must be s3://bucket/prefix, but is ''"):
        provider.s3_url()
    with pytest.raises(ClusterError, match="but AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY are not set"):
        provider.up()
    with pytest.raises(ClusterError, match="through its registry"):
        provider.load_image(tmp_path / "image.tar")


@pytest.fixture
def views(programs):
    """A kubectl that shows the files of KUBECONFIG one after the other."""
    show = 'IFS=:; for file in $KUBECONFIG; do [ ! -e "$file" ] || { read -r line <"$file"; echo "$line"; }; done'
    programs("kubectl", f'case "$*" in *get-contexts*) echo production; echo staging;; *view*) {show};; esac')


def test_every_file_of_kubeconfig_is_searched(tmp_path, views):
    (tmp_path / "second").write_text("clusters of the second\n", encoding="ascii")
    files = f"{tmp_path}/missing:{tmp_path}/second"
    environment = {"CLUSTER": "existing", "KUBECONFIG": files, "FIREWORKS_KUBECONTEXT": "staging"}
    found = choose({"FIREWORKS_CLUSTER_CACHE": str(tmp_path / "cache"), **environment})
    assert "clusters of the second\n" == found.kubeconfig().read_text(encoding="utf-8")


def test_the_copy_of_a_kubeconfig_follows_it(tmp_path, views):
    source = tmp_path / "config"
    provider = Existing("staging", "ours", source, tmp_path / "cache")
    for token in ("old", "new"):
        source.write_text(f"token: {token}\n", encoding="ascii")
        copy = provider.kubeconfig()
        assert f"token: {token}\n" == copy.read_text(encoding="utf-8")
    assert 0o600 == copy.stat().st_mode & 0o777
    assert [copy] == [path for path in (tmp_path / "cache").iterdir() if path.is_file()]


KIND = """
for word; do case $word in --kubeconfig=*) file=${word#--kubeconfig=};; esac; done
case "$*" in
"get clusters") [ ! -e $0.made ] || echo fireworks;;
create*) echo >$0.made; echo created >"$file";;
delete*) rm $0.made;;
export*) echo exported >"$file";;
esac
"""
DOCKER = """
case "$*" in
inspect*) if [ -e $0.stopped ]; then echo false; else echo true; fi;;
stop*) echo >$0.stopped;;
start*) rm $0.stopped;;
esac
"""


@pytest.fixture
def made(settings, programs, monkeypatch, tmp_path):
    """A kind provider, whose programs remember what was done."""
    monkeypatch.setenv("PATH", f"{programs.folder}:/usr/bin:/bin")
    monkeypatch.setattr(kind, "MANIFESTS", tmp_path / "manifests")
    monkeypatch.setattr("cluster.provider.argo.MANIFESTS", tmp_path / "manifests")
    (tmp_path / "manifests" / "rendered").mkdir(parents=True)
    (tmp_path / "manifests" / "rendered" / "kind.yaml").write_text("a: 1\n", encoding="ascii")
    programs("kind", KIND)
    programs("docker", DOCKER)
    programs("kubectl", 'case "$*" in *readyz*) echo ok;; esac')
    return Kind(settings)


def done_by(programs, name):
    """What changed something."""
    calls = [call for call in programs.calls(name) if not call.startswith(("get", "inspect"))]
    return [" ".join(call.split()[:2]) for call in calls]


def test_kind_is_made_once_with_its_config(made, programs, tmp_path):
    assert not made.status().ready
    made.up()
    made.up()
    write_archive(tmp_path / "image.tar", "localhost/x:1", {}, {})
    assert ["localhost/x:1"] == made.load_image(tmp_path / "image.tar")
    assert ["create cluster", "load image-archive"] == done_by(programs, "kind")
    assert [True] == ["--config=" in call for call in programs.calls("kind") if call.startswith("create")]
    assert [True] == ["rendered/kind.yaml" in call for call in programs.calls("kubectl") if "--filename" in call][:1]


def test_kind_keeps_what_it_has_unless_it_is_purged(made, programs):
    made.up()
    made.down()
    assert not made.status().ready
    made.up()
    assert made.status().ready
    made.down(purge=True)
    made.down()
    assert ["create cluster", "delete cluster"] == done_by(programs, "kind")
    assert ["stop fireworks-control-plane", "start fireworks-control-plane"] == done_by(programs, "docker")


def test_kind_gets_manifests_that_have_changed(made, programs, tmp_path):
    def applied():
        return len([call for call in programs.calls("kubectl") if "rendered/kind.yaml" in call])

    made.up()
    made.up()
    assert 1 == applied()
    (tmp_path / "manifests" / "rendered" / "kind.yaml").write_text("a: 2\n", encoding="ascii")
    assert [False] == [part.ready for part in made.status().parts if part.name == "manifests"]
    made.up()
    assert 2 == applied()


def test_kind_gives_a_kubeconfig_that_was_lost(made):
    made.up()
    assert "created\n" == made.kubeconfig().read_text(encoding="ascii")
    made.kubeconfig().unlink()
    assert made.status().ready
    assert "exported\n" == made.kubeconfig().read_text(encoding="ascii")


def test_kind_that_is_missing_is_named(settings, programs):
    message = "needs the `kind` program, but it is not installed. Run: go install"
    with pytest.raises(ClusterError, match=message):
        Kind(settings).up()
    status = Kind(settings).status()
    assert not status.ready
    assert message in str(status)


def test_a_status_says_that_kubectl_is_missing(made, programs, monkeypatch):
    made.up()
    (programs.folder / "kubectl").unlink()
    monkeypatch.setenv("PATH", f"{programs.folder}:/bin-of-nobody")
    assert "`kubectl` must be installed for this provider" in str(made.status())
