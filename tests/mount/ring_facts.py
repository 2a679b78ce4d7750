"""Reads `chordfs ring --json`; prints one fact of it.

    ring_facts.py nodes          how many nodes
    ring_facts.py ports          their ports, sorted, one a line
    ring_facts.py busiest P...   the port of the node that leads most arcs, of those on ports P...
    ring_facts.py idlest P...    the one that leads fewest
"""
import json
import sys


def ports(value):
    """Every node's port: the objects that say where they listen, wherever they stand in the answer."""
    nodes = value["nodes"] if isinstance(value, dict) else value
    return sorted(int(node["port"]) if "port" in node else int(node["endpoint"].rsplit(":", 1)[1]) for node in nodes)


def by_arcs(value, candidates):
    """Ports of the candidates, from the one that leads fewest arcs on."""
    nodes = [(node["arcs"], port) for node in value["nodes"] for port in ports([node]) if port in candidates]
    return [port for _, port in sorted(nodes)]


what, ring = sys.argv[1], json.load(sys.stdin)
if what in ("busiest", "idlest"):
    print(by_arcs(ring, {int(port) for port in sys.argv[2:]})[-1 if what == "busiest" else 0])
else:
    found = ports(ring)
    print(len(found) if what == "nodes" else "\n".join(map(str, found)))
