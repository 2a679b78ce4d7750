"""A peer without manners, on real sockets: hostile_peer.py PORT KIND [COUNT].

Ends with 0 once the node did what it should (`silent` and `crowd` run until they are killed, and say `open N` before).
Waits are long, because only a node that never does it is wrong.
"""
import os
import random
import resource
import select
import socket
import struct
import sys
import time

PATIENCE = 300  # Seconds; a net, no measurement.
MAGIC = 0x43685246
VERSION = 2  # proto/wire/limits.h


def field(number, wire_type, data):
    return bytes([number << 3 | wire_type]) + data


def text(number, data):
    length = bytearray()
    size = len(data)
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return field(number, 2, bytes(length) + data)


def frame(header, payload_bytes=0):
    return struct.pack(">II", len(header), payload_bytes) + header


def hello(version=VERSION, program=b"hostile"):
    return frame(text(2, field(1, 5, struct.pack("<I", MAGIC)) + field(2, 0, bytes([version]))
                      + field(3, 0, bytes([version])) + text(4, program)))


def request(kind=b"\x52\x00", ring=b"", payload_bytes=0):
    """`kind`: an encoded field of wire.Request, by default an empty ping (10)."""
    return frame(field(1, 1, struct.pack("<Q", 1)) + text(3, (text(1, ring) if ring else b"") + kind), payload_bytes)


PUT_BLOCK = b"\xf2\x01\x00"


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def send(peer, data):
    try:
        peer.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass  # Cut already: reading says so too.


def read_until_cut(peer):
    """What came until the node closed the connection."""
    got = b""
    try:
        while data := peer.recv(65536):
            got += data
    except ConnectionResetError:
        pass
    return got


def is_cut(peer):
    readable, _, _ = select.select([peer], [], [], 0)
    try:
        return bool(readable) and not peer.recv(65536)
    except ConnectionResetError:
        return True


def sends_and_is_cut(data):
    def run(port, count):
        for _ in range(count):
            with connect(port) as peer:
                send(peer, data() if callable(data) else data)
                read_until_cut(peer)
    return run


def drips(beginning, drip):
    """`beginning`, then one byte a second until it is cut."""
    def run(port, _):
        with connect(port) as peer:
            send(peer, beginning)
            end = time.monotonic() + PATIENCE
            position = 0
            while not is_cut(peer):
                if time.monotonic() > end:
                    sys.exit("still not cut")
                send(peer, drip[position:position + 1] or b"x")
                position += 1
                time.sleep(1)
    return run


def other_ring(port, _):
    """Refused by an answer; the connection goes on."""
    with connect(port) as peer:
        peer.sendall(hello() + request(ring=b"0123456789abcdef") * 2)
        got = b""
        while got.count(b"another ring") < 2:
            data = peer.recv(65536)
            if not data:
                sys.exit("cut instead of answered")
            got += data


def half_frames(port, count):
    """Each holds as much memory as one frame can, and goes no further."""
    peers = []
    for _ in range(count):
        peer = connect(port)
        peer.sendall(hello() + request(PUT_BLOCK, payload_bytes=4 << 20) + bytes((4 << 20) - 1))
        peers.append(peer)
    for peer in peers:
        read_until_cut(peer)


def crowd(greeting):
    def run(port, count):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if hard != resource.RLIM_INFINITY:
            count = min(count, hard - 64)
        peers = []
        for _ in range(count):
            peer = connect(port)
            send(peer, greeting)
            peers.append(peer)
        print("open", len(peers), flush=True)
        while True:
            time.sleep(3600)
    return run


KINDS = {
    "garbage": sends_and_is_cut(lambda: b"\xff" + os.urandom(random.randrange(8, 4000))),
    "http": sends_and_is_cut(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "version": sends_and_is_cut(hello(version=99, program=b"from the\x1b[31m future\n")),
    "not_utf8": sends_and_is_cut(hello(program=b"\xff\xfe")),
    "over_the_cap": sends_and_is_cut(hello() + struct.pack(">II", (4 << 20) + 1, 0)),
    "other_ring": other_ring,
    "slow_frame": drips(hello() + request(PUT_BLOCK, payload_bytes=1 << 20), b""),
    "slow_hello": drips(b"", hello()),
    "half_frames": half_frames,
    "silent": crowd(b""),
    "crowd": crowd(hello()),
}

if __name__ == "__main__":
    KINDS[sys.argv[2]](int(sys.argv[1]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
