"""Catalog entries of the commands that run scripts. Notation: `entry.py`."""

ENTRIES = """
eval -3 noscript,stale,skip_monitor,no_mandatory_keys,movablekeys scripting 2.6.0 scripting -
  shape decides,asks hot 1024
  is Execute a Lua script server side
  costs Depends on the script that is executed.
  keys 2 keynum 0 1 1 RW,access,update We cannot tell how the keys will be used so we assume the worst, RW and UPDATE
  args script:string numkeys:integer key:key?*#0 arg:string?*
eval_ro -3 readonly,noscript,stale,skip_monitor,no_mandatory_keys,movablekeys scripting 7.0.0 scripting -
  shape reads
  is Execute a read-only Lua script server side
  costs Depends on the script that is executed.
  keys 2 keynum 0 1 1 RO,access We cannot tell how the keys will be used so we assume the worst, RO and ACCESS
  args script:string numkeys:integer key:key?*#0 arg:string?*
evalsha -3 noscript,stale,skip_monitor,no_mandatory_keys,movablekeys scripting 2.6.0 scripting -
  shape decides,asks hot 1024
  is Execute a Lua script server side
  costs Depends on the script that is executed.
  keys 2 keynum 0 1 1 RW,access,update
  args sha1:string numkeys:integer key:key?*#0 arg:string?*
evalsha_ro -3 readonly,noscript,stale,skip_monitor,no_mandatory_keys,movablekeys scripting 7.0.0 scripting -
  shape reads
  is Execute a read-only Lua script server side
  costs Depends on the script that is executed.
  keys 2 keynum 0 1 1 RO,access
  args sha1:string numkeys:integer key:key?*#0 arg:string?*
script -2 - - 2.6.0 scripting -
  is A container for Lua scripts management commands
  costs Depends on subcommand.
script|exists -3 noscript scripting 2.6.0 scripting -
  is Check existence of scripts in the script cache.
  costs O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).
  tip request_policy:all_shards
  tip response_policy:agg_logical_and
  args sha1:string*
script|flush -2 noscript scripting 2.6.0 scripting -
  is Remove all the scripts from the script cache.
  costs O(N) with N being the number of scripts in cache
  tip request_policy:all_nodes
  tip response_policy:all_succeeded
  since 6.2.0 Added the `ASYNC` and `SYNC` flushing mode modifiers.
  args async:oneof?@6.2.0( async:=ASYNC sync:=SYNC )
script|help 2 loading,stale scripting 5.0.0 scripting -
  is Show helpful text about the different subcommands
  costs O(1)
script|kill 2 noscript,allow_busy scripting 2.6.0 scripting -
  is Kill the script currently in execution.
  costs O(1)
  tip request_policy:all_shards
  tip response_policy:one_succeeded
script|load 3 noscript,stale scripting 2.6.0 scripting -
  is Load the specified Lua script into the script cache.
  costs O(N) with N being the length in bytes of the script body.
  tip request_policy:all_nodes
  tip response_policy:all_succeeded
  args script:string
"""
