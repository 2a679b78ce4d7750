"""Reads `chordfs ring --json`; prints one fact of it.

    ring_facts.py nodes          how many nodes
    ring_facts.py ports          their ports, sorted, one a line
"""
import json
import sys


def ports(value):
    """Every node's port: the objects that say where they listen, wherever they stand in the answer."""
    nodes = value["nodes"] if isinstance(value, dict) else value
    return sorted(int(node["port"]) if "port" in node else int(node["endpoint"].rsplit(":", 1)[1]) for node in nodes)


found = ports(json.load(sys.stdin))
print(len(found) if sys.argv[1] == "nodes" else "\n".join(map(str, found)))
