"""The peer protocol as bytes: messages, how they are spelled in RESP, and how frames are cut out of a stream.
No I/O.
"""
