"""What went wrong below, as an error of ours: what broke, where, and what to do about it.

Comes in: errors of the operating system and of obstore. Goes out: raised by each kind of store; a `StoreUnavailable`
may be tried again first.
"""

import errno
import re

from ..errors import (
    BadSignature,
    FireworksError,
    ObjectNotFound,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
)

__all__ = ["from_os", "from_remote", "not_found"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>|\(code: (\w+)\)")
_SIGNATURE_CODES = {
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
}
_FULL_CODES = {"InsufficientStorage", "QuotaExceeded", "StorageFull", "XMinioStorageFull"}
_BUSY_CODES = {"InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown"}
_BUSY_STATUS = {408, 409, 425, 429}
_NETWORK = re.compile(r"HTTP error|HttpError|reqwest|hyper")
# Where cloud machines hand out credentials; asked when the environment holds none.
_METADATA_SERVICE = re.compile(r"169\.254\.1[67]\d\.\d+|latest/api/token")


def not_found(url: str, key: str) -> ObjectNotFound:
    """The error for a key without an object."""
    return ObjectNotFound(
        f"an object must be there to be read, but {url} has no {key!r}. Check the store's URL, or write it again."
    )


def from_os(error: OSError, url: str, key: str) -> FireworksError:
    """The error for a failed file operation of a store on a local disk."""
    where = f"{key!r} of {url}: {error.strerror or error}"
    if error.errno in _FULL:
        return StoreFull(f"no space is left for {where}. Free some, raise the quota, or choose another store.")
    if error.errno in _DENIED:
        return StoreDenied(
            f"this user may not access {where}. Change the folder's permissions or choose another store."
        )
    if error.errno in _ABSENT:
        return not_found(url, key)
    return StoreError(f"the file system refused {where}. Check the disk, or choose another store.")


def from_remote(error: Exception, url: str, key: str, place: str) -> FireworksError:
    """The error for a failed request.

    Args:
        error: obstore's.
        url: The store's.
        key: What was asked for.
        place: The server, as a user would recognise it.
    """
    text = str(error)
    status, code = _answer(text)
    where = f"{key!r} of {url} at {place}" if key else f"{url} at {place}"
    said = f"{code or type(error).__name__}{f', {status}' if status else ''}"
    if code == "NoSuchBucket":
        return StoreError(f"the bucket must exist, but {place} has none for {url}. Create it, or correct the URL.")
    if code in _FULL_CODES or status == 507:
        return StoreFull(f"no space or quota is left for {where} ({said}). Free some, or raise the quota.")
    if code in _SIGNATURE_CODES or status == 401 or _METADATA_SERVICE.search(text):
        return BadSignature(
            f"credentials must be known to the server, but {where} was refused ({said if status else 'none are set'})."
            " Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and the clock."
        )
    if status == 403 or code == "AccessDenied":
        return StoreDenied(f"these credentials may not access {where} ({said}). Ask for the permission.")
    if code in _BUSY_CODES or status in _BUSY_STATUS or (status or 0) >= 500:
        return _unavailable(where, said)
    if isinstance(error, FileNotFoundError) or status == 404:
        return not_found(url, key)
    if status is None and _NETWORK.search(text):
        return _unavailable(where, _reason(text))
    said = said if status else text.partition("\n")[0]
    return StoreError(f"the server refused {where} ({said}). Check the store's URL and AWS_REGION.")


def _answer(text: str) -> tuple[int | None, str | None]:
    status, code = _STATUS.search(text), _CODE.search(text)
    return int(status[1]) if status else None, (code[1] or code[2]) if code else None


def _unavailable(where: str, said: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"the store must answer, but {where} did not ({said}). Check the network and AWS_ENDPOINT_URL, then run again."
    )


def _reason(text: str) -> str:
    # obstore appends its debug output, dozens of lines; the innermost kind says most.
    if "TimedOut" in text:
        return "timed out"
    if "kind: Connect" in text:
        return "no connection"
    return "connection lost"
