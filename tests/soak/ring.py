"""The nodes and mounts of a soak: started, disturbed and ended by their numbers; nothing else is touched."""
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import time

SAFETY_NET = 300  # Seconds. Against a hang; nothing is measured by it.


PR_SET_PDEATHSIG = 1
MNT_FORCE, MNT_DETACH = 1, 2
libc = ctypes.CDLL(None)


def start(command, output):
    """A process that does not outlive this one, should it be killed; signals of the terminal do not reach it.

    Only the main thread may start some.
    """
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))


class Failure(Exception):
    """The soak cannot go on, or has found what must not be."""


def wait_until(what, condition, seconds=SAFETY_NET):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"gave up waiting: {what}")
        time.sleep(0.05)


def free_port(address):
    """Below the range that outgoing connections take theirs from: a node that is killed finds its port free again."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
                return port
            except OSError:
                continue


class Node:
    """One place in the ring: an address, a port, a data directory, and now and then a process."""

    def __init__(self, ring, number):
        self.ring, self.number = ring, number
        self.address = ring.network.address(number)
        self.port = free_port("127.0.0.1")
        self.data = f"{ring.directory}/data/{number}.0"
        self.wipes = 0
        self.runs = 0
        self.process = None
        self.log = None
        self.joins_by = None  # Until it has served once.
        self.frozen = False

    @property
    def endpoint(self):
        return f"{self.address}:{self.port}"

    def running(self):
        return self.process is not None and self.process.poll() is None

    def launch(self, peer=None):
        """Without waiting. `peer`: a Node to join through."""
        self.joins_by = peer or self.joins_by
        self.runs += 1
        self.log = f"{self.ring.directory}/log/node-{self.number}.{self.runs}.log"
        command = [f"{self.ring.bin}/chordfs-node", str(self.port), *([self.joins_by.endpoint] if self.joins_by else []),
                   "--data", self.data, "--listen", self.address, *self.ring.node_options]
        with open(self.log, "wb") as log:
            self.process = start(self.ring.network.command(self.number, command), log)

    def serves(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            if " serving " not in f.read():
                return False
        self.joins_by = None
        return True

    def kill(self):
        """By SIGKILL; a frozen one dies too."""
        self.process.kill()
        self.process.wait()
        self.frozen = False

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)
        self.frozen = False

    def wipe(self, new_port):
        """Only when it is dead. From now on this is another node."""
        shutil.rmtree(self.data)
        self.wipes += 1
        self.data = f"{self.ring.directory}/data/{self.number}.{self.wipes}"
        if new_port:
            self.port = free_port("127.0.0.1")


class Mount:
    def __init__(self, ring, name):
        self.ring, self.name = ring, name
        self.at = f"{ring.directory}/mnt/{name}"
        os.makedirs(self.at)
        self.log = f"{ring.directory}/log/mount-{name}.log"
        with open(self.log, "wb") as log:
            self.process = start([f"{ring.bin}/chordfs-mount", self.at, "--via", ring.via(), "-f"], log)

    def wait(self):
        wait_until(f"mount {self.name} serves", lambda: self.mounted() or self.process.poll() is not None)
        if not self.mounted():
            raise Failure(f"mount {self.name} ended with code {self.process.returncode} instead of serving")

    def mounted(self):
        """Asks the kernel's table only: a stat of a mount whose server is stuck would not return."""
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            return any(line.split()[4] == self.at for line in f)

    def unmount(self):
        """Well: it must succeed, and the process end with 0."""
        def unmounted():
            return subprocess.run(["fusermount3", "-u", self.at], capture_output=True).returncode == 0
        wait_until(f"fusermount3 -u {self.name}", unmounted, 60)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            raise Failure(f"mount {self.name} was unmounted and does not end") from None
        if code:
            raise Failure(f"mount {self.name} ended with code {code}")

    def tear_down(self):
        """By force: that ends every call that waits for an answer, also one of the mount's own process."""
        if self.mounted() and libc.umount2(os.fsencode(self.at), MNT_FORCE | MNT_DETACH) != 0:
            subprocess.run(["fusermount3", "-uz", self.at], capture_output=True)
        if self.process.poll() is None:
            self.process.kill()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            print(f"cleaning up: mount {self.name}, process {self.process.pid}, does not go", flush=True)


class Ring:
    def __init__(self, network, directory, binaries, nodes, node_options):
        self.network, self.directory, self.bin, self.node_options = network, directory, binaries, node_options
        for part in ("data", "log", "mnt"):
            os.makedirs(f"{directory}/{part}")
        self.mounts = []
        self.nodes = [Node(self, number) for number in range(nodes)]

    def start(self):
        for node in self.nodes:
            node.launch(self.nodes[0] if node.number else None)
            wait_until(f"node {node.number} serves", lambda n=node: n.serves() or not n.running())
            if not node.running():
                raise Failure(f"node {node.number} ended instead of serving")

    def via(self):
        return ",".join(node.endpoint for node in self.nodes)

    def mount(self, name):
        mount = Mount(self, name)
        self.mounts.append(mount)  # First: whatever comes now, it is torn down.
        mount.wait()
        return mount

    def chordfs(self, *arguments, seconds=60):
        """(exit code, output) of the command; -1 when it hangs."""
        try:
            done = subprocess.run([f"{self.bin}/chordfs", *arguments, "--via", self.via()], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds)
            return done.returncode, done.stdout
        except subprocess.TimeoutExpired:
            return -1, f"chordfs {arguments[0]} does not return within {seconds} s"

    def whole(self):
        """All copies of all arcs are there and nothing is being filled."""
        return self.chordfs("status", "--json", seconds=20)[0] == 0

    def ask_whole(self):
        """The same as a process that ends with 0, for who cannot wait."""
        return start([f"{self.bin}/chordfs", "status", "--json", "--via", self.via()], subprocess.DEVNULL)

    def wait_whole(self):
        end = time.monotonic() + SAFETY_NET
        while not self.whole():
            if time.monotonic() > end:
                raise Failure("gave up waiting: all copies are there; status says\n" + self.chordfs("status")[1][-3000:])
            time.sleep(0.2)

    def log_problems(self):
        """Lines of nodes and mounts that no fault excuses."""
        found = []
        for name in sorted(os.listdir(f"{self.directory}/log")):
            with open(f"{self.directory}/log/{name}", encoding="utf-8", errors="replace") as f:
                found += [f"{name}: {line.strip()}" for line in f if "Sanitizer" in line or "bug at " in line]
        return found

    def stop(self):
        """Well: every process must end with 0."""
        for mount in self.mounts:
            mount.unmount()
        self.mounts = []
        for node in self.nodes:
            node.process.terminate()
            try:
                code = node.process.wait(60)
            except subprocess.TimeoutExpired:
                raise Failure(f"node {node.number} does not end after SIGTERM") from None
            if code:
                raise Failure(f"node {node.number} ended with code {code} after SIGTERM")

    def tear_down(self):
        """However things stand."""
        for mount in self.mounts:
            mount.tear_down()
        for node in self.nodes:
            if node.running():
                node.kill()
