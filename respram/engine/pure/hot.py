"""The fast paths: the common, successful form of ordinary commands.
Here is the table; the handlers are in the files it names.

Each takes (keyspace, session, argv, now_ms) and answers with reply bytes, or with None to decline before it has changed
anything: then the command goes to `respram/commands/`, which knows every form and every error. What is here
must answer as that does, byte for byte. The twin of native/hot.c.
"""

from collections.abc import Callable

from respram.engine.api import Session
from respram.engine.pure import channels, counts, fields, multi, parts, programs, ranks, reads, writes
from respram.engine.pure.keyspace import Keyspace

Handler = Callable[[Keyspace, Session, list[bytes], int], bytes | None]

# By name, as the command table has it.
HANDLERS: dict[bytes, Handler] = {
    b"get": reads.get,
    b"mget": reads.mget,
    b"exists": reads.exists,
    b"ttl": reads.ttl,
    b"pttl": reads.pttl,
    b"expiretime": reads.expiretime,
    b"pexpiretime": reads.pexpiretime,
    b"strlen": reads.strlen,
    b"type": reads.type_,
    b"dbsize": reads.dbsize,
    b"select": reads.select,
    b"ping": reads.ping,
    b"echo": reads.echo,
    b"touch": reads.exists,
    b"set": writes.set_,
    b"setex": writes.setex,
    b"psetex": writes.psetex,
    b"setnx": writes.setnx,
    b"getset": writes.getset,
    b"mset": writes.mset,
    b"msetnx": writes.msetnx,
    b"expire": writes.expire,
    b"pexpire": writes.pexpire,
    b"expireat": writes.expireat,
    b"pexpireat": writes.pexpireat,
    b"getex": writes.getex,
    b"incr": counts.incr,
    b"decr": counts.decr,
    b"incrby": counts.incrby,
    b"decrby": counts.decrby,
    b"incrbyfloat": counts.incrbyfloat,
    b"getrange": parts.getrange,
    b"append": parts.append,
    b"setrange": parts.setrange,
    b"setbit": parts.setbit,
    b"getbit": parts.getbit,
    b"bitcount": parts.bitcount,
    b"bitpos": parts.bitpos,
    b"copy": parts.copy,
    b"substr": parts.getrange,
    b"hset": fields.hset,
    b"hincrby": fields.hincrby,
    b"hget": fields.hget,
    b"hmget": fields.hmget,
    b"hgetall": fields.hgetall,
    b"hexists": fields.hexists,
    b"hlen": fields.hlen,
    b"sadd": fields.sadd,
    b"srem": fields.srem,
    b"sismember": fields.sismember,
    b"scard": fields.scard,
    b"zrange": ranks.zrange,
    b"zrangebyscore": ranks.zrangebyscore,
    b"zadd": ranks.zadd,
    b"zcard": ranks.zcard,
    b"zincrby": ranks.zincrby,
    b"zrank": ranks.zrank,
    b"zscore": ranks.zscore,
    b"eval": programs.evaluate,
    b"evalsha": programs.evaluate,
    b"multi": multi.multi,
    b"exec": multi.without_multi,
    b"discard": multi.without_multi,
    b"watch": multi.watch,
    b"unwatch": multi.unwatch,
    b"del": writes.delete,
    b"unlink": writes.delete,
    b"publish": channels.publish,
}
