//! fred, asynchronous on tokio: `program 3|2` by protocol, or `program cluster`. Each check returns what was expected
//! and what came when it fails.

mod cluster;

use fred::prelude::*;
use fred::rustls::pki_types::{pem::PemObject, CertificateDer};
use fred::rustls::{crypto::ring, ClientConfig, RootCertStore};
use fred::types::{ClusterHash, CustomCommand, ExpireOptions, RespVersion};
use std::collections::HashSet;
use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

const LIMIT: Duration = Duration::from_secs(10);
const MINUTE: Option<Expiration> = Some(Expiration::EX(60));

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn port(name: &str) -> u16 {
    variable(name).parse().unwrap_or(0)
}

fn is_old() -> bool {
    std::env::args().nth(1).as_deref() == Some("2")
}

/// A client that is connected; `change` is what differs from the defaults.
async fn connect(at: u16, change: impl FnOnce(&mut Config)) -> Result<Client, Error> {
    let mut config = Config { server: ServerConfig::new_centralized(variable("RESPRAM_HOST"), at),
        ..Config::default() };
    config.version = if is_old() { RespVersion::RESP2 } else { RespVersion::RESP3 };
    change(&mut config);
    let client = Builder::from_config(config)
        .with_performance_config(|performance| performance.default_command_timeout = LIMIT)
        .set_policy(ReconnectPolicy::new_constant(100, 50))
        .build()?;
    client.init().await?;
    Ok(client)
}

async fn plain() -> Result<Client, Error> {
    connect(port("RESPRAM_PORT"), |_| ()).await
}

/// A node by itself.
async fn node_at(at: u16) -> Result<Client, Error> {
    connect(at, |_| ()).await
}

fn same<T: PartialEq + Debug>(got: T, expected: T) -> Outcome {
    if got == expected {
        return Ok(());
    }
    Err(format!("expected={expected:.80?} got={got:.80?}").into())
}

fn between(got: i64, low: i64, high: i64) -> Outcome {
    if got > low && got <= high {
        return Ok(());
    }
    Err(format!("expected={low}..{high} got={got}").into())
}

fn refused<T: Debug>(got: Result<T, Error>, words: &str) -> Outcome {
    match got {
        Err(error) if error.to_string().contains(words) => Ok(()),
        Err(error) => Err(format!("expected={words} got={error}").into()),
        Ok(value) => Err(format!("expected=an error with {words} got={value:.100?}").into()),
    }
}

async fn check(name: &str, work: impl Future<Output = Outcome>) {
    match tokio::time::timeout(LIMIT * 4, work).await {
        Ok(Ok(())) => println!("ok {name}"),
        Ok(Err(error)) => println!("fail {name} {}", error.to_string().replace('\n', " ")),
        Err(_) => println!("fail {name} expected=an end got=none in time"),
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_millis() as i64).unwrap_or(0)
}

async fn put(node: &Client, key: &str, value: &str) -> Result<(), Error> {
    node.set(key, value, MINUTE, None, false).await
}

