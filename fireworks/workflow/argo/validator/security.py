"""Whether pods pass Pod Security *restricted*.

Source: the Pod Security Standards of Kubernetes 1.36. What is forbidden is an error; what is only missing is a warning,
since the controller's `workflowDefaults` may add it.

Comes in: templates, and the specification around them. Goes out: findings about security contexts and volumes.
"""

from typing import Any

from .findings import Findings, Place
from .leaves import containers_of
from .manifests import PODS, Manifest, type_of
from .reading import Json, entries, mapping, name_of, text

__all__ = ["check_pod_security", "check_spec_security"]

_VOLUMES = ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
_SECCOMP = ("RuntimeDefault", "Localhost")
_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
)
_APPARMOR = ("RuntimeDefault", "Localhost")
_SELINUX = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")


def check_spec_security(spec: Json, place: Place, found: Findings) -> None:
    """Check what a specification says for all of its pods."""
    if spec.get("hostNetwork") is True:
        found.add("security-forbidden", place, "`hostNetwork` must not be true", "true")
    _check_volumes(spec, place, found)
    _check_context(mapping(spec, "securityContext"), "securityContext", place, found)


def check_pod_security(template: Json, base: Manifest, place: Place, found: Findings) -> None:
    """Check the pod of a template."""
    if type_of(template) not in PODS:
        return
    _check_volumes(template, place, found)
    own, defaults = mapping(template, "securityContext"), mapping(base.spec, "templateDefaults")
    _check_context(own, "securityContext", place, found)
    pod = own or mapping(defaults, "securityContext") or mapping(base.spec, "securityContext")
    missing: dict[str, None] = {}
    for path, container in containers_of(template):
        kind = path if path in ("container", "script") else ""
        context = mapping(container, "securityContext") or mapping(defaults, kind, "securityContext")
        _check_container(container, path, place, found)
        missing |= dict.fromkeys(_missing(context, pod))
    if missing:
        found.add("security-missing", place, f"A pod should have {', '.join(missing)}")


def _missing(context: Json, pod: Json) -> list[str]:
    found = []
    if (pod if context.get("runAsNonRoot") is None else context).get("runAsNonRoot") is not True:
        found.append("`runAsNonRoot: true`")
    if text(context or pod, "seccompProfile", "type") == "" and text(pod, "seccompProfile", "type") == "":
        found.append("`seccompProfile.type: RuntimeDefault`")
    if context.get("allowPrivilegeEscalation") is not False:
        found.append("`allowPrivilegeEscalation: false`")
    if "ALL" not in _listed(mapping(context, "capabilities").get("drop")):
        found.append("`capabilities.drop: [ALL]`")
    return found


def _check_container(container: Json, path: str, place: Place, found: Findings) -> None:
    context = mapping(container, "securityContext")
    _check_context(context, f"{path}.securityContext", place, found)
    for key in ("privileged", "allowPrivilegeEscalation"):
        if context.get(key) is True:
            found.add("security-forbidden", place, f"`{path}.securityContext.{key}` must be false", "true")
    added = [name for name in _listed(mapping(context, "capabilities").get("add")) if name != "NET_BIND_SERVICE"]
    if added:
        rule = f"`{path}.securityContext.capabilities.add` may have NET_BIND_SERVICE alone"
        found.add("security-forbidden", place, rule, added)
    if text(context, "procMount") not in ("", "Default"):
        rule = f"`{path}.securityContext.procMount` must be Default"
        found.add("security-forbidden", place, rule, context["procMount"])
    for port in entries(container, "ports"):
        if port.get("hostPort"):
            found.add("security-forbidden", place, f"`{path}.ports` must not have `hostPort`", port["hostPort"])


def _check_context(context: Json, path: str, place: Place, found: Findings) -> None:
    if context.get("runAsNonRoot") is False:
        found.add("security-forbidden", place, f"`{path}.runAsNonRoot` must be true", "false")
    if context.get("runAsUser") == 0 and context.get("runAsUser") is not False:
        found.add("security-forbidden", place, f"`{path}.runAsUser` must not be 0", "0")
    for key, choices in (("seccompProfile", _SECCOMP), ("appArmorProfile", _APPARMOR)):
        kind = text(context, key, "type")
        if kind and kind not in choices:
            found.add("security-forbidden", place, f"`{path}.{key}.type` must be one of {', '.join(choices)}", kind)
    options = mapping(context, "seLinuxOptions")
    if text(options, "type") not in _SELINUX or options.get("user") or options.get("role"):
        found.add("security-forbidden", place, f"`{path}.seLinuxOptions` may set a container's type alone", options)
    for sysctl in entries(context, "sysctls"):
        if name_of(sysctl) not in _SYSCTLS:
            found.add("security-forbidden", place, f"`{path}.sysctls` may have safe ones alone", name_of(sysctl))
    if mapping(context, "windowsOptions").get("hostProcess") is True:
        found.add("security-forbidden", place, f"`{path}.windowsOptions.hostProcess` must be false", "true")


def _check_volumes(holder: Json, place: Place, found: Findings) -> None:
    for volume in entries(holder, "volumes"):
        wrong = [key for key, value in volume.items() if key != "name" and key not in _VOLUMES and value is not None]
        if wrong:
            rule = f"Volume {name_of(volume)} must be one of {', '.join(_VOLUMES)}"
            found.add("security-forbidden", place, rule, ", ".join(wrong))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
