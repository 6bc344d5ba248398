//! fred's cluster client on three nodes, one of which is lost and comes back.

use crate::{check, is_old, node_at, same, variable, Outcome, LIMIT, MINUTE};
use fred::prelude::*;
use fred::types::{ClusterHash, CustomCommand, RespVersion};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::TryRecvError;

const FAILOVER: Duration = Duration::from_secs(30);

fn ask(word: &str, answer: &str) -> Outcome {
    println!("{word}");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    same(line.trim(), answer)
}

fn ports() -> Vec<u16> {
    variable("RESPRAM_ENCLAVE").split(',').filter_map(|port| port.parse().ok()).collect()
}

fn config() -> Config {
    let hosts = ports().into_iter().map(|port| (variable("RESPRAM_HOST"), port)).collect::<Vec<_>>();
    let version = if is_old() { RespVersion::RESP2 } else { RespVersion::RESP3 };
    Config { server: ServerConfig::new_clustered(hosts), version, ..Config::default() }
}

fn builder(config: Config) -> Builder {
    let mut builder = Builder::from_config(config);
    builder
        .with_performance_config(|performance| performance.default_command_timeout = Duration::from_secs(1))
        .with_connection_config(|connection| {
            connection.connection_timeout = Duration::from_secs(1);
            connection.internal_command_timeout = Duration::from_secs(1);
            connection.cluster_cache_update_delay = Duration::from_millis(50);
        })
        .set_policy(ReconnectPolicy::new_constant(0, 50));
    builder
}

async fn forwarded() -> Result<i64, Error> {
    let mut sum = 0;
    for port in ports() {
        let node = node_at(port).await?;
        let command = CustomCommand::new("INFO", ClusterHash::Random, false);
        let facts: String = node.custom(command, vec!["replication"]).await?;
        let line = facts.lines().find_map(|line| line.strip_prefix("forwarded_commands:")).unwrap_or("0");
        sum += line.trim().parse::<i64>().unwrap_or(0);
        node.quit().await?;
    }
    Ok(sum)
}

async fn count_all(client: &Client) -> Result<(), Error> {
    for number in 0..100 {
        let _: i64 = client.incr(format!("cluster-{number}")).await?;
    }
    Ok(())
}

async fn route(client: &Client) -> Outcome {
    let _: () = client.set("warm", "v", MINUTE, None, false).await?;
    let before = forwarded().await?;
    count_all(client).await?;
    same(forwarded().await? - before <= 5, true)
}

async fn tags(client: &Client) -> Outcome {
    let _: () = client.mset(vec![("{tag}1", "a"), ("{tag}2", "b")]).await?;
    let found: Vec<Option<String>> = client.mget(vec!["{tag}1", "{tag}2", "{tag}3"]).await?;
    same(found, vec![Some("a".into()), Some("b".into()), None])
}

async fn together(client: &Client) -> Outcome {
    let deal = client.multi();
    let _: () = deal.set("{deal}1", "a", MINUTE, None, false).await?;
    let _: () = deal.incr("{deal}2").await?;
    let found: Vec<Value> = deal.exec(true).await?;
    same(found.len(), 2)
}

async fn messages(client: &Client) -> Outcome {
    let listener = builder(config()).build()?;
    listener.init().await?;
    let mut heard = listener.message_rx();
    let _: () = listener.ssubscribe("shard").await?;
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        let _: i64 = client.spublish("shard", "hello").await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        match heard.try_recv() {
            Ok(message) => return same(message.value.convert::<String>()?, "hello".into()),
            Err(TryRecvError::Empty) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err("expected=a message got=none".into())
}

async fn failover(client: &Client) -> Outcome {
    ask("kill", "killed")?;
    let began = Instant::now();
    while let Err(error) = count_all(client).await {
        if began.elapsed() > FAILOVER {
            return Err(error.into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("figure failover_ms={}", began.elapsed().as_millis());
    Ok(())
}

async fn returned(client: &Client) -> Outcome {
    ask("start", "started")?;
    count_all(client).await?;
    Ok(count_all(client).await?)
}

pub async fn run() {
    let client = builder(config()).build().expect("a client");
    client.init().await.expect("a cluster");
    check("connect", async { same(client.ping::<String>(None).await?, "PONG".into()) }).await;
    check("route", route(&client)).await;
    check("tags", tags(&client)).await;
    check("transaction", together(&client)).await;
    check("shard-messages", messages(&client)).await;
    check("failover", failover(&client)).await;
    check("return", returned(&client)).await;
    println!("done");
}
