"""Catalog entries of the commands that read and write keys. The notation: `entry.py`.

Facts only, as COMMAND INFO and COMMAND DOCS tell them. Where a command is the one that Redis 7.0 has,
its entry tells what Redis tells, so that clients which compare find nothing to stumble over.
"""

ENTRIES = """
append 3 write,denyoom,fast string 2.0.0 string 1/1/1
  shape decides hot
  is Append a value to a key
  costs O(1). The amortized time complexity is O(1) assuming the appended value is small and the already
    present value is of any size, since the dynamic string library used by Redis will double the free space
    available on every reallocation.
  keys 1 range 0 1 0 RW,insert
  args key:key#0 value:string
decr 2 write,denyoom,fast string 1.0.0 string 1/1/1
  shape decides hot
  is Decrement the integer value of a key by one
  costs O(1)
  keys 1 range 0 1 0 RW,access,update
  args key:key#0
decrby 3 write,denyoom,fast string 1.0.0 string 1/1/1
  shape decides hot
  is Decrement the integer value of a key by the given number
  costs O(1)
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 decrement:integer
digest 2 readonly,fast string 8.4.0 string 1/1/1
  shape reads hot
  is Get the hash digest of a value, XXH3-64 in hexadecimal
  costs O(N) where N is the length of the value
  keys 1 range 0 1 0 RO,access
  args key:key#0
get 2 readonly,fast string 1.0.0 string 1/1/1
  shape reads hot
  is Get the value of a key
  costs O(1)
  keys 1 range 0 1 0 RO,access
  args key:key#0
getex -2 write,fast string 6.2.0 string 1/1/1
  shape decides,asks hot 4
  is Get the value of a key and optionally set its expiration
  costs O(1)
  keys 1 range 0 1 0 RW,access,update RW and UPDATE because it changes the TTL
  args key:key#0 expiration:oneof?( seconds:integer=EX milliseconds:integer=PX
  args unix-time-seconds:unix-time=EXAT unix-time-milliseconds:unix-time=PXAT persist:=PERSIST )
getrange 4 readonly string 2.4.0 string 1/1/1
  shape reads hot
  is Get a substring of the string stored at a key
  costs O(N) where N is the length of the returned string. The complexity is ultimately determined by the
    returned length, but because creating a substring from an existing string is very cheap, it can be
    considered O(1) for small strings.
  keys 1 range 0 1 0 RO,access
  args key:key#0 start:integer end:integer
getset 3 write,denyoom,fast string 1.0.0 string 1/1/1
  shape decides,asks hot
  is Set the string value of a key and return its old value
  costs O(1)
  keys 1 range 0 1 0 RW,access,update
  doc deprecated
  deprecated 6.2.0
  instead `SET` with the `!GET` argument
  args key:key#0 value:string
incr 2 write,denyoom,fast string 1.0.0 string 1/1/1
  shape decides hot
  is Increment the integer value of a key by one
  costs O(1)
  keys 1 range 0 1 0 RW,access,update
  args key:key#0
incrby 3 write,denyoom,fast string 1.0.0 string 1/1/1
  shape decides hot
  is Increment the integer value of a key by the given amount
  costs O(1)
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 increment:integer
incrbyfloat 3 write,denyoom,fast string 2.6.0 string 1/1/1
  shape decides hot
  is Increment the float value of a key by the given amount
  costs O(1)
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 increment:double
increx -2 write,denyoom,fast string 8.8.0 string 1/1/1
  shape decides hot 1024
  is Count within bounds and within a window of time, in one step
  costs O(1)
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 condition:oneof?( nx:=NX xx:=XX ) increment:oneof?( float:double=BYFLOAT integer:integer=BYINT )
  args saturate:=SATURATE?
  args lowerbound:string=LBOUND? upperbound:string=UBOUND? expiration:oneof?( seconds:integer=EX
  args milliseconds:integer=PX unix-time-seconds:unix-time=EXAT unix-time-milliseconds:unix-time=PXAT )
  args enx:=ENX?
mget -2 readonly,fast string 1.0.0 string 1/-1/1
  shape reads hot
  is Get the values of all the given keys
  costs O(N) where N is the number of keys to retrieve.
  tip request_policy:multi_shard
  keys 1 range -1 1 0 RO,access
  args key:key*#0
mset -3 write,denyoom string 1.0.1 string 1/-1/2
  shape writes hot
  is Set multiple keys to multiple values
  costs O(N) where N is the number of keys to set.
  tip request_policy:multi_shard
  tip response_policy:all_succeeded
  keys 1 range -1 2 0 OW,update
  args key_value:block*( key:key#0 value:string )
msetex -4 write,denyoom,movablekeys string 8.4.0 string -
  shape decides hot 1024
  is Set several keys at once, all with the same time to live
  costs O(N) where N is the number of keys to set.
  keys 1 keynum 0 1 2 OW,update
  args numkeys:integer data:block*( key:key#0 value:string ) condition:oneof?( nx:=NX xx:=XX )
  args expiration:oneof?( seconds:integer=EX milliseconds:integer=PX unix-time-seconds:unix-time=EXAT
  args unix-time-milliseconds:unix-time=PXAT keepttl:=KEEPTTL )
msetnx -3 write,denyoom string 1.0.1 string 1/-1/2
  shape decides hot
  is Set multiple keys to multiple values, only if none of the keys exist
  costs O(N) where N is the number of keys to set.
  tip request_policy:multi_shard
  tip response_policy:agg_min
  keys 1 range -1 2 0 OW,insert
  args key_value:block*( key:key#0 value:string )
psetex 4 write,denyoom string 2.6.0 string 1/1/1
  shape writes hot
  is Set the value and expiration in milliseconds of a key
  costs O(1)
  keys 1 range 0 1 0 OW,update
  args key:key#0 milliseconds:integer value:string
set -3 write,denyoom string 1.0.0 string 1/1/1
  shape decides hot 9
  is Set the string value of a key
  costs O(1)
  keys 1 range 0 1 0 RW,access,update,variable_flags RW and ACCESS due to the optional `GET` argument
  since 2.6.12 Added the `EX`, `PX`, `NX` and `XX` options.
  since 6.0.0 Added the `KEEPTTL` option.
  since 6.2.0 Added the `GET`, `EXAT` and `PXAT` option.
  since 7.0.0 Allowed the `NX` and `GET` options to be used together.
  since 8.4.0 Added the `IFEQ`, `IFNE`, `IFDEQ` and `IFDNE` options.
  args key:key#0 value:string condition:oneof?@2.6.12( nx:=NX xx:=XX ifeq-value:string=IFEQ@8.4.0
  args ifne-value:string=IFNE@8.4.0 ifdeq-digest:string=IFDEQ@8.4.0 ifdne-digest:string=IFDNE@8.4.0 )
  args get:=GET?@6.2.0 expiration:oneof?( seconds:integer=EX@2.6.12 milliseconds:integer=PX@2.6.12
  args unix-time-seconds:unix-time=EXAT@6.2.0 unix-time-milliseconds:unix-time=PXAT@6.2.0
  args keepttl:=KEEPTTL@6.0.0 )
setex 4 write,denyoom string 2.0.0 string 1/1/1
  shape writes hot
  is Set the value and expiration of a key
  costs O(1)
  keys 1 range 0 1 0 OW,update
  args key:key#0 seconds:integer value:string
setnx 3 write,denyoom,fast string 1.0.0 string 1/1/1
  shape decides hot
  is Set the value of a key, only if the key does not exist
  costs O(1)
  keys 1 range 0 1 0 OW,insert
  args key:key#0 value:string
setrange 4 write,denyoom string 2.2.0 string 1/1/1
  shape decides hot
  is Overwrite part of a string at key starting at the specified offset
  costs O(1), not counting the time taken to copy the new string in place. Usually, this string is very
    small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the
    value argument.
  keys 1 range 0 1 0 RW,update
  args key:key#0 offset:integer value:string
strlen 2 readonly,fast string 2.2.0 string 1/1/1
  shape reads hot
  is Get the length of the value stored in a key
  costs O(1)
  keys 1 range 0 1 0 RO
  args key:key#0
substr 4 readonly string 1.0.0 string 1/1/1
  shape reads hot
  is Get a substring of the string stored at a key
  costs O(N) where N is the length of the returned string. The complexity is ultimately determined by the
    returned length, but because creating a substring from an existing string is very cheap, it can be
    considered O(1) for small strings.
  keys 1 range 0 1 0 RO,access
  doc deprecated
  deprecated 2.0.0
  instead `GETRANGE`
  args key:key#0 start:integer end:integer
bitcount -2 readonly bitmap 2.6.0 bitmap 1/1/1
  shape reads hot 5
  is Count set bits in a string
  costs O(N)
  keys 1 range 0 1 0 RO,access
  since 7.0.0 Added the `BYTE|BIT` option.
  args key:key#0 index:block?( start:integer end:integer index_unit:oneof?@7.0.0( byte:=BYTE bit:=BIT ) )
bitop -4 write,denyoom bitmap 2.6.0 bitmap 2/-1/1
  shape decides,asks hot 67
  is Perform bitwise operations between strings
  costs O(N)
  keys 2 range 0 1 0 OW,update
  keys 3 range -1 1 0 RO,access
  args operation:string destkey:key#0 key:key*#1
bitpos -3 readonly bitmap 2.8.7 bitmap 1/1/1
  shape reads hot 6
  is Find first bit set or clear in a string
  costs O(N)
  keys 1 range 0 1 0 RO,access
  since 7.0.0 Added the `BYTE|BIT` option.
  args key:key#0 bit:integer index:block?( start:integer end_index:block?( end:integer
  args index_unit:oneof?@7.0.0( byte:=BYTE bit:=BIT ) ) )
getbit 3 readonly,fast bitmap 2.2.0 bitmap 1/1/1
  shape reads hot
  is Returns the bit value at offset in the string value stored at key
  costs O(1)
  keys 1 range 0 1 0 RO,access
  args key:key#0 offset:integer
setbit 4 write,denyoom bitmap 2.2.0 bitmap 1/1/1
  shape decides hot
  is Sets or clears the bit at offset in the string value stored at key
  costs O(1)
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 offset:integer value:integer
copy -3 write,denyoom keyspace 6.2.0 generic 1/2/1
  shape decides,asks hot 6
  is Copy a key
  costs O(N) worst case for collections, where N is the number of nested items. O(1) for string values.
  keys 1 range 0 1 0 RO,access
  keys 2 range 0 1 0 OW,update
  args source:key#0 destination:key#1 destination-db:integer=DB? replace:=REPLACE?
exists -2 readonly,fast keyspace 1.0.0 generic 1/-1/1
  shape reads hot
  is Determine if a key exists
  costs O(N) where N is the number of keys to check.
  tip request_policy:multi_shard
  tip response_policy:agg_sum
  keys 1 range -1 1 0 RO
  since 3.0.3 Accepts multiple `key` arguments.
  args key:key*#0
expire -3 write,fast keyspace 1.0.0 generic 1/1/1
  shape decides hot 5
  is Set a key's time to live in seconds
  costs O(1)
  keys 1 range 0 1 0 RW,update
  since 7.0.0 Added options: `NX`, `XX`, `GT` and `LT`.
  args key:key#0 seconds:integer condition:oneof?@7.0.0( nx:=NX xx:=XX gt:=GT lt:=LT )
expireat -3 write,fast keyspace 1.2.0 generic 1/1/1
  shape decides hot 5
  is Set the expiration for a key as a UNIX timestamp
  costs O(1)
  keys 1 range 0 1 0 RW,update
  since 7.0.0 Added options: `NX`, `XX`, `GT` and `LT`.
  args key:key#0 unix-time-seconds:unix-time condition:oneof?@7.0.0( nx:=NX xx:=XX gt:=GT lt:=LT )
expiretime 2 readonly,fast keyspace 7.0.0 generic 1/1/1
  shape reads hot
  is Get the expiration Unix timestamp for a key
  costs O(1)
  keys 1 range 0 1 0 RO,access
  args key:key#0
keys 2 readonly keyspace,dangerous 1.0.0 generic -
  shape reads hot
  is Find all keys matching the given pattern
  costs O(N) with N being the number of keys in the database, under the assumption that the key names in the
    database and the given pattern have limited length.
  tip request_policy:all_shards
  tip nondeterministic_output_order
  args pattern:pattern
object -2 - - 2.2.3 generic -
  is A container for object introspection commands
  costs Depends on subcommand.
object|encoding 3 readonly keyspace 2.2.3 generic 2/2/1
  shape reads
  is Inspect the internal encoding of a Redis object
  costs O(1)
  tip nondeterministic_output
  keys 2 range 0 1 0 RO
  args key:key#0
object|freq 3 readonly keyspace 4.0.0 generic 2/2/1
  shape reads
  is Get the logarithmic access frequency counter of a Redis object
  costs O(1)
  tip nondeterministic_output
  keys 2 range 0 1 0 RO
  args key:key#0
object|help 2 loading,stale keyspace 6.2.0 generic -
  is Show helpful text about the different subcommands
  costs O(1)
object|idletime 3 readonly keyspace 2.2.3 generic 2/2/1
  shape reads
  is Get the time since a Redis object was last accessed
  costs O(1)
  tip nondeterministic_output
  keys 2 range 0 1 0 RO
  args key:key#0
object|refcount 3 readonly keyspace 2.2.3 generic 2/2/1
  shape reads
  is Get the number of references to the value of the key
  costs O(1)
  tip nondeterministic_output
  keys 2 range 0 1 0 RO
  args key:key#0
pexpire -3 write,fast keyspace 2.6.0 generic 1/1/1
  shape decides hot 5
  is Set a key's time to live in milliseconds
  costs O(1)
  keys 1 range 0 1 0 RW,update
  since 7.0.0 Added options: `NX`, `XX`, `GT` and `LT`.
  args key:key#0 milliseconds:integer condition:oneof?@7.0.0( nx:=NX xx:=XX gt:=GT lt:=LT )
pexpireat -3 write,fast keyspace 2.6.0 generic 1/1/1
  shape decides hot 5
  is Set the expiration for a key as a UNIX timestamp specified in milliseconds
  costs O(1)
  keys 1 range 0 1 0 RW,update
  since 7.0.0 Added options: `NX`, `XX`, `GT` and `LT`.
  args key:key#0 unix-time-milliseconds:unix-time condition:oneof?@7.0.0( nx:=NX xx:=XX gt:=GT lt:=LT )
pexpiretime 2 readonly,fast keyspace 7.0.0 generic 1/1/1
  shape reads hot
  is Get the expiration Unix timestamp for a key in milliseconds
  costs O(1)
  keys 1 range 0 1 0 RO,access
  args key:key#0
pttl 2 readonly,fast keyspace 2.6.0 generic 1/1/1
  shape reads hot
  is Get the time to live for a key in milliseconds
  costs O(1)
  tip nondeterministic_output
  keys 1 range 0 1 0 RO,access
  since 2.8.0 Added the -2 reply.
  args key:key#0
randomkey 1 readonly keyspace 1.0.0 generic -
  shape reads hot
  is Return a random key from the keyspace
  costs O(1)
  tip request_policy:all_shards
  tip nondeterministic_output
scan -2 readonly keyspace 2.8.0 generic -
  shape reads hot 8
  is Incrementally iterate the keys space
  costs O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to
    return back to 0. N is the number of elements inside the collection.
  tip nondeterministic_output
  tip request_policy:special
  since 6.0.0 Added the `TYPE` subcommand.
  args cursor:integer pattern:pattern=MATCH? count:integer=COUNT? type:string=TYPE?@6.0.0
touch -2 readonly,fast keyspace 3.2.1 generic 1/-1/1
  shape reads hot
  is Alters the last access time of a key(s). Returns the number of existing keys specified.
  costs O(N) where N is the number of keys that will be touched.
  tip request_policy:multi_shard
  tip response_policy:agg_sum
  keys 1 range -1 1 0 RO
  args key:key*#0
ttl 2 readonly,fast keyspace 1.0.0 generic 1/1/1
  shape reads hot
  is Get the time to live for a key in seconds
  costs O(1)
  tip nondeterministic_output
  keys 1 range 0 1 0 RO,access
  since 2.8.0 Added the -2 reply.
  args key:key#0
type 2 readonly,fast keyspace 1.0.0 generic 1/1/1
  shape reads hot
  is Determine the type stored at key
  costs O(1)
  keys 1 range 0 1 0 RO
  args key:key#0
wait 3 noscript connection 3.0.0 generic -
  is Wait for the synchronous replication of all the write commands sent in the context of the current
    connection
  costs O(1)
  tip request_policy:all_shards
  tip response_policy:agg_min
  args numreplicas:integer timeout:integer
"""
