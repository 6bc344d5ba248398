//! redis-rs, synchronous: each check returns what was expected and what came when it fails.

mod cluster;

use redis::{Client, Commands, Connection, ExistenceCheck, ExpireOption, RedisResult, SetExpiry, SetOptions,
    TlsCertificates};
use std::collections::HashSet;
use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn url(rest: &str) -> String {
    format!("redis://{rest}")
}

fn address() -> String {
    format!("{}:{}", variable("RESPRAM_HOST"), variable("RESPRAM_PORT"))
}

fn connect(target: &str) -> RedisResult<Connection> {
    let node = Client::open(target)?.get_connection_with_timeout(Duration::from_secs(5))?;
    node.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(node)
}

fn same<T: PartialEq + Debug>(got: T, expected: T) -> Outcome {
    if got == expected {
        return Ok(());
    }
    Err(format!("expected={:.80?} got={:.80?}", expected, got).into())
}

fn between(got: i64, low: i64, high: i64) -> Outcome {
    if got > low && got <= high {
        return Ok(());
    }
    Err(format!("expected={low}..{high} got={got}").into())
}

fn refused<T: Debug>(got: RedisResult<T>, words: &str) -> Outcome {
    match got {
        Err(error) if format!("{error} {error:?}").contains(words) => Ok(()),
        other => Err(format!("expected=an error with {words} got={other:.100?}").into()),
    }
}

fn check(name: &str, outcome: Outcome) {
    match outcome {
        Ok(()) => println!("ok {name}"),
        Err(error) => println!("fail {name} {}", error.to_string().replace('\n', " ")),
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_millis() as u64).unwrap_or(0)
}

fn minute() -> SetOptions {
    SetOptions::default().with_expiration(SetExpiry::EX(60))
}

fn with_resp(protocol: i64) -> Outcome {
    let suffix = if protocol == 3 { "?protocol=resp3" } else { "" };
    let mut node = connect(&url(&format!("{}{}", address(), suffix)))?;
    let _: () = node.set_ex("resp", "v", 60)?;
    let info: String = redis::cmd("CLIENT").arg("INFO").query(&mut node)?;
    let answers: Vec<Option<String>> = node.mget(&["resp", "missing"])?;
    same(info.contains(&format!("resp={protocol}")), true)?;
    same(answers, vec![Some("v".into()), None])
}

fn form(node: &mut Connection, name: &str, expiry: SetExpiry) {
    let outcome = (|| {
        let _: () = node.set_options(name, "v", SetOptions::default().with_expiration(expiry))?;
        between(node.pttl(name)?, 50_000, 61_000)
    })();
    check(name, outcome);
}

fn single(node: &mut Connection) {
    form(node, "set-ex", SetExpiry::EX(60));
    form(node, "set-px", SetExpiry::PX(60_000));
    form(node, "set-exat", SetExpiry::EXAT(now_ms() / 1000 + 60));
    form(node, "set-pxat", SetExpiry::PXAT(now_ms() + 60_000));
    check("set-keepttl", (|| {
        let _: () = node.set_ex("kept", "a", 60)?;
        let _: () = node.set_options("kept", "b", SetOptions::default().with_expiration(SetExpiry::KEEPTTL))?;
        same(node.get::<_, String>("kept")?, "b".into())?;
        between(node.ttl("kept")?, 50, 60)
    })());
    check("default-ttl", (|| {
        let _: () = node.set("bare", "v")?;
        between(node.ttl("bare")?, 0, i64::MAX)
    })());
    check("get", (|| same(node.get::<_, String>("set-ex")?, "v".into()))());
    check("get-missing", (|| same(node.get::<_, Option<String>>("missing")?, None))());
    check("mget", (|| {
        let got: Vec<Option<String>> = node.mget(&["set-ex", "missing", "set-px"])?;
        same(got, vec![Some("v".into()), None, Some("v".into())])
    })());
    check("set-nx", (|| {
        let once = minute().conditional_set(ExistenceCheck::NX);
        same(node.set_options::<_, _, Option<String>>("once", "a", once.clone())?, Some("OK".into()))?;
        same(node.set_options::<_, _, Option<String>>("once", "b", once)?, None)?;
        same(node.get::<_, String>("once")?, "a".into())
    })());
    check("expire", (|| {
        let _: () = node.set_ex("short", "v", 600)?;
        same(node.expire::<_, i64>("short", 100)?, 1)?;
        between(node.ttl("short")?, 95, 100)?;
        same(redis::cmd("EXPIRE").arg("short").arg(200).arg(ExpireOption::LT).query::<i64>(node)?, 0)
    })());
    check("ttl", (|| {
        same(node.ttl::<_, i64>("missing")?, -2)?;
        between(node.ttl("set-ex")?, 50, 60)
    })());
    check("incr", (|| {
        same(node.incr::<_, _, i64>("n", 1)?, 1)?;
        same(node.incr::<_, _, i64>("n", 5)?, 6)?;
        same(node.incr::<_, _, f64>("f", 1.5)?, 1.5)
    })());
}

