"""Which attempts are made again, as Argo's `retryStrategy`.

What Argo reports of an attempt, seen on 3.7.18 (docs/argo.md): status, the exit code of the main container as a text,
"-1" where it has none, and a message.

Comes in: how often. Goes out: a Hera model, to `fireworks.workflow.argo.templates`.
"""

from hera.workflows import models as m

__all__ = ["EXPRESSION", "retry_strategy"]

# 75 of the stage entrypoint: transient. 64 and 65: Argo's executor. 137, 143: killed, terminated. -1: no container
# ended, because the pod was deleted or evicted.
_LOST = ("-1", "64", "65", "75", "137", "143")
# Aborted, segmentation fault: once.
_CRASHED = ("134", "139")
# Would end so again: more memory than asked for, and longer than the timeout.
_FINAL = ("OOMKilled", "longer than the specified deadline")

_MAY_END_WELL = (
    f"lastRetry.status == 'Error' || lastRetry.exitCode in {list(_LOST)}"
    f" || (lastRetry.exitCode in {list(_CRASHED)} && asInt(retries) < 1)"
)
EXPRESSION = " && ".join([*(f"!(lastRetry.message contains '{text}')" for text in _FINAL), f"({_MAY_END_WELL})"])


def retry_strategy(retries: int) -> m.RetryStrategy | None:
    """At most `retries` further attempts; None if there are none, which saves Argo a node.

    The wait comes before the expression, so it delays the news of an error that is not retried: it is a second, then
    four, sixteen.
    """
    if retries < 1:
        return None
    return m.RetryStrategy(
        limit=m.IntOrString(root=retries),
        retry_policy="Always",
        expression=EXPRESSION,
        backoff=m.Backoff(duration="1s", factor=m.IntOrString(root=4)),
    )
