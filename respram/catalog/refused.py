"""The commands that are refused, by the reason, with their arity: arity is checked before anything.

Names and numbers only; the sentences are in `respram/commands/refusals.py`. A command that is not
here and not served is unknown. They are kept out of COMMAND, which tells what can be used.
"""

# reason -> `name arity` pairs. A name with a bar is a subcommand of a container that is served.
REFUSED = {
    "emptying": "flushall -1 flushdb -1 swapdb 3",
    "renaming": "move 3",
    "persisting": "persist 2 hpersist -5",
    "script": """
        fcall -3 fcall_ro -3 function -2
    """,
    "type": """
        blmove 6 blmpop -5 blpop -3 brpop -3 brpoplpush 4 lindex 3 linsert 5 llen 2 lmove 5 lmpop -4
        lpop -2 lpos -3 lpush -3 lpushx -3 lrange 4 lrem 4 lset 4 ltrim 4 rpop -2 rpoplpush 3 rpush -3
        rpushx -3
        sort -2 sort_ro -2
        xack -4 xadd -5 xautoclaim -6 xclaim -6 xdel -3 xgroup -2 xinfo -2 xlen 2 xpending -3 xrange -4
        xread -4 xreadgroup -7 xrevrange -4 xsetid -3 xtrim -4
        geoadd -5 geodist -4 geohash -2 geopos -2 georadius -6 georadius_ro -6 georadiusbymember -5
        georadiusbymember_ro -5 geosearch -7 geosearchstore -8
        pfadd -2 pfcount -2 pfdebug 3 pfmerge -2 pfselftest 1
    """,
    "bits": "bitfield -2 bitfield_ro -2",
    "comparing": "lcs -3",
    "watching": "monitor 1",
    "debugging": "debug -2 script|debug 3",
    "saving": "save 1 bgsave -1 bgrewriteaof 1 lastsave 1 waitaof 4",
    "dumping": "dump 2 restore -4 restore-asking -4 migrate -6",
    "filters": "bf.scandump 3 bf.loadchunk 4",
    "following": "replicaof 3 slaveof 3 failover -1 sync 1 psync -3 replconf -1",
    "modules": "module|load -3 module|loadex -3 module|unload 3",
    "slots": """
        cluster|addslots -3 cluster|addslotsrange -4 cluster|bumpepoch 2 cluster|count-failure-reports 3
        cluster|delslots -3
        cluster|delslotsrange -4 cluster|failover -2 cluster|flushslots 2 cluster|forget 3 cluster|meet -4
        cluster|replicate 3
        cluster|reset -2 cluster|saveconfig 2 cluster|set-config-epoch 3 cluster|setslot -4
    """,
}
