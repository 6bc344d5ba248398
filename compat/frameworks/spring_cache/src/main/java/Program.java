import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.springframework.cache.Cache;
import org.springframework.cache.annotation.CacheEvict;
import org.springframework.cache.annotation.Cacheable;
import org.springframework.cache.annotation.EnableCaching;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.data.redis.cache.RedisCacheConfiguration;
import org.springframework.data.redis.cache.RedisCacheManager;
import org.springframework.data.redis.cache.RedisCacheWriter;
import org.springframework.data.redis.connection.RedisStandaloneConfiguration;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;
import org.springframework.data.redis.core.StringRedisTemplate;

/**
 * Spring's cache abstraction over Spring Data Redis and Lettuce: an application of one bean with cached methods.
 *
 * As it comes its writer sends puts, evictions and clears without waiting for the reply ("later"); with
 * `immediateWrites` it waits ("at-once").
 */
public final class Program {
    static final String HOST = System.getenv("RESPRAM_HOST");
    static final int PORT = Integer.parseInt(System.getenv("RESPRAM_PORT"));
    static boolean isAtOnce;
    static final long WAIT_MS = 10_000;

    @Configuration
    @EnableCaching
    public static class Application {
        @Bean
        public LettuceConnectionFactory connections() {
            return new LettuceConnectionFactory(new RedisStandaloneConfiguration(HOST, PORT));
        }

        @Bean
        public RedisCacheManager cacheManager(LettuceConnectionFactory connections) {
            RedisCacheConfiguration minute = RedisCacheConfiguration.defaultCacheConfig()
                .entryTtl(Duration.ofMinutes(1));
            return RedisCacheManager.builder(RedisCacheWriter.create(connections,
                writer -> writer.immediateWrites(isAtOnce)))
                .cacheDefaults(minute)
                .withCacheConfiguration("brief", minute.entryTtl(Duration.ofSeconds(1)))
                .withCacheConfiguration("bare", RedisCacheConfiguration.defaultCacheConfig())
                .withCacheConfiguration("idle", minute.enableTimeToIdle())
                .build();
        }

        @Bean
        public StringRedisTemplate node(LettuceConnectionFactory connections) {
            return new StringRedisTemplate(connections);
        }

        @Bean
        public Books books() {
            return new Books();
        }
    }

    public static class Books {
        final AtomicInteger calls = new AtomicInteger();

        @Cacheable("books")
        public String title(String number) {
            return number + "-" + calls.incrementAndGet();
        }

        @CacheEvict("books")
        public void forget(String number) {}

        public int calls() {
            return calls.get();
        }
    }

    interface Call {
        /** The reason of a refusal by design that was seen; null when the check simply passed. */
        String run() throws Exception;
    }

    static void check(String name, Call call) {
        try {
            String refusal = call.run();
            say(refusal == null ? "ok " + name : "limit " + name + " " + refusal);
        } catch (Throwable error) {
            say("fail " + name + " " + (error instanceof AssertionError
                ? error.getMessage() : "expected=no error got=" + error));
        }
    }

    static void say(String text) {
        System.out.println(text.replaceAll("\\s+", " "));
        System.out.flush();
    }

    static void same(Object got, Object expected) {
        if (!Objects.equals(got, expected)) throw new AssertionError("expected=" + expected + " got=" + got);
    }

    static void between(long got, long low, long high) {
        if (got <= low || got > high) throw new AssertionError("expected=" + low + ".." + high + " got=" + got);
    }

    static void refused(Runnable call, String words) {
        try {
            call.run();
        } catch (RuntimeException error) {
            for (Throwable one = error; one != null; one = one.getCause()) {
                if (String.valueOf(one.getMessage()).contains(words)) return;
            }
            throw error;
        }
        throw new AssertionError("expected=an error with " + words + " got=none");
    }

    static void put(Cache cache, String key, Object value) throws InterruptedException {
        cache.put(key, value);
        same(isAtOnce ? cache.get(key) != null : soon(() -> cache.get(key) != null), true);
    }

    static boolean soon(BooleanSupplier fact) throws InterruptedException {
        long end = System.nanoTime() + WAIT_MS * 1_000_000;
        while (!fact.getAsBoolean() && System.nanoTime() < end) Thread.sleep(10);
        return fact.getAsBoolean();
    }

    public static void main(String[] arguments) {
        isAtOnce = arguments[1].equals("at-once");
        say("version " + arguments[0]);
        try (var context = new AnnotationConfigApplicationContext(Application.class)) {
            checks(context.getBean(RedisCacheManager.class), context.getBean(StringRedisTemplate.class),
                context.getBean(Books.class));
        }
        say("done");
    }

    static void checks(RedisCacheManager manager, StringRedisTemplate node, Books books) {
        Cache cache = manager.getCache("plain");
        check("cacheable", () -> {
            same(books.title("a"), "a-1");
            same(soon(() -> manager.getCache("books").get("a") != null), true);
            same(List.of(books.title("a"), books.title("b")), List.of("a-1", "b-2"));
            same(books.calls(), 2);
            return null;
        });
        check("time-to-live", () -> {
            between(node.getExpire("books::a"), 50, 60);
            return null;
        });
        check("without-time-to-live", () -> {
            put(manager.getCache("bare"), "k", "v");
            same(manager.getCache("bare").get("k", String.class), "v");
            between(node.getExpire("bare::k"), 0, Long.MAX_VALUE);
            return null;
        });
        check("expiry", () -> {
            Cache brief = manager.getCache("brief");
            put(brief, "k", "v");
            same(soon(() -> brief.get("k") == null), true);
            return null;
        });
        check("time-to-idle", () -> {
            Cache idle = manager.getCache("idle");
            put(idle, "k", "v");
            node.expire("idle::k", Duration.ofSeconds(20));
            same(idle.get("k", String.class), "v");
            between(node.getExpire("idle::k"), 50, 60);
            return null;
        });
        check("put-if-absent", () -> {
            same(cache.putIfAbsent("once", "a"), null);
            same(cache.putIfAbsent("once", "b").get(), "a");
            between(node.getExpire("plain::once"), 50, 60);
            return null;
        });
        check("null-value", () -> {
            put(cache, "nothing", null);
            same(cache.get("nothing").get(), null);
            return null;
        });
        check("loader", () -> {
            same(cache.get("made", () -> "first"), "first");
            same(soon(() -> cache.get("made") != null), true);
            same(cache.get("made", () -> "second"), "first");
            return null;
        });
        check("evict", () -> {
            if (isAtOnce) refused(() -> books.forget("a"), "refused by design");
            else books.forget("a");
            refused(() -> manager.getCache("books").evictIfPresent("a"), "refused by design");
            same(books.title("a"), "a-1");
            return isAtOnce ? "evict raises, and the value stays"
                : "only evictIfPresent raises: evict does not wait for the reply; the value stays";
        });
        check("clear", () -> {
            if (isAtOnce) refused(cache::clear, "refused by design");
            else cache.clear();
            refused(cache::invalidate, "refused by design");
            same(cache.get("once", String.class), "a");
            return isAtOnce ? "clear raises, and the values stay"
                : "only invalidate raises: clear does not wait for the reply; the values stay";
        });
    }
}
