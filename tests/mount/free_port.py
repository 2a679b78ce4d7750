"""Prints a TCP port of 127.0.0.1 that nobody uses, other than those given as arguments.

Below the range that outgoing connections take theirs from: a node that is killed finds its port free again."""
import random
import socket
import sys

with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
    last = int(f.read().split()[0])
taken = {int(port) for port in sys.argv[1:]}
while True:
    port = random.randrange(10000, max(last, 10001) if last > 11000 else 32768)
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
    if port not in taken:
        print(port)
        break
