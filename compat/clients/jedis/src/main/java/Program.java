import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import redis.clients.jedis.AbstractTransaction;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.JedisPubSub;
import redis.clients.jedis.Pipeline;
import redis.clients.jedis.RedisProtocol;
import redis.clients.jedis.Response;
import redis.clients.jedis.params.ScanParams;
import redis.clients.jedis.params.SetParams;
import redis.clients.jedis.resps.ScanResult;

/** Jedis, blocking. */
public final class Program {
    private static Jedis connect(int port, DefaultJedisClientConfig.Builder config) {
        return new Jedis(new HostAndPort(Telling.HOST, port), config.timeoutMillis(10_000).build());
    }

    private static Jedis connect() {
        return connect(Telling.PORT, DefaultJedisClientConfig.builder());
    }

    private static void withResp(RedisProtocol protocol, String number) {
        try (Jedis node = connect(Telling.PORT, DefaultJedisClientConfig.builder().protocol(protocol))) {
            node.setex("resp", 60, "v");
            Telling.same(node.mget("resp", "missing").toString(), "[v, null]");
            Telling.same(node.clientInfo().contains("resp=" + number), true);
        }
    }

    private static void form(Jedis node, String name, SetParams params) {
        Telling.check(name, () -> {
            Telling.same(node.set(name, "v", params), "OK");
            Telling.between(node.pttl(name), 50_000, 61_000);
        });
    }

    public static void main(String[] arguments) {
        Telling.say("version " + arguments[0]);
        Jedis node = new Jedis(Telling.HOST, Telling.PORT);
        Telling.check("connect", () -> Telling.same(node.ping(), "PONG"));
        Telling.check("resp2", () -> withResp(RedisProtocol.RESP2, "2"));
        Telling.check("resp3", () -> withResp(RedisProtocol.RESP3, "3"));
        single(node);
        several(node);
        messages(node);
        others(node);
        Telling.check("restart", () -> {
            Telling.restart();
            Telling.refused(() -> node.set("after", "v"), "");
            try (Jedis again = connect()) {
                Telling.same(again.set("after", "v"), "OK");
            }
        });
        Telling.check("tls", () -> {
            DefaultJedisClientConfig.Builder config = DefaultJedisClientConfig.builder().ssl(true)
                .sslSocketFactory(Telling.tls().getSocketFactory());
            try (Jedis other = connect(Telling.TLS_PORT, config)) {
                Telling.same(other.setex("tls", 60, "v"), "OK");
                Telling.same(other.get("tls"), "v");
            }
        });
        Telling.say("done");
    }

    private static void single(Jedis node) {
        form(node, "set-ex", SetParams.setParams().ex(60));
        form(node, "set-px", SetParams.setParams().px(60_000));
        form(node, "set-exat", SetParams.setParams().exAt(System.currentTimeMillis() / 1000 + 60));
        form(node, "set-pxat", SetParams.setParams().pxAt(System.currentTimeMillis() + 60_000));
        Telling.check("set-keepttl", () -> {
            node.setex("kept", 60, "a");
            Telling.same(node.set("kept", "b", SetParams.setParams().keepTtl()), "OK");
            Telling.same(node.get("kept"), "b");
            Telling.between(node.ttl("kept"), 50, 60);
        });
        Telling.check("default-ttl", () -> {
            node.set("bare", "v");
            Telling.between(node.ttl("bare"), 0, Long.MAX_VALUE);
        });
        Telling.check("get", () -> Telling.same(node.get("set-ex"), "v"));
        Telling.check("get-missing", () -> Telling.same(node.get("missing"), null));
        Telling.check("mget", () -> Telling.same(node.mget("set-ex", "missing", "set-px").toString(), "[v, null, v]"));
        Telling.check("set-nx", () -> {
            Telling.same(node.set("once", "a", SetParams.setParams().nx().ex(60)), "OK");
            Telling.same(node.set("once", "b", SetParams.setParams().nx().ex(60)), null);
            Telling.same(node.get("once"), "a");
        });
        Telling.check("expire", () -> {
            node.setex("short", 600, "v");
            Telling.same(node.expire("short", 100), 1L);
            Telling.between(node.ttl("short"), 95, 100);
            Telling.same(node.pexpire("missing", 5), 0L);
        });
        Telling.check("ttl", () -> {
            Telling.same(node.ttl("missing"), -2L);
            Telling.between(node.ttl("set-ex"), 50, 60);
        });
        Telling.check("incr", () -> {
            Telling.same(node.incr("n") + node.incrBy("n", 5), 7L);
            Telling.same(node.incrByFloat("f", 1.5), 1.5);
        });
    }

