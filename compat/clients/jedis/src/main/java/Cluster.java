import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.JedisCluster;

/** Jedis's cluster client on three nodes, one of which is lost and comes back. */
public final class Cluster {
    private static final long FAILOVER_MS_MAX = 30_000;
    private static final String[] PORTS = System.getenv("RESPRAM_ENCLAVE").split(",");
    private static final BufferedReader INPUT = new BufferedReader(new InputStreamReader(System.in));
    private static final Pattern FORWARDED = Pattern.compile("forwarded_commands:(\\d+)");

    private static void ask(String word, String answer) throws Exception {
        Telling.say(word);
        Telling.same(INPUT.readLine(), answer);
    }

    private static long forwarded() {
        long sum = 0;
        for (String port : PORTS) {
            try (Jedis node = new Jedis(Telling.HOST, Integer.parseInt(port))) {
                Matcher found = FORWARDED.matcher(node.info("replication"));
                if (found.find()) sum += Long.parseLong(found.group(1));
            }
        }
        return sum;
    }

    private static void countAll(JedisCluster client) {
        for (int number = 0; number < 100; number++) client.incr("cluster-" + number);
    }

    public static void main(String[] arguments) {
        Telling.say("version " + arguments[0]);
        JedisCluster client = new JedisCluster(new HostAndPort(Telling.HOST, Integer.parseInt(PORTS[0])));
        Telling.check("connect", () -> Telling.same(client.setex("first", 60, "v"), "OK"));
        Telling.check("route", () -> {
            long before = forwarded();
            countAll(client);
            Telling.between(forwarded() - before, -1, 5);
        });
        Telling.check("tags", () -> {
            client.mset("{tag}1", "a", "{tag}2", "b");
            Telling.same(client.mget("{tag}1", "{tag}2", "{tag}3").toString(), "[a, b, null]");
        });
        Telling.say("skip transaction this client has none on a cluster");
        Telling.check("shard-messages", () -> {
            LinkedBlockingQueue<String> heard = new LinkedBlockingQueue<>();
            redis.clients.jedis.JedisShardedPubSub listener = new redis.clients.jedis.JedisShardedPubSub() {
                @Override
                public void onSMessage(String channel, String message) {
                    heard.add(message);
                }
            };
            Thread thread = new Thread(() -> client.ssubscribe(listener, "shard"));
            thread.setDaemon(true);
            thread.start();
            String message = null;
            for (int tries = 0; message == null && tries < 100; tries++) {
                client.spublish("shard", "hello");
                message = heard.poll(100, TimeUnit.MILLISECONDS);
            }
            Telling.same(message, "hello");
            listener.sunsubscribe();
        });
        Telling.check("failover", () -> {
            ask("kill", "killed");
            long began = System.currentTimeMillis();
            while (true) {
                try {
                    countAll(client);
                    break;
                } catch (RuntimeException error) {
                    if (System.currentTimeMillis() - began > FAILOVER_MS_MAX) throw error;
                }
            }
            Telling.say("figure failover_ms=" + (System.currentTimeMillis() - began));
        });
        Telling.check("return", () -> {
            ask("start", "started");
            countAll(client);
            countAll(client);
        });
        Telling.say("done");
        System.exit(0);
    }
}
