"""What happens to the nodes: chosen by a seed, one after another, now and then two at once.

    kill   SIGKILL, started again after 0.2 to 5 s        stop   SIGSTOP for up to 8 s
    cut    its link is down for up to 8 s                 all    every node killed at once, each started again after 0.2 to 5 s
    wipe   SIGKILL, its data directory deleted, started as a new node that joins through another; on its old address or
           another. Only when nothing else is disturbed and `chordfs status` says that all copies are there: f = 1

A node counts as disturbed until its process serves and `chordfs status` has said that all copies of all arcs are there and
caught up: before that the next fault may hit the second of an arc's three members. Two are disturbed at once now and then.

Driven by `step`, often; no threads. A node that ends although nobody killed it is counted in `crashes`, and started again.
"""
import random
import time

WEIGHTS = {"kill": 40, "stop": 20, "cut": 20, "wipe": 12, "all": 4}
OVERLAP = 0.25  # How often a fault may begin while another one lasts: then some arcs may have no majority.
PAUSE_MAX = 5.0
DOWN = (0.2, 5.0)
LASTS_MAX = 8.0
CALL = 5.0  # For so long after that a call may still suffer from it.


class Nemesis:
    def __init__(self, ring, seed, kinds, say):
        self.ring, self.dice, self.say = ring, random.Random(seed), say
        self.kinds = {kind: weight for kind, weight in WEIGHTS.items() if kind in kinds}
        if not ring.network.can_cut:
            self.kinds.pop("cut", None)
        self.counts = dict.fromkeys(WEIGHTS, 0)
        self.refused_wipes = 0
        self.crashes = []
        self.heals = []  # (when, node, what)
        self.disturbed = set()  # Numbers of nodes that something is done to at the moment.
        self.starting = set()  # Launched, do not serve yet.
        self.behind = set()  # Serve again; what they missed may not be there yet.
        self.question = None  # (process, those it is asked of)
        self.next_at = time.monotonic() + 2
        self.trouble_until = 0.0  # More than one node at a time had something done to it, or was coming back, until then.

    def step(self, attack=True):
        now = time.monotonic()
        for heal in [h for h in self.heals if h[0] <= now]:
            self.heals.remove(heal)
            self._heal(heal[1], heal[2])
        self._look_after_nodes()
        self._look_who_caught_up()
        if len(self.busy()) > 1:
            self.trouble_until = now + CALL
        if attack and self.kinds and now >= self.next_at:
            self._attack(now)

    def busy(self):
        return self.disturbed | self.starting | self.behind

    def calm(self):
        """At most one node is disturbed, and has been for so long that no call remembers another."""
        return time.monotonic() >= self.trouble_until

    def quiet(self):
        return not self.heals and not self.disturbed and not self.starting

    def heal_everything(self):
        """Ends every fault now."""
        for _, node, what in self.heals:
            self._heal(node, what)
        self.heals = []

    def _attack(self, now):
        self.next_at = now + self.dice.uniform(0.5, PAUSE_MAX)
        busy = self.busy()
        free = [node for node in self.ring.nodes if node.number not in busy]
        if not free or len(busy) > 1 or busy and self.dice.random() > OVERLAP:
            return
        kind = self.dice.choices(list(self.kinds), list(self.kinds.values()))[0]
        node = self.dice.choice(free)
        if kind == "wipe" and (busy or not self._wipe(node)):
            self.refused_wipes += 1
            return
        self.counts[kind] += 1
        match kind:
            case "kill":
                node.kill()
                self._later(now, node, "start", self.dice.uniform(*DOWN))
            case "stop":
                node.freeze()
                self._later(now, node, "thaw", self.dice.uniform(0.2, LASTS_MAX))
            case "cut":
                self.ring.network.cut(node.number)
                self._later(now, node, "mend", self.dice.uniform(0.2, LASTS_MAX))
            case "all":
                self._kill_all(now)

    def _later(self, now, node, what, seconds):
        self.disturbed.add(node.number)
        self.heals.append((now + seconds, node, what))
        self.say(f"{what if what != 'join' else 'wipe, join'} of node {node.number} in {seconds:.1f} s", detail=True)

    def _kill_all(self, now):
        for node in self.ring.nodes:  # First the signals alone: as nearly at once as it goes.
            if node.running():
                node.process.kill()
        for node in self.ring.nodes:
            node.process.wait()
            node.frozen = False
            planned = [heal for heal in self.heals if heal[1] is node]
            self.heals = [heal for heal in self.heals if heal[1] is not node]
            if any(what == "mend" for _, _, what in planned):
                self._heal(node, "mend")
            self.starting.discard(node.number)
            self._later(now, node, "start", self.dice.uniform(*DOWN))

    def _wipe(self, node):
        if not self.ring.whole():
            return False
        node.kill()
        node.wipe(new_port=node.number > 0 and self.dice.random() < 0.5)  # The first keeps its address: mounts enter by it.
        self._later(time.monotonic(), node, "join", self.dice.uniform(*DOWN))
        return True

    def _heal(self, node, what):
        self.disturbed.discard(node.number)
        self.behind.add(node.number)
        match what:
            case "start":
                node.launch()
                self.starting.add(node.number)
            case "join":
                self._join(node)
            case "thaw":
                if node.running():
                    node.thaw()
            case "mend":
                self.ring.network.mend(node.number)

    def _join(self, node):
        others = [n for n in self.ring.nodes if n is not node and n.running() and n.number not in self.disturbed]
        if not others:  # The whole ring is down: a little later.
            self._later(time.monotonic(), node, "join", 0.5)
            return
        node.launch(self.dice.choice(others))
        self.starting.add(node.number)

    def _look_after_nodes(self):
        """Notes who serves again, and who ended without having been killed."""
        planned = {node.number for _, node, what in self.heals if what in ("start", "join")}
        for node in self.ring.nodes:
            if node.number in planned:
                continue
            if node.running():
                if node.number in self.starting and node.serves():
                    self.starting.discard(node.number)
                continue
            self.starting.discard(node.number)
            if node.joins_by and node.process.returncode == 3:
                self._later(time.monotonic(), node, "join", 0.5)  # Whom it was to join through was being disturbed.
                continue
            self.crashes.append(f"node {node.number} ended with code {node.process.returncode}: {node.log}")
            self.say(self.crashes[-1])
            self._later(time.monotonic(), node, "start", 1.0)

    def _look_who_caught_up(self):
        if self.question:
            process, asked_of = self.question
            if process.poll() is None:
                return
            self.question = None
            # What was disturbed meanwhile may have been looked at before.
            if process.returncode == 0 and not self.disturbed and not self.starting:
                self.behind -= asked_of
        if self.behind and not self.disturbed and not self.starting:
            self.question = self.ring.ask_whole(), set(self.behind)