async fn single(node: &Client) {
    let second = now_ms() / 1000 + 60;
    let forms = [
        ("set-ex", Expiration::EX(60)), ("set-px", Expiration::PX(60_000)),
        ("set-exat", Expiration::EXAT(second)), ("set-pxat", Expiration::PXAT(second * 1000)),
    ];
    for (name, expiry) in forms {
        check(name, async {
            let _: () = node.set(name, "v", Some(expiry), None, false).await?;
            between(node.pttl(name).await?, 50_000, 61_000)
        }).await;
    }
    check("set-keepttl", async {
        put(node, "kept", "a").await?;
        let _: () = node.set("kept", "b", Some(Expiration::KEEPTTL), None, false).await?;
        same(node.get::<String, _>("kept").await?, "b".into())?;
        between(node.ttl("kept").await?, 50, 60)
    }).await;
    check("default-ttl", async {
        let _: () = node.set("bare", "v", None, None, false).await?;
        between(node.ttl("bare").await?, 0, i64::MAX)
    }).await;
    check("get", async { same(node.get::<String, _>("set-ex").await?, "v".into()) }).await;
    check("get-missing", async { same(node.get::<Option<String>, _>("missing").await?, None) }).await;
    check("mget", async {
        let got: Vec<Option<String>> = node.mget(vec!["set-ex", "missing", "set-px"]).await?;
        same(got, vec![Some("v".into()), None, Some("v".into())])
    }).await;
    check("set-nx", async {
        same(node.set::<Option<String>, _, _>("once", "a", MINUTE, Some(SetOptions::NX), false).await?,
            Some("OK".into()))?;
        same(node.set::<Option<String>, _, _>("once", "b", MINUTE, Some(SetOptions::NX), false).await?, None)?;
        same(node.get::<String, _>("once").await?, "a".into())
    }).await;
    check("expire", async {
        let _: () = node.set("short", "v", Some(Expiration::EX(600)), None, false).await?;
        same(node.expire::<i64, _>("short", 100, None).await?, 1)?;
        between(node.ttl("short").await?, 95, 100)?;
        same(node.expire::<i64, _>("short", 200, Some(ExpireOptions::LT)).await?, 0)
    }).await;
    check("ttl", async {
        same(node.ttl::<i64, _>("missing").await?, -2)?;
        between(node.ttl("set-ex").await?, 50, 60)
    }).await;
    check("incr", async {
        same(node.incr::<i64, _>("n").await? + node.incr_by::<i64, _>("n", 5).await?, 7)?;
        same(node.incr_by_float::<f64, _>("f", 1.5).await?, 1.5)
    }).await;
}

async fn several(node: &Client) {
    check("scan", async {
        for number in 0..300 {
            put(node, &format!("scan:{number}"), "v").await?;
        }
        let (mut seen, mut cursor) = (HashSet::new(), String::from("0"));
        loop {
            let (next, keys): (String, Vec<String>) = node.scan_page(cursor, "scan:*", Some(17), None).await?;
            seen.extend(keys);
            cursor = next;
            if cursor == "0" {
                return same(seen.len(), 300);
            }
        }
    }).await;
    check("pipeline", async {
        let pipe = node.pipeline();
        for number in 0..200 {
            let _: () = pipe.incr_by(format!("pipe:{number}"), number).await?;
        }
        same(pipe.all::<Vec<i64>>().await?, (0..200).collect())
    }).await;
    check("multi", async {
        let block = node.multi();
        let _: () = block.set("m", 1, MINUTE, None, false).await?;
        let _: () = block.incr("m").await?;
        same(block.exec::<(String, i64)>(true).await?, ("OK".into(), 2))
    }).await;
    check("watch", async {
        let other = plain().await?;
        node.watch("watched").await?;
        put(&other, "watched", "2").await?;
        let block = node.multi();
        let _: () = block.set("watched", "3", MINUTE, None, false).await?;
        same(block.exec::<Value>(true).await?.is_null(), true)?;
        same(node.get::<String, _>("watched").await?, "2".into())
    }).await;
}

