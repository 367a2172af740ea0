"""Questions to a name server that lose a race.

Two questions of one socket have been merged since v5.7: 6a757c07e51f ("netfilter: conntrack: allow insertion of
clashing entries"). What dies is the one whose translated port another took at the same moment.
"""

import os

from robust.lab import Skip, case, check
from track.lab import OUTER4
from track.races import DELAY, colliding

from .judge import Expected
from .stage import conclude

PORT, QUESTIONS = 53, 3000
RULES = f"""table inet races {{
chain post {{
type nat hook postrouting priority 100;
oifname out udp dport {PORT} masquerade
}}
chain delay {{
type filter hook postrouting priority 200;
%s
}}
}}
"""


@case
def dns_race(lab):
    """Two pods ask one server from the same source port."""
    if (os.cpu_count() or 1) < 2:
        raise Skip("two CPUs are needed")
    lab.build("p1", "p2")
    lab.track()
    node = lab.nets["node"]
    node.nft(RULES % DELAY)
    lab.worker("agent", "node")

    def ask():
        """How many of the questions were lost."""
        before = node.counters()["insert_failed"]
        crowd = lab.crowd(*colliding("udp", 4, PORT), total=QUESTIONS)
        crowd.start()
        crowd.outcomes()
        sent = sum(sender.sent for sender, _ in crowd.members)
        crowd.close()
        check(sent == QUESTIONS, f"{sent} questions were sent")
        lost.append(node.counters()["insert_failed"] - before)

    def attempt():
        """With random ports two flows choose one out of 64,512."""
        node.run("conntrack", "-F")
        ask()
        return {"ok": QUESTIONS} if lost[-1] * 20 <= lost[0] else {"lost": lost[-1]}

    lost = []
    verdict = lab.check(meanwhile=ask)
    if not lost[0]:
        raise Skip("no race was lost here")
    lab.note(f"{lost[0]} of {QUESTIONS} lost")
    wanted = Expected(
        "conntrack_insert_failed", place="node",
        words=("DNS", rf"\b{lost[0]:,}\b", f"source-NATed, most to {OUTER4}", "--random-fully"),
    )  # fmt: skip
    judge = conclude(lab, verdict, wanted, attempt=attempt)
    for finding in judge.mine(verdict):
        told = sum(holder["count"] for holder in finding["victims"])
        judge.real, judge.seen = lost[0], told
        if told > lost[0]:
            judge.problem(f"{told} victims of {lost[0]} races")
        for fix in finding["fixes"]:
            words = " ".join(map(str, fix.values()))
            if "NOTRACK" in words.upper():
                judge.problem(f"NOTRACK is offered for flows that are translated: {fix}")
            if "single-request-reopen" in words:
                judge.problem(f"questions of two pods are no matter of their sockets: {fix}")
    return judge
