"""Packing a project's code. Neighbours: `fireworks.workflow.packing`."""

import io
import subprocess
import tarfile

import pytest
from blake3 import blake3

from fireworks.errors import PackageError
from fireworks.workflow import packing
from fireworks.workflow.packing import hide_own_folder, pack, unpack


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.py").write_text("import inner.b\n")
    (folder / "inner" / "b.py").write_text("B = 1\n")
    return folder


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True)


def test_the_same_files_give_the_same_bytes(project):
    first = pack(project)
    (project / "a.py").touch()
    assert first == pack(project)
    assert ("a.py", "inner/b.py") == first.names
    (project / "a.py").write_text("import inner.c\n")
    assert first.hash != pack(project).hash


def test_git_says_what_belongs_to_the_project(project):
    (project / ".gitignore").write_text("*.log\n")
    for name in ("kept.log", "ignored.log", "gone.py"):
        (project / name).write_text(name)
    git(project, "init")
    git(project, "add", "-f", "a.py", "kept.log", "gone.py")
    (project / "gone.py").unlink()
    assert (".gitignore", "a.py", "inner/b.py", "kept.log") == pack(project).names


def test_what_runs_leave_behind_is_no_code_though_git_does_not_ignore_it(project):
    git(project, "init")
    before = pack(project)
    for name in (".fireworks/pending/token.json", "inner/.fireworks/store/outputs/x.arrow"):
        (project / name).parent.mkdir(parents=True)
        (project / name).write_text("x")
    assert before == pack(project)


def test_git_is_told_to_ignore_what_runs_leave_behind(project):
    git(project, "init")
    hide_own_folder(project)
    assert not (project / ".fireworks").exists()
    (project / ".fireworks").mkdir()
    (project / ".fireworks" / "store").write_text("x")
    hide_own_folder(project)
    git(project, "add", "--all")
    tracked = subprocess.run(["git", "-C", project, "ls-files"], capture_output=True, text=True, check=True).stdout
    assert ["a.py", "inner/b.py"] == tracked.split()


def test_of_a_project_below_a_repository_only_the_project_is_packed(project):
    git(project.parent, "init")
    (project.parent / "elsewhere.py").write_text("")
    assert ("a.py", "inner/b.py") == pack(project).names


def test_without_git_environments_and_caches_stay_behind(project):
    for name in (".venv/x.py", "env/pyvenv.cfg", "env/lib.py", "__pycache__/a.pyc", ".fireworks/store", "inner/b.pyc"):
        path = project / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("x")
    assert ("a.py", "inner/b.py") == pack(project).names


def test_what_travels_otherwise_is_left_out(project):
    assert ("inner/b.py",) == pack(project, {"a.py"}).names


@pytest.mark.parametrize("name", [".env", ".env.local", "server.pem", "id_rsa", "my.kubeconfig", "inner/.netrc"])
def test_secrets_are_refused_by_name(project, name):
    (project / name).write_text("secret")
    with pytest.raises(PackageError, match=rf"secrets must not travel with code, but the project has {name}\. Add"):
        pack(project)


@pytest.mark.parametrize("name", [".env.example", "kubeconfig.py", "id_rsa.pub"])
def test_templates_and_code_about_secrets_are_none(project, name):
    (project / name).write_text("KEY=\n")
    assert name in pack(project).names


def test_too_much_is_refused_with_the_largest_files(project, monkeypatch):
    monkeypatch.setattr(packing, "LIMIT_BYTES", 3_000_000)
    (project / "data.bin").write_bytes(bytes(3_100_000))
    with pytest.raises(PackageError, match=r"at most 3 MB, but is 3 MB: data.bin \(3 MB\).*Declare data as File"):
        pack(project)


def test_large_files_and_links_that_lead_out_are_told(project, tmp_path):
    (project / "data.bin").write_bytes(bytes(1_500_000))
    (tmp_path / "outside.py").write_text("")
    (project / "link.py").symlink_to(tmp_path / "outside.py")
    package = pack(project)
    assert "link.py" not in package.names
    assert ["link.py is a link that leads out", "data.bin is 1.5 MB: data should be a declared File"] == [
        warning[: len(expected)]
        for warning, expected in zip(
            package.warnings,
            ["link.py is a link that leads out", "data.bin is 1.5 MB: data should be a declared File"],
            strict=True,
        )
    ]


def test_unpacking_gives_the_files_back(project, tmp_path):
    (project / "run.sh").write_text("#!/bin/sh\n")
    (project / "run.sh").chmod(0o755)
    package = pack(project)
    unpack(package.data, package.hash, tmp_path / "there")
    assert "B = 1\n" == (tmp_path / "there/inner/b.py").read_text()
    assert (tmp_path / "there/run.sh").stat().st_mode & 0o100
    assert package == pack(tmp_path / "there")


def test_a_package_that_is_not_what_its_name_says_is_refused(project, tmp_path):
    package = pack(project)
    with pytest.raises(PackageError, match=r"must have the hash it is named by, but .{12} has not"):
        unpack(package.data[:-1], package.hash, tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"), [("../out", tarfile.REGTYPE), ("/out", tarfile.REGTYPE), ("a", tarfile.SYMTYPE)]
)
def test_a_package_writes_nothing_outside(name, kind, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(PackageError, match="a tar of plain files, but has"):
        unpack(buffer.getvalue(), blake3(buffer.getvalue()).hexdigest(), tmp_path / "there")
    assert [] == list(tmp_path.iterdir())
