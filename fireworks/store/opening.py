"""From a URL to a store.

Comes in: URLs from profiles and the command line, credentials from the environment. Goes out: a
`fireworks.store.files.FileStore` or a `fireworks.store.remote.RemoteStore`.
"""

import os
import re
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import HTTPStore, MemoryStore, S3Store

from ..errors import StoreError, did_you_mean
from .files import FileStore
from .interface import Store
from .keys import check_prefix
from .remote import RemoteStore

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

__all__ = ["open_store"]

_SCHEMES = ("file", "http", "https", "memory", "s3")
_USER = re.compile(r"//[^/@\s]*@")
_memories: dict[str, MemoryStore] = {}
_memories_lock = Lock()


def open_store(url: str | Path, *, patience_s: float = 600.0, timeout_s: float = 60.0) -> Store:
    """Open a store. Nothing is read or created yet.

    Args:
        url: A path; ``file:///absolute/path``; ``memory://name``, shared by this process; ``s3://bucket/prefix``, its
            server and credentials in ``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``,
            ``AWS_REGION`` (us-east-1 if unset) and the other ``AWS_`` variables of object_store;
            ``https://host/folder``, which can only be read.
        patience_s: How long failures of the server and the network are tried again, in seconds.
        timeout_s: Limit of one request, in seconds. A request moves at most 8 MiB down or 16 MiB up, so that this
            is also a limit on how slow a connection may be.

    Raises:
        StoreError: If the URL cannot be that of a store.
    """
    if isinstance(url, Path) or "://" not in url:
        return FileStore(Path(url).expanduser().absolute(), patience_s=patience_s)
    parts = urlsplit(url)
    _check(parts)
    match parts.scheme:
        case "file":
            return FileStore(Path(unquote(parts.path)), patience_s=patience_s)
        case "memory":
            return _open_memory(parts, patience_s)
        case "s3":
            return _open_s3(parts, patience_s, timeout_s)
        case _:
            return _open_http(parts, patience_s, timeout_s)


def _check(parts: SplitResult) -> None:
    # Until this has passed, the URL may hold a password: messages name parts of it only.
    shown = f"{parts.scheme}://{parts.hostname or ''}"
    if parts.scheme not in _SCHEMES:
        raise StoreError(
            f"a store's URL must begin with one of {', '.join(_SCHEMES)}, but got {parts.scheme!r}."
            f"{did_you_mean(parts.scheme, _SCHEMES)} A plain path names a folder."
        )
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise StoreError(
            f"a store's URL must hold no user, password, query or fragment, but that of {shown} does. Give"
            " credentials in the AWS_ environment variables."
        )
    if parts.scheme == "file" and (parts.netloc not in ("", "localhost") or not parts.path):
        raise StoreError(f"a file URL must hold an absolute path and no host, but got {shown}. Write file:///path.")
    if parts.scheme != "file" and not parts.netloc:
        raise StoreError(f"a {parts.scheme} URL must name a place, but got {shown}. Write {parts.scheme}://name.")


def _open_memory(parts: SplitResult, patience_s: float) -> RemoteStore:
    url = f"memory://{parts.netloc}{parts.path}".rstrip("/")
    with _memories_lock:
        client = _memories.setdefault(url, MemoryStore())
    reopen = (_reopen, (url, patience_s, 60.0))
    return RemoteStore(url, client, place="this process", reopen=reopen, patience_s=patience_s)


def _open_s3(parts: SplitResult, patience_s: float, timeout_s: float) -> RemoteStore:
    prefix = check_prefix(unquote(parts.path).lstrip("/"))
    url = f"s3://{parts.netloc}{parts.path}".rstrip("/")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    options = _client_options(endpoint.startswith("http://"), patience_s, timeout_s)

    def connect(retries: "RetryConfig") -> S3Store:
        return S3Store(parts.netloc, prefix=prefix or None, region=region, client_options=options, retry_config=retries)

    try:
        client, uploader = connect({"max_retries": 0}), connect(_persistent(patience_s))
    except (BaseError, ValueError) as error:
        reason = _USER.sub("//", str(error).partition("\n")[0])
        raise StoreError(f"the AWS_ settings for {url} must fit together, but: {reason}. Correct them.") from error
    return RemoteStore(
        url,
        client,
        uploader=uploader,
        place=_host(endpoint) or f"AWS {region}",
        reopen=(_reopen, (url, patience_s, timeout_s)),
        patience_s=patience_s,
    )


def _open_http(parts: SplitResult, patience_s: float, timeout_s: float) -> RemoteStore:
    url = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
    client = HTTPStore(
        url,
        client_options=_client_options(parts.scheme == "http", patience_s, timeout_s),
        retry_config={"max_retries": 0},
    )
    reopen = (_reopen, (url, patience_s, timeout_s))
    return RemoteStore(url, client, place=parts.netloc, reopen=reopen, patience_s=patience_s)


def _reopen(url: str, patience_s: float, timeout_s: float) -> Store:
    return open_store(url, patience_s=patience_s, timeout_s=timeout_s)


def _client_options(allow_http: bool, patience_s: float, timeout_s: float) -> "ClientConfig":
    limit = max(min(timeout_s, patience_s), 0.1)
    return {
        "allow_http": allow_http,
        "connect_timeout": timedelta(seconds=min(limit, 10.0)),
        "timeout": timedelta(seconds=limit),
    }


def _persistent(patience_s: float) -> "RetryConfig":
    return {
        "max_retries": 10_000,
        "retry_timeout": timedelta(seconds=patience_s),
        "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=10), "base": 2},
    }


def _host(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.hostname}{port}" if parts.hostname else ""
