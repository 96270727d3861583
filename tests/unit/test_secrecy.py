"""What looks like a secret, and what does not. Neighbours: `fireworks.workflow.secrecy`, the verbs that warn."""

import pytest

from fireworks.cli import main
from fireworks.records import StagePlan
from fireworks.workflow.secrecy import exposed


@pytest.mark.parametrize(
    "name",
    [
        *("password", "db_password", "PASSWORD", "dbPassword", "hub_token", "token", "api_key", "apiKey", "API_KEY"),
        *("apikey", "secret", "client_secret", "aws_secret_access_key", "credentials", "ssh_private_key", "auth_token"),
    ],
)
def test_names_of_secrets(name):
    assert 1 == len(exposed({name: "hunter2"}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, "x") for name in ("key_column", "key", "keys", "tokenizer", "n_tokens", "tokens", "k", "sort_key")],
        *[
            (name, "x")
            for name in ("pad_token", "eos_token", "max_token", "keyboard", "monkey", "secretary", "primary")
        ],
        *[(name, "x") for name in ("password_file", "secret_name", "token_column", "credentials_path", "token_id")],
        *[("token", value) for value in (None, "", "none", 5, 0.5, True, [], ["", None])],
        ("model", "sk-learn-gradient-boosting-classifier"),
        ("url", "https://example.org:8080/a@b"),
        ("url", "s3://bucket/key"),
        ("title", "AKIA is a prefix"),
        ("text", "begin: PRIVATE KEY"),
    ],
)
def test_what_is_no_secret(name, value):
    assert [] == exposed({name: value})


@pytest.mark.parametrize(
    "value",
    [
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "0123456789abcdefghijABCDEFGHIJ",
        "github_pat_" + "0123456789abcdefghij",
        "sk-" + "proj0123456789ABCDEFabcdef",
        "hf_" + "a" * 34,
        "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE",
        "-----BEGIN " + "PRIVATE KEY-----",
        "postgresql://me:" + "hunter2@db.example.org/lab",
        ["plain", {"deep": "https://:" + "hunter2@example.org"}],
        "https://example.org/a?X-Amz-Date=1&X-Amz-Signature=" + "0123456789abcdef",
    ],
)
def test_values_of_secrets(value):
    assert 1 == len(exposed({"source": value}))


def test_the_warning_names_the_place_the_reason_and_the_remedy():
    stage = StagePlan(name="fetch", recipe="r", ingredients={}, env={"HUB_TOKEN": "x", "SEED": "1"})
    remedy = 'Let the stage read it from its environment: Stage(secrets={"HUB_TOKEN": "secret/key"}).'
    records = "looks like a secret, and would be readable in the run's records"
    assert [
        f"parameter 'hubToken' {records}. {remedy}",
        f"stage 'fetch': env HUB_TOKEN {records} and in the Workflow. {remedy}",
    ] == exposed({"hubToken": "x", "k": 5}, [stage])


MODULE = """
import fireworks
from fireworks import Message, Pipe, Stage

@fireworks.pipeline
def fetch(token: str = "", k: int = 5):
    return Stage(Pipe(Message({"x": [k]})), name="fetch")
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.fireworks]\n")
    (tmp_path / "fetching.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIREWORKS_STORE", raising=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["compile", "fetching.py:fetch", "--image", "localhost/stage:1"],
        ["run", "fetching.py:fetch"],
        ["submit", "fetching.py:fetch", "--image", "localhost/stage:1", "--dry-run"],
    ],
)
@pytest.mark.parametrize(("token", "warned"), [("-ptoken=hunter2", 1), ("-pk=6", 0)])
def test_verbs_that_write_parameters_down_warn(project, capsys, monkeypatch, arguments, token, warned):
    monkeypatch.setenv("KUBECONFIG", "none")  # submit ends there, after what it says.
    assert ("submit" == arguments[0]) == bool(main([*arguments, token]))
    lines = [line for line in capsys.readouterr().err.splitlines() if "looks like a secret" in line]
    assert warned == len(lines)
    assert all(line.startswith("warning: parameter 'token' looks like a secret") for line in lines)
