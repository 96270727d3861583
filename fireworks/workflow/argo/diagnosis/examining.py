"""All checks in their order; what rests on one that failed is not asked.

Comes in: a `Case`. Goes out: one `Check` after the other, to ``fireworks doctor``.
"""

from collections.abc import Callable, Iterator

from ....errors import ClusterDenied, FireworksError
from . import accounts, cluster, controller, probe, storage
from .checks import Case, Check, Finding, failed, open_question

__all__ = ["CHECKS", "examine"]

# Name, what it rests on, and how it is found out.
CHECKS: tuple[tuple[str, tuple[str, ...], Callable[[Case], Finding]], ...] = (
    ("container engine", (), cluster.check_engine),
    ("kubeconfig", (), cluster.check_kubeconfig),
    ("API server", ("kubeconfig",), cluster.check_server),
    ("API server's clock", ("API server",), cluster.check_clock),
    ("namespace", ("API server",), cluster.check_namespace),
    ("Pod Security", ("namespace",), cluster.check_pod_security),
    ("Argo's schemas", ("API server",), cluster.check_schemas),
    ("rights to submit", ("API server",), accounts.check_submitter),
    ("Argo's controller", ("namespace", "Argo's schemas", "rights to submit"), controller.check_controller),
    ("controller's settings", ("API server",), controller.check_settings),
    ("controller's pace", ("API server",), controller.check_pace),
    ("account of stages", ("namespace",), accounts.check_stage),
    ("store's credentials", ("namespace",), storage.check_credentials),
    ("store's settings", ("namespace",), storage.check_settings),
    ("store", (), storage.check_store),
    ("store's clock", ("store",), storage.check_clock),
    ("image", ("namespace",), probe.check_image),
    ("store from a pod", ("image",), probe.check_store),
)


def examine(case: Case) -> Iterator[Check]:
    """Ask one thing after the other.

    A check fails on an error, whatever it is, except where we may not look: that says nothing about what is there.
    """
    unasked: set[str] = set()
    for name, needed, check in CHECKS:
        missing = [other for other in needed if other in unasked]
        if missing:
            finding = open_question(f"not asked: rests on {' and '.join(missing)}")
        else:
            finding = _asked(check, case)
        if missing or finding.ok is False:
            unasked.add(name)
        yield Check(name, finding.ok, finding.detail, finding.remedy)


def _asked(check: Callable[[Case], Finding], case: Case) -> Finding:
    try:
        return check(case)
    except ClusterDenied as error:
        return open_question(f"not for us to see: needs the right to {error.verb} {error.resource}")
    except FireworksError as error:
        return failed(error)
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return failed(f"the answer is not understood ({said})", "Look at it with kubectl, and tell us of it")