fn several(node: &mut Connection) {
    check("scan", (|| {
        for number in 0..300 {
            let _: () = node.set_ex(format!("scan:{number}"), number, 60)?;
        }
        let seen: HashSet<String> = node.scan_match("scan:*")?.collect::<RedisResult<_>>()?;
        same(seen.len(), 300)
    })());
    check("pipeline", (|| {
        let mut pipe = redis::pipe();
        for number in 0..200 {
            pipe.set_ex(format!("pipe:{number}"), number, 60).ignore().get(format!("pipe:{number}"));
        }
        let got: Vec<i64> = pipe.query(node)?;
        same(got, (0..200).collect())
    })());
    check("multi", (|| {
        let got: (i64, String) = redis::pipe().atomic().set_ex("m", 1, 60).ignore().incr("m", 1).get("m").query(node)?;
        same(got, (2, "2".into()))
    })());
    check("watch", (|| {
        let mut other = connect(&url(&address()))?;
        let _: () = redis::cmd("WATCH").arg("watched").query(node)?;
        let _: () = other.set_ex("watched", 2, 60)?;
        let got: Option<()> = redis::pipe().atomic().set_ex("watched", 3, 60).ignore().query(node)?;
        same(got, None)?;
        same(node.get::<_, i64>("watched")?, 2)
    })());
}

fn messages(node: &mut Connection) {
    check("publish-subscribe", (|| {
        let mut other = connect(&url(&address()))?;
        let mut listener = other.as_pubsub();
        listener.subscribe("news")?;
        listener.psubscribe("ne?t")?;
        same(node.publish::<_, _, i64>("news", "one")? + node.publish::<_, _, i64>("next", "two")?, 2)?;
        let (one, two) = (listener.get_message()?, listener.get_message()?);
        same((one.get_payload::<String>()?, two.get_payload::<String>()?), ("one".into(), "two".into()))?;
        same(two.get_pattern::<String>()?, "ne?t".into())
    })());
    check("expired-event", (|| {
        let mut other = connect(&url(&address()))?;
        let mut listener = other.as_pubsub();
        listener.subscribe("__keyevent@0__:expired")?;
        let _: () = node.pset_ex("brief", "v", 80)?;
        same(listener.get_message()?.get_payload::<String>()?, "brief".into())?;
        same(node.get::<_, Option<String>>("brief")?, None)
    })());
}

fn values(node: &mut Connection) {
    check("binary", (|| {
        let bytes: Vec<u8> = (0..=255).rev().collect();
        let _: () = node.set_ex(&bytes, &bytes, 60)?;
        same(node.get::<_, Vec<u8>>(&bytes)?, bytes)
    })());
    check("mebibyte", (|| {
        let bytes: Vec<u8> = (0..1usize << 20).map(|place| (place % 251) as u8).collect();
        let _: () = node.set_ex("large", &bytes, 60)?;
        same(node.strlen::<_, i64>("large")?, 1 << 20)?;
        same(node.get::<_, Vec<u8>>("large")? == bytes, true)
    })());
}

fn others(node: &mut Connection) {
    let guarded = format!("{}:{}", variable("RESPRAM_HOST"), variable("RESPRAM_AUTH_PORT"));
    check("auth", (|| {
        let mut other = connect(&url(&format!(":{}@{}", variable("RESPRAM_PASSWORD"), guarded)))?;
        same(redis::cmd("PING").query::<String>(&mut other)?, "PONG".into())
    })());
    let wrong = connect(&url(&format!(":wrong@{guarded}"))).map(|_| ());
    check("auth-refused", refused(wrong, "Password authentication failed").or_else(|_| {
        refused(connect(&url(&format!(":wrong@{guarded}"))).map(|_| ()), "WRONGPASS")
    }));
    check("select", (|| {
        let mut other = connect(&url(&format!("{}/5", address())))?;
        let _: () = other.set_ex("there", "v", 60)?;
        same(node.get::<_, Option<String>>("there")?, None)?;
        refused(redis::cmd("SELECT").arg(99).query::<()>(&mut other), "DB index is out of range")
    })());
    check("del-refused", (|| {
        let _: () = node.set_ex("stays", "v", 60)?;
        refused(node.del::<_, i64>("stays"), "refused by design")?;
        same(node.get::<_, String>("stays")?, "v".into())
    })());
    check("del-in-multi", (|| {
        let got: RedisResult<(String, i64)> = redis::pipe().atomic().set_ex("sibling", "v", 60).del("sibling")
            .query(node);
        refused(got, "refused by design")?;
        same(node.get::<_, String>("sibling")?, "v".into())
    })());
}

fn restarted() -> Outcome {
    let client = Client::open(url(&address()))?;
    let mut before = client.get_connection()?;
    println!("restart");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    same(line.trim(), "restarted")?;
    same(redis::cmd("PING").query::<String>(&mut before).is_err(), true)?;
    same(redis::cmd("PING").query::<String>(&mut client.get_connection()?)?, "PONG".into())
}

fn encrypted() -> Outcome {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = std::fs::read(variable("RESPRAM_TLS_CA"))?;
    let place = format!("rediss://{}:{}", variable("RESPRAM_HOST"), variable("RESPRAM_TLS_PORT"));
    let client = Client::build_with_tls(place, TlsCertificates { client_tls: None, root_cert: Some(authority) })?;
    let mut node = client.get_connection()?;
    let _: () = node.set_ex("tls", "v", 60)?;
    same(node.get::<_, String>("tls")?, "v".into())
}

fn main() {
    println!("version {}", env!("REDIS_VERSION"));
    if std::env::args().nth(1).as_deref() == Some("cluster") {
        cluster::run().expect("a cluster");
        return;
    }
    let mut node = connect(&url(&address())).expect("a node");
    check("connect", (|| same(redis::cmd("PING").query::<String>(&mut node)?, "PONG".into()))());
    check("resp2", with_resp(2));
    check("resp3", with_resp(3));
    single(&mut node);
    several(&mut node);
    messages(&mut node);
    values(&mut node);
    others(&mut node);
    check("restart", restarted());
    check("tls", encrypted());
    println!("done");
}
