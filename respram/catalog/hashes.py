"""Catalog entries of the commands about hashes.
Notation: `entry.py`. Where Redis 7.0 has a command, its entry tells what Redis tells.
"""

ENTRIES = """
hdel -3 write,fast,by_name hash 2.0.0 hash 1/1/1
  shape decides hot 1024
  is Delete one or more hash fields
  costs O(N) where N is the number of fields to be removed.
  keys 1 range 0 1 0 RW,delete
  since 2.4.0 Accepts multiple `field` arguments.
  args key:key#0 field:string*
hexists 3 readonly,fast hash 2.0.0 hash 1/1/1
  shape reads hot
  is Determine if a hash field exists
  costs O(1)
  keys 1 range 0 1 0 RO
  args key:key#0 field:string
hexpire -6 write,denyoom,fast hash 7.4.0 hash 1/1/1
  shape decides hot 1024
  is Set the time to live of fields in seconds
  costs O(N) where N is the number of fields
  keys 1 range 0 1 0 RW,update
  args key:key#0 seconds:integer condition:oneof?( nx:=NX xx:=XX gt:=GT lt:=LT )
  args fields:block=FIELDS( numfields:integer field:string* )
hexpireat -6 write,denyoom,fast hash 7.4.0 hash 1/1/1
  shape decides hot 1024
  is Set the moment at which fields end, as Unix seconds
  costs O(N) where N is the number of fields
  keys 1 range 0 1 0 RW,update
  args key:key#0 unix-time-seconds:unix-time condition:oneof?( nx:=NX xx:=XX gt:=GT lt:=LT )
  args fields:block=FIELDS( numfields:integer field:string* )
hexpiretime -5 readonly,fast hash 7.4.0 hash 1/1/1
  shape reads hot 1024
  is Get the moment at which fields end, as Unix seconds
  costs O(N) where N is the number of fields
  keys 1 range 0 1 0 RO,access
  args key:key#0 fields:block=FIELDS( numfields:integer field:string* )
hget 3 readonly,fast hash 2.0.0 hash 1/1/1
  shape reads hot
  is Get the value of a hash field
  costs O(1)
  keys 1 range 0 1 0 RO,access
  args key:key#0 field:string
hgetall 2 readonly hash 2.0.0 hash 1/1/1
  shape reads hot
  is Get all the fields and values in a hash
  costs O(N) where N is the size of the hash.
  tip nondeterministic_output_order
  keys 1 range 0 1 0 RO,access
  args key:key#0
hgetdel -5 write,fast,by_name hash 8.0.0 hash 1/1/1
  shape decides,asks hot 1024
  is Get the values of fields and let go of them
  costs O(N) where N is the number of fields
  keys 1 range 0 1 0 RW,access,delete
  args key:key#0 fields:block=FIELDS( numfields:integer field:string* )
hgetex -5 write,fast hash 8.0.0 hash 1/1/1
  shape decides,asks hot 1024
  is Get the values of fields and set their time to live
  costs O(N) where N is the number of fields
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 expiration:oneof?( seconds:integer=EX milliseconds:integer=PX unix-time-seconds:unix-time=EXAT
  args unix-time-milliseconds:unix-time=PXAT persist:=PERSIST ) fields:block=FIELDS( numfields:integer field:string* )
hincrby 4 write,denyoom,fast hash 2.0.0 hash 1/1/1
  shape decides hot
  is Increment the integer value of a hash field by the given number
  costs O(1)
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 field:string increment:integer
hincrbyfloat 4 write,denyoom,fast hash 2.6.0 hash 1/1/1
  shape decides hot
  is Increment the float value of a hash field by the given amount
  costs O(1)
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 field:string increment:double
hkeys 2 readonly hash 2.0.0 hash 1/1/1
  shape reads hot
  is Get all the fields in a hash
  costs O(N) where N is the size of the hash.
  tip nondeterministic_output_order
  keys 1 range 0 1 0 RO,access
  args key:key#0
hlen 2 readonly,fast hash 2.0.0 hash 1/1/1
  shape reads hot
  is Get the number of fields in a hash
  costs O(1)
  keys 1 range 0 1 0 RO
  args key:key#0
hmget -3 readonly,fast hash 2.0.0 hash 1/1/1
  shape reads hot 1024
  is Get the values of all the given hash fields
  costs O(N) where N is the number of fields being requested.
  keys 1 range 0 1 0 RO,access
  args key:key#0 field:string*
hmset -4 write,denyoom,fast hash 2.0.0 hash 1/1/1
  shape decides hot 1024
  is Set multiple hash fields to multiple values
  costs O(N) where N is the number of fields being set.
  keys 1 range 0 1 0 RW,update
  doc deprecated
  deprecated 4.0.0
  instead `HSET` with multiple field-value pairs
  args key:key#0 field_value:block*( field:string value:string )
hpexpire -6 write,denyoom,fast hash 7.4.0 hash 1/1/1
  shape decides hot 1024
  is Set the time to live of fields in milliseconds
  costs O(N) where N is the number of fields
  keys 1 range 0 1 0 RW,update
  args key:key#0 milliseconds:integer condition:oneof?( nx:=NX xx:=XX gt:=GT lt:=LT )
  args fields:block=FIELDS( numfields:integer field:string* )
hpexpireat -6 write,denyoom,fast hash 7.4.0 hash 1/1/1
  shape decides hot 1024
  is Set the moment at which fields end, as Unix milliseconds
  costs O(N) where N is the number of fields
  keys 1 range 0 1 0 RW,update
  args key:key#0 unix-time-milliseconds:unix-time condition:oneof?( nx:=NX xx:=XX gt:=GT lt:=LT )
  args fields:block=FIELDS( numfields:integer field:string* )
hpexpiretime -5 readonly,fast hash 7.4.0 hash 1/1/1
  shape reads hot 1024
  is Get the moment at which fields end, as Unix milliseconds
  costs O(N) where N is the number of fields
  keys 1 range 0 1 0 RO,access
  args key:key#0 fields:block=FIELDS( numfields:integer field:string* )
hpttl -5 readonly,fast hash 7.4.0 hash 1/1/1
  shape reads hot 1024
  is Get the time to live of fields in milliseconds
  costs O(N) where N is the number of fields
  tip nondeterministic_output
  keys 1 range 0 1 0 RO,access
  args key:key#0 fields:block=FIELDS( numfields:integer field:string* )
hrandfield -2 readonly hash 6.2.0 hash 1/1/1
  shape reads hot 4
  is Get one or multiple random fields from a hash
  costs O(N) where N is the number of fields returned
  tip nondeterministic_output
  keys 1 range 0 1 0 RO,access
  args key:key#0 options:block?( count:integer withvalues:=WITHVALUES? )
hscan -3 readonly hash 2.8.0 hash 1/1/1
  shape reads hot 8
  is Incrementally iterate hash fields and associated values
  costs O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return
    back to 0. N is the number of elements inside the collection..
  tip nondeterministic_output
  keys 1 range 0 1 0 RO,access
  since 7.4.0 Added the `NOVALUES` flag.
  args key:key#0 cursor:integer pattern:pattern=MATCH? count:integer=COUNT? novalues:=NOVALUES?@7.4.0
hset -4 write,denyoom,fast hash 2.0.0 hash 1/1/1
  shape decides hot 1024
  is Set the string value of a hash field
  costs O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with
    multiple field/value pairs.
  keys 1 range 0 1 0 RW,update
  since 4.0.0 Accepts multiple `field` and `value` arguments.
  args key:key#0 field_value:block*( field:string value:string )
hsetex -6 write,denyoom,fast hash 8.0.0 hash 1/1/1
  shape decides hot 1024
  is Set the values of fields and their time to live
  costs O(N) where N is the number of fields
  keys 1 range 0 1 0 RW,update
  args key:key#0 condition:oneof?( fnx:=FNX fxx:=FXX ) expiration:oneof?( seconds:integer=EX
  args milliseconds:integer=PX unix-time-seconds:unix-time=EXAT unix-time-milliseconds:unix-time=PXAT keepttl:=KEEPTTL )
  args fields:block=FIELDS( numfields:integer data:block*( field:string value:string ) )
hsetnx 4 write,denyoom,fast hash 2.0.0 hash 1/1/1
  shape decides hot
  is Set the value of a hash field, only if the field does not exist
  costs O(1)
  keys 1 range 0 1 0 RW,insert
  args key:key#0 field:string value:string
hstrlen 3 readonly,fast hash 3.2.0 hash 1/1/1
  shape reads hot
  is Get the length of the value of a hash field
  costs O(1)
  keys 1 range 0 1 0 RO
  args key:key#0 field:string
httl -5 readonly,fast hash 7.4.0 hash 1/1/1
  shape reads hot 1024
  is Get the time to live of fields in seconds
  costs O(N) where N is the number of fields
  tip nondeterministic_output
  keys 1 range 0 1 0 RO,access
  args key:key#0 fields:block=FIELDS( numfields:integer field:string* )
hvals 2 readonly hash 2.0.0 hash 1/1/1
  shape reads hot
  is Get all the values in a hash
  costs O(N) where N is the size of the hash.
  tip nondeterministic_output_order
  keys 1 range 0 1 0 RO,access
  args key:key#0
"""