/// The client's subscribe returns before the node has it: waits until the node counts as many patterns and listeners.
async fn subscribed(node: &Client, patterns: i64, channel: &str) -> Outcome {
    let end = std::time::Instant::now() + LIMIT;
    loop {
        let known: (i64, (String, i64)) = (
            node.custom(CustomCommand::new("PUBSUB", ClusterHash::Random, false), vec!["NUMPAT"]).await?,
            node.custom(CustomCommand::new("PUBSUB", ClusterHash::Random, false), vec!["NUMSUB", channel]).await?,
        );
        if known.0 >= patterns && known.1 .1 >= 1 {
            return Ok(());
        }
        if std::time::Instant::now() > end {
            return Err("expected=a subscription got=none".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn messages(node: &Client) {
    check("publish-subscribe", async {
        let listener = plain().await?;
        let mut heard = listener.message_rx();
        listener.subscribe("news").await?;
        listener.psubscribe("ne?t").await?;
        subscribed(node, 1, "news").await?;
        same(node.publish::<i64, _, _>("news", "one").await? + node.publish::<i64, _, _>("next", "two").await?, 2)?;
        let (one, two) = (heard.recv().await?, heard.recv().await?);
        same((one.value.convert::<String>()?, two.value.convert::<String>()?), ("one".into(), "two".into()))
    }).await;
    check("expired-event", async {
        let listener = plain().await?;
        let mut heard = listener.keyspace_event_rx();
        listener.subscribe("__keyevent@0__:expired").await?;
        subscribed(node, 0, "__keyevent@0__:expired").await?;
        let _: () = node.set("brief", "v", Some(Expiration::PX(80)), None, false).await?;
        let event = heard.recv().await?;
        same((event.operation.clone(), event.key.as_str_lossy().to_string()), ("expired".into(), "brief".into()))?;
        same(node.get::<Option<String>, _>("brief").await?, None)
    }).await;
    check("binary", async {
        let bytes: Vec<u8> = (0..=255).rev().collect();
        let _: () = node.set(bytes.as_slice(), bytes.as_slice(), MINUTE, None, false).await?;
        same(node.get::<Vec<u8>, _>(bytes.as_slice()).await?, bytes)
    }).await;
    check("mebibyte", async {
        let bytes: Vec<u8> = (0..1usize << 20).map(|place| (place % 251) as u8).collect();
        let _: () = node.set("large", bytes.as_slice(), MINUTE, None, false).await?;
        same(node.strlen::<i64, _>("large").await?, 1 << 20)?;
        same(node.get::<Vec<u8>, _>("large").await? == bytes, true)
    }).await;
}

async fn others(node: &Client) {
    let guarded = port("RESPRAM_AUTH_PORT");
    check("auth", async {
        let other = connect(guarded, |config| config.password = Some(variable("RESPRAM_PASSWORD"))).await?;
        same(other.ping::<String>(None).await?, "PONG".into())
    }).await;
    check("auth-refused", async {
        let wrong = connect(guarded, |config| config.password = Some("wrong".into())).await;
        refused(wrong.map(|_| ()), "invalid username-password pair")
    }).await;
    check("select", async {
        let other = connect(port("RESPRAM_PORT"), |config| config.database = Some(5)).await?;
        put(&other, "there", "v").await?;
        same(node.get::<Option<String>, _>("there").await?, None)?;
        same(other.get::<String, _>("there").await?, "v".into())?;
        refused(other.select(99).await, "DB index is out of range")
    }).await;
    check("del-refused", async {
        put(node, "stays", "v").await?;
        refused(node.del::<i64, _>("stays").await, "refused by design")?;
        same(node.get::<String, _>("stays").await?, "v".into())
    }).await;
    check("del-in-multi", async {
        let block = node.multi();
        let _: () = block.set("sibling", "v", MINUTE, None, false).await?;
        let _: () = block.del("sibling").await?;
        refused(block.exec::<Value>(true).await, "refused by design")?;
        same(node.get::<String, _>("sibling").await?, "v".into())
    }).await;
}

async fn restarted(node: &Client) -> Outcome {
    println!("restart");
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    }).await??;
    same(line.trim(), "restarted")?;
    let end = std::time::Instant::now() + LIMIT;
    while node.ping::<String>(None).await.is_err() && std::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    same(node.ping::<String>(None).await?, "PONG".into())
}

async fn encrypted() -> Outcome {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(variable("RESPRAM_TLS_CA"))? {
        roots.add(certificate?)?;
    }
    let tls = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let node = connect(port("RESPRAM_TLS_PORT"), |config| config.tls = Some(TlsConnector::from(tls).into())).await?;
    put(&node, "tls", "v").await?;
    same(node.get::<String, _>("tls").await?, "v".into())
}

#[tokio::main]
async fn main() {
    println!("version {}", env!("FRED_VERSION"));
    if std::env::args().nth(1).as_deref() == Some("cluster") {
        return cluster::run().await;
    }
    let (spoken, other, words) = if is_old() { ("resp2", "resp3", "resp=2") } else { ("resp3", "resp2", "resp=3") };
    let node = plain().await.expect("a node");
    check("connect", async { same(node.ping::<String>(None).await?, "PONG".into()) }).await;
    check(spoken, async {
        let command = CustomCommand::new("CLIENT", ClusterHash::Random, false);
        same(node.custom::<String, _>(command, vec!["INFO"]).await?.contains(words), true)
    }).await;
    println!("skip {other} in the other run");
    single(&node).await;
    several(&node).await;
    messages(&node).await;
    others(&node).await;
    check("restart", restarted(&node)).await;
    check("tls", encrypted()).await;
    println!("done");
}
