"""Scene 2: one pod has spent the node's NAT range, another suffers.

Four network namespaces: two pods, report and checkout; the node, which forwards for them and gives them one address
and a few ports (nftables); and what lies outside, which knows that address alone. porttrace watches both pods.
"""

import collections
import os
import re

from pods import Container, add_container
from scene import SceneSkipped, failures, owner, say, serve, stop, watch
from stage import NAME, DemoError

SERVICE, OTHER, SILENT = "203.0.113.10:8080", "203.0.113.20:8080", "203.0.113.30:8080"
PODS = {
    "report": Container("batch", "report-29381640-7hq2c", "export"),
    "checkout": Container("shop", "checkout-7d9f6c8b5-kx2vq", "web"),
}
ADDRESSES = {"report": "10.30.1.2", "checkout": "10.30.2.2"}
NAMESPACES = ",".join(container.namespace for container in PODS.values())
NAT, OUTER = "192.0.2.1", "192.0.2.254"  # the node's address outside, and who is there
RANGE = (40000, 40059)
PORTS = RANGE[1] - RANGE[0] + 1  # under 128: the kernel tries every one before it gives up
SNAT = f"snat to {NAT}:{RANGE[0]}-{RANGE[1]}"
RULES = f"""
table ip nat {{
    chain postrouting {{
        type nat hook postrouting priority srcnat
        oifname "outside" meta l4proto tcp {SNAT}
    }}
}}
"""
REQUESTS, EVERY_S = 5, 0.3
SHORT_S, LONG_S = 1.5, 30  # how long a request may take: one that is to time out, one that is to be answered
LEAST_ROOM = 1000  # entries that conntrack must allow: the scene makes some 70, and a full table is another failure
ANSWERED, TIMED_OUT = 0, 28  # curl's exit status
TYPES = ("snat_exhausted", "conntrack_insert_failed")


def build(stage):
    for place in ("outside", "node", *PODS):
        stage.add_namespace(place)
    for group in ("outside", "tools"):
        stage.add_cgroup(group)
    for place, container in PODS.items():
        add_container(stage, place, container)
    translate(stage)
    stage.set_sysctl("node", "net.ipv4.ip_forward", "1")
    stage.ip("node", f"link add outside type veth peer name node netns {NAME}-outside")
    stage.ip("node", f"address add {NAT}/24 dev outside", "link set outside up")
    for pod, address in ADDRESSES.items():
        gateway = address.rsplit(".", 1)[0] + ".1"
        stage.ip("node", f"link add {pod} type veth peer name eth0 netns {NAME}-{pod}")
        stage.ip("node", f"address add {gateway}/24 dev {pod}", f"link set {pod} up")
        stage.ip(pod, f"address add {address}/24 dev eth0", "link set eth0 up", f"route add default via {gateway}")
    stage.ip("outside", f"address add {OUTER}/24 dev node", "link set node up")
    stage.ip("outside", *(f"address add {host(server)}/32 dev lo" for server in (SERVICE, OTHER)))
    stage.ip("outside", f"route add blackhole {host(SILENT)}/32")
    stage.ip("node", f"route add 203.0.113.0/24 via {OUTER}")


def host(server):
    return server.split(":")[0]


def translate(stage):
    """Source NAT in the node's namespace, where this kernel has it, with the counters and the table to look at."""
    try:
        stage.execute("node", "nft", "-f", "-", text=RULES)
        insert_failed(stage)
        entries(stage)
        room = int(stage.execute("node", "cat", "/proc/sys/net/netfilter/nf_conntrack_max"))
    except DemoError as error:
        raise SceneSkipped(f"no NAT or no conntrack in /proc here ({str(error).splitlines()[0]})") from None
    if 0 < room < LEAST_ROOM:
        raise SceneSkipped(f"conntrack has little room on this machine: net.netfilter.nf_conntrack_max is {room}")


def insert_failed(stage):
    """The node's own counter of flows that died for want of an entry in its table, over all CPUs."""
    header, *rows = stage.execute("node", "cat", "/proc/net/stat/nf_conntrack").splitlines()
    column = header.split().index("insert_failed")
    return sum(int(row.split()[column], 16) for row in rows)


def entries(stage):
    """The node's conntrack table: a line for each flow, its tuple as sent, then as the answer must come."""
    return stage.execute("node", "cat", "/proc/net/nf_conntrack").splitlines()


def holders(stage):
    """Who holds the NAT ports towards the service: pod → how many."""
    held = collections.Counter()
    names = {address: pod for pod, address in ADDRESSES.items()}
    for entry in entries(stage):
        source, destination = re.findall(r"(?:src|dst)=(\S+)", entry)[:2]
        if destination == host(SERVICE) and "ESTABLISHED" in entry:
            held[names[source]] += 1
    return held


