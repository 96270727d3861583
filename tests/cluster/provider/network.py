"""The bridge, the packet rules and the kernel settings of a node, and how they go again.

Comes in: addresses of `settings`. Goes out: a network in which pods reach the API server, S3 and the outside.
"""

import ipaddress
import json
import re
import shutil
from pathlib import Path

from .commands import run
from .interface import ClusterError
from .settings import API_PORT, BRIDGE, NODE_IP, POD_NETWORK, PROXY_PORTS, S3_PORT, SERVICE_IP, SERVICE_NETWORK

MARK = "fireworks-cluster"
_PORTS = f"{API_PORT},{S3_PORT},{PROXY_PORTS[0]}:{PROXY_PORTS[1]}"
# Table, chain, rule; in this order, before all rules of others. There is no kube-proxy: one rule stands for the one
# Service that pods need. Other Service addresses (a DNS server's) are refused at once, or each look-up took seconds.
RULES = (
    ("nat", "PREROUTING", f"-d {SERVICE_IP}/32 -p tcp --dport 443 -j DNAT --to-destination {NODE_IP}:{API_PORT}"),
    ("nat", "POSTROUTING", f"-s {POD_NETWORK} ! -o {BRIDGE} -j MASQUERADE"),
    ("filter", "FORWARD", f"-i {BRIDGE} -d {SERVICE_NETWORK} -j REJECT"),
    ("filter", "FORWARD", f"-i {BRIDGE} -j ACCEPT"),
    ("filter", "FORWARD", f"-o {BRIDGE} -j ACCEPT"),
    ("filter", "INPUT", f"-i {BRIDGE} -p tcp -m multiport --dports {_PORTS} -j ACCEPT"),
    ("filter", "INPUT", f"-i {BRIDGE} -m conntrack --ctstate NEW -j REJECT"),
)
# Pods are forwarded; the others are what a kubelet sets.
KERNEL = (
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def check_addresses() -> None:
    """Refuse a machine that uses the pods' addresses already."""
    ours = ipaddress.ip_network(POD_NETWORK)
    for route in json.loads(run("ip", "-json", "-4", "route", "show", "table", "all")):
        if route["dst"] == "default" or route.get("dev") == BRIDGE:
            continue
        if ipaddress.ip_network(route["dst"], strict=False).overlaps(ours):
            raise ClusterError(
                f"the addresses {POD_NETWORK} must be free for pods, but {route.get('dev', 'a route')} has"
                f" {route['dst']}. Take that interface down, or set CLUSTER=existing."
            )


def set_up(saved: Path) -> None:
    """Make the bridge and the rules; the kernel's settings before that go to a file."""
    if not saved.exists():
        values = {name: path.read_text(encoding="ascii") for name, path in _kernel_files().items()}
        saved.write_text(json.dumps(values), encoding="ascii")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    # With an address that is set: else it is the lowest of its pods', and changes with them, while they send to the one
    # that they have learnt, for up to a minute.
    run("ip", "link", "add", BRIDGE, "address", _link_address(NODE_IP), "type", "bridge")
    run("ip", "address", "add", f"{NODE_IP}/{POD_NETWORK.partition('/')[2]}", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    lines: dict[str, list[str]] = {}
    places: dict[tuple[str, str], int] = {}
    for table, chain, rule in RULES:
        place = places[table, chain] = places.get((table, chain), 0) + 1
        lines.setdefault(table, []).append(f"-I {chain} {place} -m comment --comment {MARK} {rule}")
    _restore(lines)


def _link_address(ip: str) -> str:
    """A locally administered one, by the address that it stands for, as CNI plugins make them."""
    return ":".join(["0a", "58", *(f"{int(part):02x}" for part in ip.split("."))])


def take_down(saved: Path) -> None:
    """Remove what carries our name or mark, and nothing else; what is not there is no error."""
    for link in json.loads(run("ip", "-json", "link", "show")):
        if link.get("master") == BRIDGE:
            # It goes by itself with its pod's namespace, perhaps a moment ago.
            run("sh", "-c", 'ip link delete "$1" 2>/dev/null || true', "sh", link["ifname"])
    if Path("/sys/class/net", BRIDGE).exists():
        run("ip", "link", "delete", BRIDGE)
    _restore(find_rules())
    if saved.exists():
        files = _kernel_files()
        for name, value in json.loads(saved.read_text(encoding="ascii")).items():
            if files[name].read_text(encoding="ascii") != value:
                files[name].write_text(value, encoding="ascii")
        saved.unlink()


def find_rules() -> dict[str, list[str]]:
    """Our rules as lines that delete them, by table."""
    found: dict[str, list[str]] = {}
    if shutil.which("iptables-save", path="/usr/sbin:/sbin:/usr/bin") is None:
        return found
    table = ""
    for line in run("iptables-save").splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif re.search(rf'--comment "?{MARK}"?( |$)', line):
            found.setdefault(table, []).append(re.sub("^-A", "-D", line))
    return found


def _restore(lines: dict[str, list[str]]) -> None:
    if lines:
        text = "".join(f"*{table}\n" + "".join(f"{line}\n" for line in lines[table]) + "COMMIT\n" for table in lines)
        run("iptables-restore", "--noflush", "--wait", "10", stdin=text)


def _kernel_files() -> dict[str, Path]:
    files = {name: Path("/proc/sys", name) for name in KERNEL}
    return {name: path for name, path in files.items() if path.exists()}