    private static void several(Jedis node) {
        Telling.check("scan", () -> {
            for (int number = 0; number < 300; number++) node.setex("scan:" + number, 60, "v");
            Set<String> seen = new HashSet<>();
            String cursor = ScanParams.SCAN_POINTER_START;
            do {
                ScanResult<String> page = node.scan(cursor, new ScanParams().match("scan:*").count(17));
                seen.addAll(page.getResult());
                cursor = page.getCursor();
            } while (!cursor.equals(ScanParams.SCAN_POINTER_START));
            Telling.same(seen.size(), 300);
        });
        Telling.check("pipeline", () -> {
            Pipeline pipe = node.pipelined();
            List<Response<String>> got = new ArrayList<>();
            for (int number = 0; number < 200; number++) {
                pipe.setex("pipe:" + number, 60, "" + number);
                got.add(pipe.get("pipe:" + number));
            }
            pipe.sync();
            for (int number = 0; number < 200; number++) Telling.same(got.get(number).get(), "" + number);
        });
        Telling.check("multi", () -> {
            AbstractTransaction block = node.multi();
            block.setex("m", 60, "1");
            Response<Long> counted = block.incr("m");
            block.exec();
            Telling.same(counted.get(), 2L);
        });
        Telling.check("watch", () -> {
            node.watch("watched");
            try (Jedis other = connect()) {
                other.setex("watched", 60, "2");
            }
            AbstractTransaction block = node.multi();
            block.setex("watched", 60, "3");
            Telling.same(block.exec(), null);
            Telling.same(node.get("watched"), "2");
        });
    }

    /** What a subscriber on a connection of its own hears, after the act. */
    private static String heard(String channel, Runnable act) throws Exception {
        LinkedBlockingQueue<String> got = new LinkedBlockingQueue<>();
        CountDownLatch ready = new CountDownLatch(1);
        JedisPubSub listener = new JedisPubSub() {
            @Override
            public void onPMessage(String pattern, String on, String message) {
                got.add(on + "=" + message);
            }

            @Override
            public void onPSubscribe(String pattern, int count) {
                ready.countDown();
            }
        };
        Jedis wire = connect();
        Thread thread = new Thread(() -> wire.psubscribe(listener, channel));
        thread.setDaemon(true);
        thread.start();
        Telling.same(ready.await(5, TimeUnit.SECONDS), true);
        act.run();
        String first = got.poll(5, TimeUnit.SECONDS);
        listener.punsubscribe();
        thread.join(2000);
        wire.close();
        return first;
    }

    private static void messages(Jedis node) {
        Telling.check("publish-subscribe", () -> {
            Telling.same(heard("ne*", () -> Telling.same(node.publish("news", "one"), 1L)), "news=one");
            Telling.same(node.publish("news", "two"), 0L);
        });
        Telling.check("expired-event", () -> {
            Telling.same(heard("__keyevent@0__:expired", () -> node.psetex("brief", 80, "v")),
                "__keyevent@0__:expired=brief");
            Telling.same(node.get("brief"), null);
        });
        Telling.check("binary", () -> {
            byte[] value = Telling.bytes(256);
            node.setex(value, 60, value);
            Telling.same(node.get(value), value);
        });
        Telling.check("mebibyte", () -> {
            byte[] value = Telling.bytes(1 << 20);
            node.setex("large".getBytes(UTF_8), 60, value);
            Telling.same(node.strlen("large"), 1L << 20);
            Telling.same(node.get("large".getBytes(UTF_8)), value);
        });
    }

    private static void others(Jedis node) {
        Telling.check("auth", () -> {
            try (Jedis other = connect(Telling.AUTH_PORT, DefaultJedisClientConfig.builder()
                .password(Telling.PASSWORD))) {
                Telling.same(other.ping(), "PONG");
            }
        });
        Telling.check("auth-refused", () ->
            Telling.refused(() -> connect(Telling.AUTH_PORT, DefaultJedisClientConfig.builder().password("wrong"))
                .ping(), "invalid username-password pair"));
        Telling.check("select", () -> {
            try (Jedis other = connect(Telling.PORT, DefaultJedisClientConfig.builder().database(5))) {
                other.setex("there", 60, "v");
                Telling.same(node.get("there"), null);
                Telling.refused(() -> other.select(99), "DB index is out of range");
            }
        });
        Telling.check("del-refused", () -> {
            node.setex("stays", 60, "v");
            Telling.refused(() -> node.del("stays"), "refused by design");
            Telling.refused(node::flushDB, "refused by design");
            Telling.same(node.get("stays"), "v");
        });
        Telling.check("del-in-multi", () -> {
            AbstractTransaction block = node.multi();
            block.setex("sibling", 60, "v");
            Response<Long> gone = block.del("sibling");
            block.exec();
            Telling.refused(gone::get, "refused by design");
            Telling.same(node.get("sibling"), "v");
        });
    }
}
