"""Catalog entries of the commands about sets.
Notation: `entry.py`. Where Redis 7.0 has a command, its entry tells what Redis tells.
"""

ENTRIES = """
sadd -3 write,denyoom,fast set 1.0.0 set 1/1/1
  shape decides hot 1024
  is Add one or more members to a set
  costs O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.
  keys 1 range 0 1 0 RW,insert
  since 2.4.0 Accepts multiple `member` arguments.
  args key:key#0 member:string*
scard 2 readonly,fast set 1.0.0 set 1/1/1
  shape reads hot
  is Get the number of members in a set
  costs O(1)
  keys 1 range 0 1 0 RO
  args key:key#0
sdiff -2 readonly set 1.0.0 set 1/-1/1
  shape reads hot 17
  is Subtract multiple sets
  costs O(N) where N is the total number of elements in all given sets.
  tip nondeterministic_output_order
  keys 1 range -1 1 0 RO,access
  args key:key*#0
sdiffstore -3 write,denyoom set 1.0.0 set 1/-1/1
  shape decides,asks hot 18
  is Subtract multiple sets and store the resulting set in a key
  costs O(N) where N is the total number of elements in all given sets.
  keys 1 range 0 1 0 OW,update
  keys 2 range -1 1 0 RO,access
  args destination:key#0 key:key*#1
sinter -2 readonly set 1.0.0 set 1/-1/1
  shape reads hot 17
  is Intersect multiple sets
  costs O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.
  tip nondeterministic_output_order
  keys 1 range -1 1 0 RO,access
  args key:key*#0
sintercard -3 readonly,movablekeys set 7.0.0 set -
  shape reads hot 20
  is Intersect multiple sets and return the cardinality of the result
  costs O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.
  keys 1 keynum 0 1 1 RO,access
  args numkeys:integer key:key*#0 limit:integer=LIMIT?
sinterstore -3 write,denyoom set 1.0.0 set 1/-1/1
  shape decides,asks hot 18
  is Intersect multiple sets and store the resulting set in a key
  costs O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.
  keys 1 range 0 1 0 RW,update
  keys 2 range -1 1 0 RO,access
  args destination:key#0 key:key*#1
sismember 3 readonly,fast set 1.0.0 set 1/1/1
  shape reads hot
  is Determine if a given value is a member of a set
  costs O(1)
  keys 1 range 0 1 0 RO
  args key:key#0 member:string
smembers 2 readonly set 1.0.0 set 1/1/1
  shape reads hot
  is Get all the members in a set
  costs O(N) where N is the set cardinality.
  tip nondeterministic_output_order
  keys 1 range 0 1 0 RO,access
  args key:key#0
smismember -3 readonly,fast set 6.2.0 set 1/1/1
  shape reads hot 1024
  is Returns the membership associated with the given elements for a set
  costs O(N) where N is the number of elements being checked for membership
  keys 1 range 0 1 0 RO,access
  args key:key#0 member:string*
smove 4 write,fast,by_name set 1.0.0 set 1/2/1
  shape decides hot
  is Move a member from one set to another
  costs O(1)
  keys 1 range 0 1 0 RW,access,delete
  keys 2 range 0 1 0 RW,insert
  args source:key#0 destination:key#1 member:string
spop -2 write,fast,by_name set 1.0.0 set 1/1/1
  shape decides hot 3
  is Remove and return one or multiple random members from a set
  costs Without the count argument O(1), otherwise O(N) where N is the value of the passed count.
  tip nondeterministic_output
  keys 1 range 0 1 0 RW,access,delete
  since 3.2.0 Added the `count` argument.
  args key:key#0 count:integer?@3.2.0
srandmember -2 readonly set 1.0.0 set 1/1/1
  shape reads hot 3
  is Get one or multiple random members from a set
  costs Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.
  tip nondeterministic_output
  keys 1 range 0 1 0 RO,access
  since 2.6.0 Added the optional `count` argument.
  args key:key#0 count:integer?@2.6.0
srem -3 write,fast,by_name set 1.0.0 set 1/1/1
  shape decides hot 1024
  is Remove one or more members from a set
  costs O(N) where N is the number of members to be removed.
  keys 1 range 0 1 0 RW,delete
  since 2.4.0 Accepts multiple `member` arguments.
  args key:key#0 member:string*
sscan -3 readonly set 2.8.0 set 1/1/1
  shape reads hot 7
  is Incrementally iterate Set elements
  costs O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return
    back to 0. N is the number of elements inside the collection..
  tip nondeterministic_output
  keys 1 range 0 1 0 RO,access
  args key:key#0 cursor:integer pattern:pattern=MATCH? count:integer=COUNT?
sunion -2 readonly set 1.0.0 set 1/-1/1
  shape reads hot 17
  is Add multiple sets
  costs O(N) where N is the total number of elements in all given sets.
  tip nondeterministic_output_order
  keys 1 range -1 1 0 RO,access
  args key:key*#0
sunionstore -3 write,denyoom set 1.0.0 set 1/-1/1
  shape decides,asks hot 18
  is Add multiple sets and store the resulting set in a key
  costs O(N) where N is the total number of elements in all given sets.
  keys 1 range 0 1 0 OW,update
  keys 2 range -1 1 0 RO,access
  args destination:key#0 key:key*#1
"""
