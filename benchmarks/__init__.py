"""Measurements against real peers: what a command costs in CPU, what a key costs in memory, how long anybody waits.

Everything here starts the servers it measures, on loopback and free ports, and ends them by process id. Nothing of
respram is imported: it is measured from outside, like its peers. `README.md` says how and why.
"""