def fetch_archive(stage):
    """As many slow downloads at once as the range has ports, of the one service."""
    with open(os.devnull, "wb") as nowhere:
        command = ("curl", "-s", "-Z", "--parallel-immediate", "--parallel-max", PORTS, "-o", os.devnull)
        pages = f"http://{SERVICE}/archive/[1-{PORTS}]"
        report = stage.start(*command, pages, cgroup="report", place="report", stdout=nowhere, stderr=nowhere)
    full = {"report": PORTS}
    stage.wait_until(lambda: report.poll() is not None or holders(stage) == full, "report's downloads")
    if report.poll() is not None:
        raise DemoError(f"report's curl ended with status {report.returncode}")


def call(stage):
    """Its requests: to the service, to another beside it, and one to where nobody answers; those that failed."""
    to_service, failed = [], dict.fromkeys((SERVICE, OTHER, SILENT), 0)
    to_silent = request(stage, SILENT, SHORT_S)
    for _ in range(REQUESTS):
        to_service.append(request(stage, SERVICE, SHORT_S))
        failed[OTHER] += ended(stage, request(stage, OTHER, LONG_S))
        stage.pause(EVERY_S)
    failed[SERVICE] = sum(ended(stage, process) for process in to_service)
    failed[SILENT] = ended(stage, to_silent)
    return failed


def request(stage, server, limit_s):
    with open(os.devnull, "wb") as nowhere:
        command = ("curl", "-s", "--max-time", limit_s, f"http://{server}/")
        return stage.start(*command, cgroup="checkout", place="checkout", stdout=nowhere, stderr=nowhere)


def ended(stage, process):
    """Whether the request timed out."""
    status = stage.finish(process, "curl")
    if status not in (ANSWERED, TIMED_OUT):
        raise DemoError(f"checkout's curl was to be answered or to time out, and ended with status {status}")
    return status == TIMED_OUT


def counted(stage):
    """(pod, destination, type) → failures, summed over porttrace's NDJSON lines."""
    counts = collections.Counter()
    for event in failures():
        to = "{addr}:{port}".format(**event["dst"])
        counts[owner(stage, event, PODS), to, event["type"]] += event["count"]
    return counts


def introduce():
    report, checkout = (f"{container.full_pod:<29}" for container in PODS.values())
    say(f"""

        SCENE 2: A NAT RANGE SPENT

        Two pods behind a node, which sends both out from one address and {PORTS} ports (nftables: {SNAT}):

          {report}  {PORTS} slow downloads at once from {SERVICE}, outside
          {checkout}  a short request to {SERVICE} now and then, as many to {OTHER},
          {"":<29}  and one to {SILENT}, where nobody answers

        report's downloads are under way. porttrace is asked for --namespace {NAMESPACES}:
    """)


def conclude(held, failed, moved, counts):
    exhausted = counts["checkout", SERVICE, "snat_exhausted"]
    total = sum(counts.values())
    races = f" ({total - exhausted} of them as races: it could not tell)" if exhausted < total else ""
    say(f"""

        What to see in it:

          Who     {PODS["checkout"].full_name} suffers: {failed[SERVICE]} of its {REQUESTS} requests to {SERVICE}
                  timed out, and it holds {held["checkout"]} connections there. curl can only say that it waited in vain.
          Where   {SERVICE}: all {PORTS} NAT ports of {NAT} towards it are held, {held["report"]} of them by
                  {PODS["report"].full_pod} (the node's /proc/net/nf_conntrack), which itself notices nothing.
          Not     checkout's {REQUESTS} requests to {OTHER}, through the same NAT: {failed[OTHER]} failed. The range counts
                  for each destination anew.
          Not     its request to {SILENT}, which timed out too: NAT let it out, nobody answered.
          Cure    in report: fewer connections, and used again. On the node: a wider range, or more NAT addresses.

        Reconciled: the node's own counter insert_failed rose by {moved}, porttrace counted {total}{races}. Both count packets:
        a request that gets no answer tries again after a second.
    """)
    if (held["report"], failed) != (PORTS, {SERVICE: REQUESTS, OTHER: 0, SILENT: 1}):
        raise DemoError(f"the scene went wrong: held {dict(held)}, failed {failed}")
    strangers = [key for key in counts if key[:2] != ("checkout", SERVICE) or key[2] not in TYPES]
    if strangers or total != moved or not exhausted:
        raise DemoError(f"porttrace's counts {dict(counts)} are not what happened")


def perform(stage, porttrace):
    build(stage)
    serve(stage, "outside")
    fetch_archive(stage)
    before = insert_failed(stage)
    introduce()
    watchers, said = watch(stage, porttrace, NAMESPACES)
    print(said, flush=True)
    if found := re.search(r"conntrack=(none.*?)(?: \w+=|$)", said, re.MULTILINE):
        stop(stage, watchers)
        raise SceneSkipped(f"porttrace cannot see conntrack here: {found[1]}")
    failed = call(stage)
    stage.pause(1)
    held, moved = holders(stage), insert_failed(stage) - before
    stop(stage, watchers)
    conclude(held, failed, moved, counted(stage))
