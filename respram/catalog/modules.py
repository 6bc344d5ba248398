"""Catalog entries of commands that Redis has from modules: rate limits and filters. The notation: `entry.py`."""

ENTRIES = """
cl.throttle -5 write,denyoom,fast - 1.0.0 module 1/1/1
  shape decides
  is Let an action through if its rate allows it, and tell how much is left
  costs O(1)
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 max_burst:integer count_per_period:integer period_seconds:integer quantity:integer?
"""
