"""Where the nodes live: each in a network namespace of its own, all on one bridge; or, where that is not permitted, all on 127.0.0.1.

The host (and so the mounts) is on the bridge as .1, node i is .11 + i. A link is cut by taking the host's end of its
cable down: then nothing passes in either direction, and nobody is told.
Names carry the number of this process; what a killed soak left behind is removed by the next one.
"""
import os
import re
import subprocess


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True)


class Loopback:
    """No links to cut."""
    can_cut = False
    note = "network namespaces are not permitted here: all nodes on 127.0.0.1, and no link is cut"

    def __init__(self, why):
        self.note = f"{self.note} ({why})"

    def address(self, _):
        return "127.0.0.1"

    def command(self, _, command):
        return command

    def close(self):
        pass


class Namespaces:
    can_cut = True

    def __init__(self, nodes):
        self.tag = f"cf{os.getpid()}"
        self.bridge = f"{self.tag}b"
        self.made = []
        self.subnet = free_subnet()
        self.note = f"{nodes} network namespaces on the bridge {self.bridge}, {self.subnet}.0/24"
        try:
            ip("link", "add", self.bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0")
            ip("addr", "add", f"{self.subnet}.1/24", "dev", self.bridge)
            ip("link", "set", self.bridge, "up")
            for number in range(nodes):
                self._add(number)
        except BaseException:
            self.close()
            raise

    def _add(self, number):
        space, outer = self.space(number), self.cable(number)
        ip("netns", "add", space)
        self.made.append(space)
        ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("link", "set", outer, "master", self.bridge, "up")
        ip("-n", space, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
        ip("-n", space, "link", "set", "lo", "up")
        ip("-n", space, "link", "set", "eth0", "up")

    def space(self, number):
        return f"{self.tag}n{number}"

    def cable(self, number):
        return f"{self.tag}v{number}"

    def address(self, number):
        return f"{self.subnet}.{11 + number}"

    def command(self, number, command):
        # Not `ip netns exec`: that also copies the mounts, and a mount of ours could then not end while the node runs.
        return ["nsenter", f"--net=/run/netns/{self.space(number)}", "--", *command]

    def cut(self, number):
        ip("link", "set", self.cable(number), "down")

    def mend(self, number):
        ip("link", "set", self.cable(number), "up")

    def close(self):
        for space in self.made:
            ip("netns", "del", space, check=False)  # Its end of the cable goes, and with it the other.
        self.made = []
        ip("link", "del", self.bridge, check=False)


def free_subnet():
    taken = ip("-4", "addr").stdout + ip("-4", "route").stdout
    for third in range(256):
        subnet = f"10.213.{third}"
        if f"{subnet}." not in taken:
            return subnet
    raise OSError("no free subnet in 10.213.0.0/16")


def remove_leftovers():
    """Of soaks that were killed: their numbers stand in the names, and no such process runs."""
    spaces = re.findall(r"^(cf(\d+)n\d+)\b", ip("netns", "list", check=False).stdout, re.M)
    bridges = re.findall(r"\d+: (cf(\d+)b):", ip("link", check=False).stdout)
    for name, pid in spaces:
        if not os.path.exists(f"/proc/{pid}"):
            ip("netns", "del", name, check=False)
    for name, pid in bridges:
        if not os.path.exists(f"/proc/{pid}"):
            ip("link", "del", name, check=False)


def make_network(nodes, loopback):
    if loopback:
        return Loopback("asked for")
    try:
        remove_leftovers()
        return Namespaces(nodes)
    except subprocess.CalledProcessError as e:
        return Loopback(e.stderr.strip() or str(e))
    except OSError as e:
        return Loopback(str(e))
