import io.lettuce.core.KeyValue;
import io.lettuce.core.RedisURI;
import io.lettuce.core.cluster.ClusterClientOptions;
import io.lettuce.core.cluster.ClusterTopologyRefreshOptions;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.api.sync.RedisAdvancedClusterCommands;
import io.lettuce.core.cluster.models.partitions.RedisClusterNode;
import io.lettuce.core.cluster.pubsub.RedisClusterPubSubAdapter;
import io.lettuce.core.cluster.pubsub.StatefulRedisClusterPubSubConnection;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Lettuce's cluster client on three nodes, one of which is lost and comes back. Its topology follows what happens, as
 * its manual advises.
 */
public final class Cluster {
    private static final long FAILOVER_MS_MAX = 30_000;
    private static final String[] PORTS = System.getenv("RESPRAM_ENCLAVE").split(",");
    private static final BufferedReader INPUT = new BufferedReader(new InputStreamReader(System.in));
    private static final Pattern FORWARDED = Pattern.compile("forwarded_commands:(\\d+)");

    private static void ask(String word, String answer) throws Exception {
        Telling.say(word);
        Telling.same(INPUT.readLine(), answer);
    }

    private static long forwarded(StatefulRedisClusterConnection<String, String> connection) {
        long sum = 0;
        for (String port : PORTS) {
            Matcher found = FORWARDED.matcher(connection.getConnection(Telling.HOST, Integer.parseInt(port)).sync()
                .info("replication"));
            if (found.find()) sum += Long.parseLong(found.group(1));
        }
        return sum;
    }

    private static void countAll(RedisAdvancedClusterCommands<String, String> client) {
        for (int number = 0; number < 100; number++) client.incr("cluster-" + number);
    }

    private static long servedAfter(RedisAdvancedClusterCommands<String, String> client) {
        long began = System.currentTimeMillis();
        while (true) {
            try {
                countAll(client);
                return System.currentTimeMillis() - began;
            } catch (RuntimeException error) {
                if (System.currentTimeMillis() - began > FAILOVER_MS_MAX) throw error;
            }
        }
    }

    public static void main(String[] arguments) {
        Telling.say("version " + arguments[0]);
        RedisURI seed = RedisURI.builder().withHost(Telling.HOST).withPort(Integer.parseInt(PORTS[0]))
            .withTimeout(Duration.ofSeconds(2)).build();
        RedisClusterClient cluster = RedisClusterClient.create(seed);
        cluster.setOptions(ClusterClientOptions.builder().topologyRefreshOptions(ClusterTopologyRefreshOptions.builder()
            .enableAllAdaptiveRefreshTriggers().adaptiveRefreshTriggersTimeout(Duration.ofMillis(200))
            .refreshTriggersReconnectAttempts(1)
            .enablePeriodicRefresh(Duration.ofSeconds(1)).build()).build());
        StatefulRedisClusterConnection<String, String> connection = cluster.connect();
        RedisAdvancedClusterCommands<String, String> client = connection.sync();
        Telling.check("connect", () -> {
            Telling.same(client.setex("first", 60, "v"), "OK");
            for (RedisClusterNode node : cluster.getPartitions()) {
                Telling.same(node.is(RedisClusterNode.NodeFlag.UPSTREAM), true);
            }
            Telling.same(cluster.getPartitions().size(), 3);
        });
        Telling.check("route", () -> {
            long before = forwarded(connection);
            countAll(client);
            Telling.between(forwarded(connection) - before, -1, 5);
        });
        Telling.check("tags", () -> {
            client.mset(Map.of("{tag}1", "a", "{tag}2", "b"));
            List<KeyValue<String, String>> found = client.mget("{tag}1", "{tag}2", "{tag}3");
            Telling.same(found.get(0).getValue() + found.get(1).getValue() + found.get(2).hasValue(), "abfalse");
        });
        Telling.check("transaction", () -> {
            var node = connection.getConnection(cluster.getPartitions()
                .getPartitionBySlot(io.lettuce.core.cluster.SlotHash.getSlot("{deal}1")).getNodeId()).sync();
            var deal = (io.lettuce.core.api.sync.RedisCommands<String, String>) node;
            deal.multi();
            deal.setex("{deal}1", 60, "a");
            deal.incr("{deal}2");
            Telling.same(deal.exec().size(), 2);
        });
        Telling.check("shard-messages", () -> {
            LinkedBlockingQueue<String> heard = new LinkedBlockingQueue<>();
            StatefulRedisClusterPubSubConnection<String, String> listening = cluster.connectPubSub();
            listening.addListener(new RedisClusterPubSubAdapter<String, String>() {
                @Override
                public void smessage(RedisClusterNode node, String channel, String message) {
                    heard.add(message);
                }
            });
            listening.sync().ssubscribe("shard");
            String message = null;
            for (int tries = 0; message == null && tries < 100; tries++) {
                client.spublish("shard", "hello");
                message = heard.poll(100, TimeUnit.MILLISECONDS);
            }
            Telling.same(message, "hello");
            listening.close();
        });
        Telling.check("failover", () -> {
            ask("kill", "killed");
            Telling.say("figure failover_ms=" + servedAfter(client));
        });
        Telling.check("return", () -> { // it tries to reach a node that was lost at longer and longer intervals
            ask("start", "started");
            Telling.say("figure return_ms=" + servedAfter(client));
        });
        Telling.say("done");
        System.exit(0);
    }
}
