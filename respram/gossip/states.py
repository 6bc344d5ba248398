"""The states of a node: JOINING until it holds what its enclave holds, then READY; ALONE while it was told to join and
has met no peer; ISOLATED while fewer than half of its partners answer. `bootstrap.py` says when it is ready or alone,
`probes.py` when it is isolated.
"""

JOINING, ALONE, READY, ISOLATED = "joining", "alone", "ready", "isolated"
DOUBTFUL = frozenset({JOINING, ALONE})  # the records here may be old or incomplete: truths.py
