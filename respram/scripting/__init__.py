"""Lua for EVAL: the runtime of scripts, and the cache of their texts.

Nothing here knows a command or a connection. `runtime.py` makes the sandbox of `lua/` through lupa and runs one script
at a time; what a script asks of the node goes to a `Host`, as plain values. Where lupa or greenlet is not installed,
all of this can be imported, and `Runtime` cannot be made.
"""
