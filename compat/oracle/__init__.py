"""The oracle: the same random commands to a real redis-server and to respram, replies compared byte for byte.

`stream.py` says what a stream of commands is, `families/` draw them, `transcript.py` plays one to a server in
one of three ways, `compare.py` lays two transcripts side by side, `rules.py` holds the differences that are by
design, `shrink.py` makes a failing stream small. `python -m compat.oracle --help` runs it.
"""
