import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import java.util.Objects;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** How a Java program says what came of a check: the lines of compat/verdict.py. */
final class Telling {
    interface Call {
        void run() throws Exception;
    }

    interface Source {
        Object get() throws Exception;
    }

    static final class Difference extends RuntimeException {
        Difference(String text) {
            super(text);
        }
    }

    static final String HOST = System.getenv("RESPRAM_HOST");
    static final int PORT = Integer.parseInt(System.getenv("RESPRAM_PORT"));
    static final int AUTH_PORT = Integer.parseInt(System.getenv("RESPRAM_AUTH_PORT"));
    static final int TLS_PORT = Integer.parseInt(System.getenv("RESPRAM_TLS_PORT"));
    static final String TLS_CA = System.getenv("RESPRAM_TLS_CA");
    static final String PASSWORD = System.getenv("RESPRAM_PASSWORD");

    static void check(String name, Call call) {
        try {
            call.run();
            say("ok " + name);
        } catch (Difference difference) {
            say("fail " + name + " " + difference.getMessage());
        } catch (Throwable error) {
            say("fail " + name + " expected=no error got=" + chain(error));
        }
    }

    static void say(String text) {
        System.out.println(text.replaceAll("\\s+", " "));
        System.out.flush();
    }

    static void same(Object got, Object expected) {
        boolean equal = got instanceof byte[] a && expected instanceof byte[] b
            ? Arrays.equals(a, b) : Objects.equals(got, expected);
        if (!equal) throw new Difference("expected=" + shown(expected) + " got=" + shown(got));
    }

    static void between(long got, long low, long high) {
        if (got <= low || got > high) throw new Difference("expected=" + low + ".." + high + " got=" + got);
    }

    /** The call must throw, with these words in its message or in that of a cause. */
    static void refused(Source call, String words) {
        Object got;
        try {
            got = call.get();
        } catch (Throwable error) {
            for (Throwable one = error; one != null; one = one.getCause()) {
                if (String.valueOf(one.getMessage()).contains(words)) return;
            }
            throw new Difference("expected=" + words + " got=" + chain(error));
        }
        throw new Difference("expected=an error with " + words + " got=" + shown(got));
    }

    /** The error and what caused it: the outer one alone often says only that something went wrong. */
    private static String chain(Throwable error) {
        StringBuilder said = new StringBuilder(String.valueOf(error));
        for (Throwable one = error.getCause(); one != null; one = one.getCause()) said.append(", from ").append(one);
        return said.toString();
    }

    /** Trusts the authority of the matrix, and no other. */
    static SSLContext tls() throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream authority = Files.newInputStream(Path.of(TLS_CA))) {
            trusted.setCertificateEntry("matrix", CertificateFactory.getInstance("X.509")
                .generateCertificate(authority));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    static byte[] bytes(int count) {
        byte[] made = new byte[count];
        for (int place = 0; place < count; place++) made[place] = (byte) (255 - place % 251);
        return made;
    }

    static void restart() throws Exception {
        say("restart");
        same(new java.io.BufferedReader(new java.io.InputStreamReader(System.in)).readLine(), "restarted");
    }

    private static String shown(Object value) {
        String text = String.valueOf(value);
        return text.substring(0, Math.min(100, text.length()));
    }

    private Telling() {}
}
