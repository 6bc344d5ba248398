"""Catalog entries of the commands of sorted sets, as Redis 7.0 tells of them. The notation: `entry.py`.

What takes members away is letting go: nobody may do it, unless an operator gave the command by its name.
"""

ENTRIES = """
bzmpop -5 write,blocking,movablekeys,by_name sortedset,blocking 7.0.0 sorted-set -
  shape decides
  is Remove and return members with scores in a sorted set or block until one is available
  costs O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted
    set, and M being the number of elements popped.
  keys 2 keynum 0 1 1 RW,access,delete
  args timeout:double numkeys:integer key:key*#0 where:oneof( min:=MIN max:=MAX ) count:integer=COUNT?
bzpopmax -3 write,noscript,blocking,fast,by_name sortedset,blocking 5.0.0 sorted-set 1/-2/1
  shape decides
  is Remove and return the member with the highest score from one or more sorted sets, or block until one is
    available
  costs O(log(N)) with N being the number of elements in the sorted set.
  keys 1 range -2 1 0 RW,access,delete
  since 6.0.0 `timeout` is interpreted as a double instead of an integer.
  args key:key*#0 timeout:double
bzpopmin -3 write,noscript,blocking,fast,by_name sortedset,blocking 5.0.0 sorted-set 1/-2/1
  shape decides
  is Remove and return the member with the lowest score from one or more sorted sets, or block until one is
    available
  costs O(log(N)) with N being the number of elements in the sorted set.
  keys 1 range -2 1 0 RW,access,delete
  since 6.0.0 `timeout` is interpreted as a double instead of an integer.
  args key:key*#0 timeout:double
zadd -4 write,denyoom,fast sortedset 1.2.0 sorted-set 1/1/1
  shape decides hot 1024
  is Add one or more members to a sorted set, or update its score if it already exists
  costs O(log(N)) for each item added, where N is the number of elements in the sorted set.
  keys 1 range 0 1 0 RW,update
  since 2.4.0 Accepts multiple elements.
  since 3.0.2 Added the `XX`, `NX`, `CH` and `INCR` options.
  since 6.2.0 Added the `GT` and `LT` options.
  args key:key#0 condition:oneof?@3.0.2( nx:=NX xx:=XX ) comparison:oneof?@6.2.0( gt:=GT lt:=LT )
  args change:=CH?@3.0.2 increment:=INCR?@3.0.2 score_member:block*( score:double member:string )
zcard 2 readonly,fast sortedset 1.2.0 sorted-set 1/1/1
  shape reads hot
  is Get the number of members in a sorted set
  costs O(1)
  keys 1 range 0 1 0 RO
  args key:key#0
zcount 4 readonly,fast sortedset 2.0.0 sorted-set 1/1/1
  shape reads hot
  is Count the members in a sorted set with scores within the given values
  costs O(log(N)) with N being the number of elements in the sorted set.
  keys 1 range 0 1 0 RO,access
  args key:key#0 min:double max:double
zdiff -3 readonly,movablekeys sortedset 6.2.0 sorted-set -
  shape reads hot 20
  is Subtract multiple sorted sets
  costs O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of
    the first set, and K is the size of the result set.
  keys 1 keynum 0 1 1 RO,access
  args numkeys:integer key:key*#0 withscores:=WITHSCORES?
zdiffstore -4 write,denyoom,movablekeys sortedset 6.2.0 sorted-set 1/1/1
  shape decides,asks hot 20
  is Subtract multiple sorted sets and store the resulting sorted set in a new key
  costs O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of
    the first set, and K is the size of the result set.
  keys 1 range 0 1 0 OW,update
  keys 2 keynum 0 1 1 RO,access
  args destination:key#0 numkeys:integer key:key*#1
zincrby 4 write,denyoom,fast sortedset 1.2.0 sorted-set 1/1/1
  shape decides hot
  is Increment the score of a member in a sorted set
  costs O(log(N)) where N is the number of elements in the sorted set.
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 increment:integer member:string
zinter -3 readonly,movablekeys sortedset 6.2.0 sorted-set -
  shape reads hot 40
  is Intersect multiple sorted sets
  costs O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input
    sorted sets and M being the number of elements in the resulting sorted set.
  keys 1 keynum 0 1 1 RO,access
  args numkeys:integer key:key*#0 weight:integer=WEIGHTS?* aggregate:oneof=AGGREGATE?( sum:=SUM min:=MIN
  args max:=MAX ) withscores:=WITHSCORES?
zintercard -3 readonly,movablekeys sortedset 7.0.0 sorted-set -
  shape reads hot 20
  is Intersect multiple sorted sets and return the cardinality of the result
  costs O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.
  keys 1 keynum 0 1 1 RO,access
  args numkeys:integer key:key*#0 limit:integer=LIMIT?
zinterstore -4 write,denyoom,movablekeys sortedset 2.0.0 sorted-set 1/1/1
  shape decides,asks hot 40
  is Intersect multiple sorted sets and store the resulting sorted set in a new key
  costs O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input
    sorted sets and M being the number of elements in the resulting sorted set.
  keys 1 range 0 1 0 OW,update
  keys 2 keynum 0 1 1 RO,access
  args destination:key#0 numkeys:integer key:key*#1 weight:integer=WEIGHTS?* aggregate:oneof=AGGREGATE?(
  args sum:=SUM min:=MIN max:=MAX )
zlexcount 4 readonly,fast sortedset 2.8.9 sorted-set 1/1/1
  shape reads hot
  is Count the number of members in a sorted set between a given lexicographical range
  costs O(log(N)) with N being the number of elements in the sorted set.
  keys 1 range 0 1 0 RO,access
  args key:key#0 min:string max:string
zmpop -4 write,movablekeys,by_name sortedset 7.0.0 sorted-set -
  shape decides hot 32
  is Remove and return members with scores in a sorted set
  costs O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted
    set, and M being the number of elements popped.
  keys 1 keynum 0 1 1 RW,access,delete
  args numkeys:integer key:key*#0 where:oneof( min:=MIN max:=MAX ) count:integer=COUNT?
zmscore -3 readonly,fast sortedset 6.2.0 sorted-set 1/1/1
  shape reads hot 1024
  is Get the score associated with the given members in a sorted set
  costs O(N) where N is the number of members being requested.
  keys 1 range 0 1 0 RO,access
  args key:key#0 member:string*
zpopmax -2 write,fast,by_name sortedset 5.0.0 sorted-set 1/1/1
  shape decides hot 3
  is Remove and return members with the highest scores in a sorted set
  costs O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements
    popped.
  keys 1 range 0 1 0 RW,access,delete
  args key:key#0 count:integer?
zpopmin -2 write,fast,by_name sortedset 5.0.0 sorted-set 1/1/1
  shape decides hot 3
  is Remove and return members with the lowest scores in a sorted set
  costs O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements
    popped.
  keys 1 range 0 1 0 RW,access,delete
  args key:key#0 count:integer?
zrandmember -2 readonly sortedset 6.2.0 sorted-set 1/1/1
  shape reads hot 4
  is Get one or multiple random elements from a sorted set
  costs O(N) where N is the number of elements returned
  tip nondeterministic_output
  keys 1 range 0 1 0 RO,access
  args key:key#0 options:block?( count:integer withscores:=WITHSCORES? )
zrange -4 readonly sortedset 1.2.0 sorted-set 1/1/1
  shape reads hot 10
  is Return a range of members in a sorted set
  costs O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.
  keys 1 range 0 1 0 RO,access
  since 6.2.0 Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options.
  args key:key#0 start:string stop:string sortby:oneof?@6.2.0( byscore:=BYSCORE bylex:=BYLEX ) rev:=REV?@6.2.0
  args offset_count:block=LIMIT?@6.2.0( offset:integer count:integer ) withscores:=WITHSCORES?
zrangebylex -4 readonly sortedset 2.8.9 sorted-set 1/1/1
  shape reads hot 8
  is Return a range of members in a sorted set, by lexicographical range
  costs O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being
    returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it
    O(log(N)).
  keys 1 range 0 1 0 RO,access
  doc deprecated
  deprecated 6.2.0
  instead `ZRANGE` with the `BYLEX` argument
  args key:key#0 min:string max:string offset_count:block=LIMIT?( offset:integer count:integer )
zrangebyscore -4 readonly sortedset 1.0.5 sorted-set 1/1/1
  shape reads hot 8
  is Return a range of members in a sorted set, by score
  costs O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being
    returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it
    O(log(N)).
  keys 1 range 0 1 0 RO,access
  since 2.0.0 Added the `WITHSCORES` modifier.
  doc deprecated
  deprecated 6.2.0
  instead `ZRANGE` with the `BYSCORE` argument
  args key:key#0 min:double max:double withscores:=WITHSCORES?@2.0.0 offset_count:block=LIMIT?( offset:integer
  args count:integer )
zrangestore -5 write,denyoom sortedset 6.2.0 sorted-set 1/2/1
  shape decides,asks hot 10
  is Store a range of members from sorted set into another key
  costs O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored
    into the destination key.
  keys 1 range 0 1 0 OW,update
  keys 2 range 0 1 0 RO,access
  args dst:key#0 src:key#1 min:string max:string sortby:oneof?( byscore:=BYSCORE bylex:=BYLEX ) rev:=REV?
  args offset_count:block=LIMIT?( offset:integer count:integer )
zrank 3 readonly,fast sortedset 2.0.0 sorted-set 1/1/1
  shape reads hot
  is Determine the index of a member in a sorted set
  costs O(log(N))
  keys 1 range 0 1 0 RO,access
  args key:key#0 member:string
zrem -3 write,fast,by_name sortedset 1.2.0 sorted-set 1/1/1
  shape decides hot 1024
  is Remove one or more members from a sorted set
  costs O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be
    removed.
  keys 1 range 0 1 0 RW,delete
  since 2.4.0 Accepts multiple elements.
  args key:key#0 member:string*
zremrangebylex 4 write,by_name sortedset 2.8.9 sorted-set 1/1/1
  shape decides hot
  is Remove all members in a sorted set between the given lexicographical range
  costs O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed
    by the operation.
  keys 1 range 0 1 0 RW,delete
  args key:key#0 min:string max:string
zremrangebyrank 4 write,by_name sortedset 2.0.0 sorted-set 1/1/1
  shape decides hot
  is Remove all members in a sorted set within the given indexes
  costs O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed
    by the operation.
  keys 1 range 0 1 0 RW,delete
  args key:key#0 start:integer stop:integer
zremrangebyscore 4 write,by_name sortedset 1.2.0 sorted-set 1/1/1
  shape decides hot
  is Remove all members in a sorted set within the given scores
  costs O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed
    by the operation.
  keys 1 range 0 1 0 RW,delete
  args key:key#0 min:double max:double
zrevrange -4 readonly sortedset 1.2.0 sorted-set 1/1/1
  shape reads hot 8
  is Return a range of members in a sorted set, by index, with scores ordered from high to low
  costs O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.
  keys 1 range 0 1 0 RO,access
  doc deprecated
  deprecated 6.2.0
  instead `ZRANGE` with the `REV` argument
  args key:key#0 start:integer stop:integer withscores:=WITHSCORES?
zrevrangebylex -4 readonly sortedset 2.8.9 sorted-set 1/1/1
  shape reads hot 8
  is Return a range of members in a sorted set, by lexicographical range, ordered from higher to lower strings.
  costs O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being
    returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it
    O(log(N)).
  keys 1 range 0 1 0 RO,access
  doc deprecated
  deprecated 6.2.0
  instead `ZRANGE` with the `REV` and `BYLEX` arguments
  args key:key#0 max:string min:string offset_count:block=LIMIT?( offset:integer count:integer )
zrevrangebyscore -4 readonly sortedset 2.2.0 sorted-set 1/1/1
  shape reads hot 8
  is Return a range of members in a sorted set, by score, with scores ordered from high to low
  costs O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being
    returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it
    O(log(N)).
  keys 1 range 0 1 0 RO,access
  since 2.1.6 `min` and `max` can be exclusive.
  doc deprecated
  deprecated 6.2.0
  instead `ZRANGE` with the `REV` and `BYSCORE` arguments
  args key:key#0 max:double min:double withscores:=WITHSCORES? offset_count:block=LIMIT?( offset:integer
  args count:integer )
zrevrank 3 readonly,fast sortedset 2.0.0 sorted-set 1/1/1
  shape reads hot
  is Determine the index of a member in a sorted set, with scores ordered from high to low
  costs O(log(N))
  keys 1 range 0 1 0 RO,access
  args key:key#0 member:string
zscan -3 readonly sortedset 2.8.0 sorted-set 1/1/1
  shape reads hot 7
  is Incrementally iterate sorted sets elements and associated scores
  costs O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to
    return back to 0. N is the number of elements inside the collection..
  tip nondeterministic_output
  keys 1 range 0 1 0 RO,access
  args key:key#0 cursor:integer pattern:pattern=MATCH? count:integer=COUNT?
zscore 3 readonly,fast sortedset 1.2.0 sorted-set 1/1/1
  shape reads hot
  is Get the score associated with the given member in a sorted set
  costs O(1)
  keys 1 range 0 1 0 RO,access
  args key:key#0 member:string
zunion -3 readonly,movablekeys sortedset 6.2.0 sorted-set -
  shape reads hot 40
  is Add multiple sorted sets
  costs O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of
    elements in the resulting sorted set.
  keys 1 keynum 0 1 1 RO,access
  args numkeys:integer key:key*#0 weight:integer=WEIGHTS?* aggregate:oneof=AGGREGATE?( sum:=SUM min:=MIN
  args max:=MAX ) withscores:=WITHSCORES?
zunionstore -4 write,denyoom,movablekeys sortedset 2.0.0 sorted-set 1/1/1
  shape decides,asks hot 40
  is Add multiple sorted sets and store the resulting sorted set in a new key
  costs O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of
    elements in the resulting sorted set.
  keys 1 range 0 1 0 OW,update
  keys 2 keynum 0 1 1 RO,access
  args destination:key#0 numkeys:integer key:key*#1 weight:integer=WEIGHTS?* aggregate:oneof=AGGREGATE?(
  args sum:=SUM min:=MIN max:=MAX )
"""
