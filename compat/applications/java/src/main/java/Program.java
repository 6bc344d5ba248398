import io.github.bucket4j.BucketConfiguration;
import io.github.bucket4j.distributed.ExpirationAfterWriteStrategy;
import io.github.bucket4j.redis.lettuce.Bucket4jLettuce;
import io.lettuce.core.RedisClient;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import java.util.Set;
import net.javacrumbs.shedlock.core.LockConfiguration;
import net.javacrumbs.shedlock.provider.redis.spring.RedisLockProvider;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;
import org.springframework.data.redis.core.RedisTemplate;
import org.springframework.data.redis.core.StringRedisTemplate;
import org.springframework.data.redis.listener.RedisMessageListenerContainer;
import org.springframework.data.redis.serializer.RedisSerializer;
import org.springframework.session.FindByIndexNameSessionRepository;
import org.springframework.session.Session;
import org.springframework.session.SessionRepository;
import org.springframework.session.data.redis.RedisIndexedSessionRepository;
import org.springframework.session.data.redis.RedisSessionRepository;

/** ShedLock, Spring Session and bucket4j over Lettuce: `Program shedlock|session|indexed|bucket4j version`. */
public class Program {
    interface Call {
        void run() throws Exception;
    }

    static final String HOST = System.getenv("RESPRAM_HOST");
    static final int PORT = Integer.parseInt(System.getenv("RESPRAM_PORT"));
    static final int PATIENCE_MS = 5_000;

    static void say(String text) {
        System.out.println(text.replaceAll("\\s+", " "));
        System.out.flush();
    }

    static void check(String name, Call call) {
        try {
            call.run();
            say("ok " + name);
        } catch (AssertionError difference) {
            say("fail " + name + " " + difference.getMessage());
        } catch (Throwable error) {
            Throwable last = error;
            while (last.getCause() != null) last = last.getCause();
            say("fail " + name + " expected=no error got=" + last);
        }
    }

    static void same(Object got, Object expected) {
        if (!Objects.equals(got, expected)) throw new AssertionError("expected=" + expected + " got=" + got);
    }

    /** Until it holds, or the patience is over. */
    static void becomes(String what, java.util.concurrent.Callable<Boolean> fact) throws Exception {
        long end = System.currentTimeMillis() + PATIENCE_MS;
        while (!fact.call()) {
            if (System.currentTimeMillis() > end) {
                throw new AssertionError("expected=" + what + " got=not within " + PATIENCE_MS + " ms");
            }
            Thread.sleep(50);
        }
    }

    static LettuceConnectionFactory factory() {
        LettuceConnectionFactory made = new LettuceConnectionFactory(HOST, PORT);
        made.afterPropertiesSet();
        made.start();
        return made;
    }

    // -- ShedLock ---------------------------------------------------------------------------------
    static LockConfiguration job(String name, int mostMs, int leastMs) {
        return new LockConfiguration(Instant.now(), name, Duration.ofMillis(mostMs), Duration.ofMillis(leastMs));
    }

    static void shedlock() {
        LettuceConnectionFactory factory = factory();
        RedisLockProvider provider = new RedisLockProvider(factory, "test");
        check("lock-and-unlock", () -> {
            var mine = provider.lock(job("report", 60_000, 0)).orElseThrow();
            same(provider.lock(job("report", 60_000, 0)).isPresent(), false);
            mine.unlock();
            provider.lock(job("report", 60_000, 0)).orElseThrow().unlock();
        });
        check("extend", () -> {
            var mine = provider.lock(job("extended", 1_000, 0)).orElseThrow()
                .extend(Duration.ofSeconds(60), Duration.ZERO).orElseThrow();
            Thread.sleep(1_200);
            same(provider.lock(job("extended", 60_000, 0)).isPresent(), false);
            mine.unlock();
            same(provider.lock(job("extended", 60_000, 0)).isPresent(), true);
        });
        check("held-at-least", () -> {
            provider.lock(job("least", 60_000, 1_500)).orElseThrow().unlock();
            same(provider.lock(job("least", 60_000, 0)).isPresent(), false);
            becomes("free", () -> provider.lock(job("least", 60_000, 0)).isPresent());
        });
        check("held-at-most", () -> {
            provider.lock(job("most", 300, 0)).orElseThrow();
            becomes("free", () -> provider.lock(job("most", 60_000, 0)).isPresent());
        });
        factory.destroy();
    }

    // -- Spring Session ---------------------------------------------------------------------------
    static RedisTemplate<String, Object> template(LettuceConnectionFactory factory) {
        RedisTemplate<String, Object> template = new RedisTemplate<>();
        template.setKeySerializer(RedisSerializer.string());
        template.setHashKeySerializer(RedisSerializer.string());
        template.setConnectionFactory(factory);
        template.afterPropertiesSet();
        return template;
    }

