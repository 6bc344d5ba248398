"""Catalog entries of the commands that let go of keys. Notation: `entry.py`.

Nobody may run one, unless an operator gave it by its name: to a user (`+del`), or to the default user (`--let-go del`).
"""

ENTRIES = """
del -2 write,by_name keyspace 1.0.0 generic 1/-1/1
  shape decides,asks hot 2
  is Let go of keys: they read as missing at once, and their values are wiped
  costs O(N) where N is the number of keys
  tip request_policy:multi_shard
  tip response_policy:agg_sum
  keys 1 range -1 1 0 RM,delete
  args key:key*#0
delex -2 write,fast,by_name string 8.4.0 string 1/1/1
  shape decides hot 4
  is Let go of a key, if it holds a value, or another one than that
  costs O(1), with a digest O(N) where N is the length of the value
  keys 1 range 0 1 0 RM,delete
  args key:key#0 condition:oneof?( ifeq-value:string=IFEQ ifne-value:string=IFNE
  args ifdeq-digest:string=IFDEQ ifdne-digest:string=IFDNE )
delifeq 3 write,fast,by_name string 9.0.0 string 1/1/1
  shape decides hot
  is Let go of a key, if it holds exactly that value
  costs O(1)
  keys 1 range 0 1 0 RM,delete
  args key:key#0 value:string
getdel 2 write,fast,by_name string 6.2.0 string 1/1/1
  shape decides,asks hot
  is Get the value of a key and let go of it
  costs O(1)
  keys 1 range 0 1 0 RW,access,delete
  args key:key#0
rename 3 write,by_name keyspace 1.0.0 generic 1/2/1
  shape decides,asks
  is Copy a key to another name with its life, and let go of the first
  costs O(N) where N is the number of members, O(1) for strings
  keys 1 range 0 1 0 RW,access,delete
  keys 2 range 0 1 0 OW,update
  args key:key#0 newkey:key#1
renamenx 3 write,fast,by_name keyspace 1.0.0 generic 1/2/1
  shape decides,asks
  is Copy a key to a name that is free, and let go of the first
  costs O(N) where N is the number of members, O(1) for strings
  keys 1 range 0 1 0 RW,access,delete
  keys 2 range 0 1 0 OW,insert
  since 3.2.0 The command no longer returns an error when source and destination names are the same.
  args key:key#0 newkey:key#1
unlink -2 write,fast,by_name keyspace 4.0.0 generic 1/-1/1
  shape decides,asks hot 2
  is Let go of keys, as DEL does
  costs O(N) where N is the number of keys
  tip request_policy:multi_shard
  tip response_policy:agg_sum
  keys 1 range -1 1 0 RM,delete
  args key:key*#0
"""
