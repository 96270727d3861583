"""Checks of the store: what pods are told of it, and whether it works from here.

Comes in: a `Case`. Goes out: findings, to `fireworks.workflow.argo.diagnosis.examining`.
"""

import secrets
import time

from ....errors import ResourceNotFound, StoreError
from ....store import open_store
from ....store.files import FileStore
from ..resources import CONFIGMAPS, SECRETS
from .checks import Case, Finding, failed, open_question, passed
from .cluster import judge_clock

__all__ = ["CREDENTIALS", "SETTINGS", "check_clock", "check_credentials", "check_settings", "check_store"]

CREDENTIALS, SETTINGS = "store-credentials", "store-settings"
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def check_credentials(case: Case) -> Finding:
    """Whether the Secret that every pod refers to is there; its values are not looked at."""
    client = case.cluster
    command = f"kubectl -n {client.namespace} create secret generic {CREDENTIALS} --from-env-file=FILE"
    remedy = f"Put {' and '.join(_KEYS)} into FILE, NAME=value a line, and run: {command}"
    try:
        found = client.get(SECRETS, CREDENTIALS)
    except ResourceNotFound:
        return failed(f"there is no Secret {CREDENTIALS!r}: no pod of a stage would start", remedy)
    missing = [key for key in _KEYS if key not in (found.get("data") or {})]
    if missing and case.store_in_pods.startswith("s3:"):
        return failed(f"Secret {CREDENTIALS!r} lacks {', '.join(missing)}", remedy)
    return passed(f"Secret {CREDENTIALS!r} has {', '.join(sorted(found.get('data') or {})) or 'nothing'}")


def check_settings(case: Case) -> Finding:
    """Which server pods are sent to."""
    client = case.cluster
    try:
        data = client.get(CONFIGMAPS, SETTINGS).get("data") or {}
    except ResourceNotFound:
        return open_question(
            f"there is no ConfigMap {SETTINGS!r}: fine if the store is Amazon's",
            f"Else: kubectl -n {client.namespace} create configmap {SETTINGS} --from-literal=AWS_ENDPOINT_URL=URL",
        )
    return passed(", ".join(f"{name}={value}" for name, value in sorted(data.items())) or "empty")


def check_store(case: Case) -> Finding:
    """Whether a small object can be written, read and deleted."""
    store = open_store(case.store, patience_s=case.patience_s)
    key, content = f"doctor/{secrets.token_hex(8)}", secrets.token_bytes(32)
    started = time.monotonic()
    earliest = time.time()
    store.put(key, content)
    latest = time.time()
    try:
        if store.get(key) != content:
            raise StoreError(f"a store must give back what was put, but {store.url} did not. Use another.")
        modified = None if isinstance(store, FileStore) else int(store.head(key).modified_at)
        case.learnt["modified"] = modified, earliest, latest
    finally:
        store.delete([key])
    return passed(f"{store.url}: wrote, read and deleted an object in {(time.monotonic() - started) * 1000:.0f} ms")


def check_clock(case: Case) -> Finding:
    """Whether the store's clock and ours agree, by the time it gave the object."""
    modified, earliest, latest = case.learnt["modified"]
    return passed("is ours") if modified is None else judge_clock(modified, earliest, latest)
