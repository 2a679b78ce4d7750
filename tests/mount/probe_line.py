"""Reads what probe.py printed; prints it as one line."""
import json
import sys

found = json.load(sys.stdin)
kinds = ", ".join(f"{kind} {entry['longest']:.2f}" for kind, entry in found["kinds"].items())
print(f"      probe: {found['calls']} calls in {found['seconds']:.0f} s, {found['errors']} errors, "
      f"{found['over_bound']} over {found['bound']:g} s; longest {found['longest']:.2f} s "
      f"({found['longest_call']} {found['longest_path'].rpartition('/probe-')[2]}); by kind: {kinds}; "
      f"the machine itself was {found['machine_late']:.2f} s late at most")