    static <S extends Session> void ofSessions(SessionRepository<S> sessions) {
        check("create-and-find", () -> {
            S session = sessions.createSession();
            session.setAttribute("name", "ada");
            sessions.save(session);
            same(sessions.findById(session.getId()).getAttribute("name"), "ada");
        });
        check("change", () -> {
            S session = sessions.createSession();
            session.setAttribute("name", "ada");
            sessions.save(session);
            S again = sessions.findById(session.getId());
            again.setAttribute("name", "bob");
            sessions.save(again);
            same(sessions.findById(session.getId()).getAttribute("name"), "bob");
        });
        check("new-id-at-login", () -> {
            S session = sessions.createSession();
            session.setAttribute("name", "ada");
            sessions.save(session);
            String before = session.getId();
            S again = sessions.findById(before);
            String after = again.changeSessionId();
            sessions.save(again);
            same(sessions.findById(before), null);
            same(sessions.findById(after).getAttribute("name"), "ada");
        });
        check("logout", () -> {
            S session = sessions.createSession();
            sessions.save(session);
            sessions.deleteById(session.getId());
            same(sessions.findById(session.getId()), null);
        });
        check("expire", () -> {
            S session = sessions.createSession();
            session.setMaxInactiveInterval(Duration.ofSeconds(1));
            sessions.save(session);
            same(sessions.findById(session.getId()) != null, true);
            becomes("gone", () -> sessions.findById(session.getId()) == null);
        });
    }

    static void session() {
        LettuceConnectionFactory factory = factory();
        ofSessions(new RedisSessionRepository(template(factory)));
        factory.destroy();
    }

    static void indexed() throws Exception {
        LettuceConnectionFactory factory = factory();
        RedisIndexedSessionRepository sessions = new RedisIndexedSessionRepository(template(factory));
        sessions.afterPropertiesSet();
        ofSessions(sessions);
        check("all-of-a-user", () -> {
            var session = sessions.createSession();
            session.setAttribute(FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME, "ada");
            sessions.save(session);
            same(sessions.findByPrincipalName("ada").keySet(), Set.of(session.getId()));
            sessions.deleteById(session.getId());
            same(sessions.findByPrincipalName("ada").keySet(), Set.of());
        });
        factory.destroy();
    }

    // -- bucket4j ---------------------------------------------------------------------------------
    static void bucket4j() {
        RedisClient client = RedisClient.create("redis://" + HOST + ":" + PORT);
        var manager = Bucket4jLettuce.casBasedBuilder(client)
            .expirationAfterWrite(
                ExpirationAfterWriteStrategy.basedOnTimeForRefillingBucketUpToMax(Duration.ofSeconds(10)))
            .build();
        var limit = BucketConfiguration.builder()
            .addLimit(one -> one.capacity(3).refillIntervally(3, Duration.ofSeconds(2))).build();
        byte[] key = "bucket:ada".getBytes(StandardCharsets.UTF_8);
        var bucket = manager.builder().build(key, () -> limit);
        check("spend", () -> {
            for (int left = 2; left >= 0; left--) {
                same(bucket.tryConsumeAndReturnRemaining(1).getRemainingTokens(), (long) left);
            }
            same(bucket.tryConsume(1), false);
        });
        check("refill", () -> becomes("refilled", () -> bucket.tryConsume(3)));
        check("another-process", () -> same(manager.builder().build(key, () -> limit).tryConsume(3), false));
        check("race", () -> {
            var wide = BucketConfiguration.builder()
                .addLimit(one -> one.capacity(100).refillIntervally(1, Duration.ofHours(1))).build();
            var shared = manager.builder().build("bucket:shared".getBytes(StandardCharsets.UTF_8), () -> wide);
            var spent = new java.util.concurrent.atomic.AtomicInteger();
            Thread[] threads = new Thread[4];
            for (int number = 0; number < threads.length; number++) {
                threads[number] = new Thread(() -> {
                    for (int turn = 0; turn < 50; turn++) if (shared.tryConsume(1)) spent.incrementAndGet();
                });
                threads[number].start();
            }
            for (Thread thread : threads) thread.join();
            same(spent.get(), 100);
        });
        check("reset", () -> {
            manager.removeProxy(key);
            same(manager.builder().build(key, () -> limit).tryConsume(3), true);
        });
        client.shutdown();
    }

    public static void main(String[] words) throws Exception {
        say("version " + words[1]);
        switch (words[0]) {
            case "shedlock" -> shedlock();
            case "session" -> session();
            case "indexed" -> indexed();
            default -> bucket4j();
        }
        say("done");
        System.exit(0);
    }
}
