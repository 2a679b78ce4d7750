#!/usr/bin/env python3
"""Real nodes disturbed at random for minutes while two mounts write; at the end everything acknowledged must be there.

    tests/soak/soak.py [--minutes 15] [--seed N]         as root, for network namespaces; else without link cuts

Five nodes, two mounts, three writers (writer.py) on each, which log what was acknowledged on a tmpfs outside the ring
(manifest.py); nemesis.py says what is done to the nodes. At the end everything is healed, every name of every log is
compared through a fresh mount, and `chordfs verify` compares the copies. The seed decides the faults and what is
written; not, of course, when threads run.

Exit codes: 0 nothing was lost; 1 something was, or a process ended by itself, a read was wrong, or the ring did not heal;
2 wrong command line. Whatever happens, processes, mounts, namespaces and files go (--keep: the files stay after a failure).
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
from manifest import Model  # noqa: E402
from nemesis import WEIGHTS, Nemesis  # noqa: E402
from network import make_network  # noqa: E402
from ring import Failure, Ring, wait_until  # noqa: E402
from writers import Writers  # noqa: E402

NODES = 5
PROGRESS_EVERY = 10


def parse_options():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seconds", type=float, help="instead of --minutes")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--bin", default=os.environ.get("CHORDFS_BIN", os.path.join(here, "../../build/bin")))
    parser.add_argument("--directory", help="for data and logs; made, and removed at the end (default: below /var/tmp)")
    parser.add_argument("--writers", type=int, default=3, help="on each of the two mounts")
    parser.add_argument("--faults", default=",".join(WEIGHTS), help="of: " + ", ".join(WEIGHTS) + "; or none")
    parser.add_argument("--node-options", default=os.environ.get("CHORDFS_NODE_OPTIONS", ""),
                        help="more arguments of every chordfs-node, for example how soon a dead node is replaced")
    parser.add_argument("--loopback", action="store_true", help="no network namespaces")
    parser.add_argument("--strict", action="store_true", help="an error while at most one node is disturbed is a failure")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="say every fault")
    options = parser.parse_args()
    options.duration = options.seconds if options.seconds is not None else options.minutes * 60
    options.kinds = [] if options.faults == "none" else options.faults.split(",")
    unknown = set(options.kinds) - set(WEIGHTS)
    if unknown:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    options.bin = os.path.abspath(options.bin)
    return options


class Soak:
    def __init__(self, options):
        self.options = options
        self.started = time.monotonic()
        self.problems = []
        self.late = 0.0  # How long this process was kept from running: the machine's fault, not the ring's.
        self.network = self.ring = self.writers = self.nemesis = None
        if options.directory:
            os.makedirs(options.directory)
            self.directory = os.path.abspath(options.directory)
        else:
            self.directory = tempfile.mkdtemp(prefix="chordfs-soak.", dir="/var/tmp")  # A disk: what nodes will have.
        # Memory of this machine, not of the ring.
        self.outside = tempfile.mkdtemp(prefix="chordfs-soak.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)

    def say(self, text, detail=False):
        if not detail or self.options.verbose:
            print(f"{time.monotonic() - self.started:6.1f} s  {text}", flush=True)

    def problem(self, text):
        self.problems.append(text)
        self.say(f"FAILED: {text}")

    def run(self):
        options = self.options
        self.say(f"seed {options.seed}, {options.duration:.0f} s, faults: {', '.join(options.kinds) or 'none'}")
        self.network = make_network(NODES, options.loopback)
        self.say(self.network.note)
        self.ring = Ring(self.network, self.directory, options.bin, NODES, options.node_options.split())
        self.ring.start()
        mounts = [self.ring.mount(name) for name in ("one", "two")]
        self.ring.wait_whole()
        self.say(f"{NODES} nodes, two mounts, all copies there")
        self.writers = Writers(mounts, self.outside, options.writers, options.seed, self.say)
        self.nemesis = Nemesis(self.ring, options.seed, options.kinds, self.say)
        self.chaos()
        self.heal()
        self.verify()

    def chaos(self):
        end, next_progress = time.monotonic() + self.options.duration, time.monotonic() + PROGRESS_EVERY
        while time.monotonic() < end:
            self.nemesis.step()
            self.watch()
            if time.monotonic() >= next_progress:
                next_progress += PROGRESS_EVERY
                self.say(self.progress())
            due = time.monotonic() + 0.05
            time.sleep(0.05)
            self.late = max(self.late, time.monotonic() - due)

    def watch(self):
        """What must run does run; which errors of writers came while at most one node was disturbed."""
        self.writers.read_logs(calm=self.nemesis.calm())
        for mount in self.ring.mounts:
            if mount.process.poll() is not None:
                raise Failure(f"mount {mount.name} ended by itself with code {mount.process.returncode}")
        self.writers.must_run()

    def heal(self):
        self.nemesis.heal_everything()

        def quiet():
            self.nemesis.step(attack=False)
            self.watch()
            return self.nemesis.quiet()
        wait_until("every node serves again", quiet)
        self.say("healed: every node serves")
        before = self.writers.acked

        def work_goes_on():
            self.nemesis.step(attack=False)
            self.watch()
            return self.writers.acked >= before + 20
        wait_until("writers get on", work_goes_on)
        self.writers.stop()
        self.ring.wait_whole()
        self.say("writers have ended; all copies there")

    def verify(self):
        fresh = self.ring.mount("fresh")
        names = 0
        for writer in self.writers.all:
            model = Model.replay(writer.manifest)

            def read(path, top=f"{fresh.at}/{writer.name}"):
                try:
                    with open(f"{top}/{path}", "rb") as f:
                        return f.read()
                except FileNotFoundError:
                    return None
            for why in model.wrong:
                self.problem(f"writer {writer.name} saw: {why}")
            names += len(model.names) + len(model.moves)
            for path, why in model.check(read):
                self.writers.lost += 1
                self.problem(f"LOST {writer.name}/{path}: {why}")
        self.say(f"{names} names compared through a fresh mount")
        if not self.writers.acked:
            self.problem("not one operation was acknowledged")
        code, output = self.ring.chordfs("verify", seconds=300)
        # A block that was dropped while a member was away may stay there, and be no loss, until members compare again.
        garbage = [line for line in output.splitlines() if " lacks block " in line]
        rest = [line for line in output.splitlines() if line.startswith("arc ") and line not in garbage]
        if code and rest:
            self.problem(f"chordfs verify ended with code {code}: {output[-2000:]}")
        else:
            self.say("chordfs verify: " + (output.strip().splitlines() or ["nothing said"])[-1])
        self.ring.stop()
        for line in self.ring.log_problems():
            self.problem(line)

    def progress(self):
        counts, writers = self.nemesis.counts, self.writers
        return (f"{counts['kill']} kills, {counts['stop']} stops, {counts['cut']} cuts, {counts['wipe']} wipes, "
                f"{counts['all']} whole-ring kills; {writers.acked} acknowledged operations, {writers.failed} failed, "
                f"{writers.failed_reads} failed reads; while at most one node was disturbed {writers.calm_errors} errors, "
                f"longest call {writers.calm_longest[0]} s ({writers.calm_longest[1]})")

    def report(self):
        if not self.nemesis:
            return
        for crash in self.nemesis.crashes:
            self.problem(f"ended without being killed: {crash}")
        if self.options.strict and self.writers.calm_errors:
            self.problem(f"{self.writers.calm_errors} errors while at most one node was disturbed")
        self.say(f"{self.writers.reads()} reads compared; longest call of all {self.writers.longest[0]} s "
                 f"({self.writers.longest[1]}); {self.nemesis.refused_wipes} wipes not made, because copies were missing")
        print(f"soak: seed {self.options.seed}, {self.options.duration:.0f} s: {self.progress()}; losses: {self.writers.lost}; "
              f"the machine itself was {self.late:.2f} s late at most",
              flush=True)

    def clean_up(self):
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)
        for what in (self.writers and self.writers.kill, self.ring and self.ring.tear_down, self.network and self.network.close):
            try:
                if what:
                    what()
            except Exception as e:  # The others must still go.
                print(f"cleaning up: {type(e).__name__}: {e}", file=sys.stderr)
        if self.problems and self.options.keep:
            print(f"kept: {self.directory} {self.outside}")
            return
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(self.outside, ignore_errors=True)

    def show_logs(self):
        for name in sorted(os.listdir(f"{self.directory}/log"))[-40:] if self.ring else []:
            print(f"---- {name}, its last lines", file=sys.stderr, flush=True)
            subprocess.run(["tail", "-n", "12", f"{self.directory}/log/{name}"], stdout=sys.stderr)


def enter_private_mounts(seed):
    """Starts again in a mount namespace of its own: a copy of our mounts in somebody else's would keep them from ending."""
    command = ["unshare", "--mount", "--propagation", "private"]
    if "CHORDFS_SOAK_INSIDE" in os.environ:
        return
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True).returncode:
        return  # Not as root: the ordinary namespace does, while nobody copies it.
    os.environ["CHORDFS_SOAK_INSIDE"] = "yes"
    os.execvp("unshare", [*command, sys.executable, *sys.argv, "--seed", str(seed)])


def interrupted(signum, _):
    raise Failure(f"interrupted by signal {signum}")


def main():
    options = parse_options()
    enter_private_mounts(options.seed)
    for program in ("chordfs-node", "chordfs-mount", "chordfs"):
        if not os.access(f"{options.bin}/{program}", os.X_OK):
            sys.exit(f"{options.bin}/{program} is missing: build first, or set CHORDFS_BIN")
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, interrupted)
    soak = Soak(options)
    try:
        try:
            soak.run()
        except Failure as e:
            soak.problem(str(e))
        except Exception as e:  # A fault of the soak's own is no proof of anything: not 0 either.
            soak.problem(f"{type(e).__name__}: {e}")
            raise
        finally:
            soak.report()
            if soak.problems:
                soak.show_logs()
    finally:
        soak.clean_up()
    sys.exit(1 if soak.problems else 0)


main()
