//! redis-rs's cluster client on three nodes, one of which is lost and comes back.

use crate::{check, same, variable, Outcome};
use redis::cluster::{cluster_pipe, ClusterClient, ClusterConnection};
use redis::{Client, Commands, RedisResult};
use std::io::BufRead;
use std::time::{Duration, Instant};

const FAILOVER: Duration = Duration::from_secs(30);

fn ask(word: &str, answer: &str) -> Outcome {
    println!("{word}");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    same(line.trim(), answer)
}

fn forwarded(urls: &[String]) -> i64 {
    let count = |url: &String| -> RedisResult<i64> {
        let facts: String = redis::cmd("INFO").arg("replication")
            .query(&mut Client::open(url.as_str())?.get_connection()?)?;
        let line = facts.lines().find_map(|line| line.strip_prefix("forwarded_commands:")).unwrap_or("0");
        Ok(line.trim().parse().unwrap_or(0))
    };
    urls.iter().map(|url| count(url).unwrap_or(0)).sum()
}

fn count_all(client: &mut ClusterConnection) -> RedisResult<()> {
    for number in 0..100 {
        let _: i64 = client.incr(format!("cluster-{number}"), 1)?;
    }
    Ok(())
}

/// All keys, whatever became of those before: it hears of a new map from the node that gave it the old one, and would
/// never ask that node if it stopped at a key of the lost one.
fn count_each(client: &mut ClusterConnection) -> RedisResult<()> {
    let mut outcome = Ok(());
    for number in 0..100 {
        let found: RedisResult<i64> = client.incr(format!("cluster-{number}"), 1);
        outcome = outcome.and(found.map(|_| ()));
    }
    outcome
}

fn route(client: &mut ClusterConnection, urls: &[String]) -> Outcome {
    let before = forwarded(urls);
    count_all(client)?;
    same(forwarded(urls) - before <= 5, true)
}

fn tags(client: &mut ClusterConnection) -> Outcome {
    let _: () = client.mset(&[("{tag}1", "a"), ("{tag}2", "b")])?;
    let found: Vec<Option<String>> = client.mget(&["{tag}1", "{tag}2", "{tag}3"])?;
    same(found, vec![Some("a".into()), Some("b".into()), None])
}

fn together(client: &mut ClusterConnection) -> Outcome {
    let mut pipe = cluster_pipe();
    pipe.set_ex("{deal}1", "a", 60).ignore().incr("{deal}2", 1);
    let found: Vec<i64> = pipe.query(client)?;
    same(found, vec![1])
}

fn failover(client: &mut ClusterConnection) -> Outcome {
    ask("kill", "killed")?;
    let began = Instant::now();
    loop {
        match count_each(client) {
            Ok(()) => break,
            Err(error) if began.elapsed() > FAILOVER => return Err(error.into()),
            Err(_) => {}
        }
    }
    println!("figure failover_ms={}", began.elapsed().as_millis());
    Ok(())
}

fn returned(client: &mut ClusterConnection) -> Outcome {
    ask("start", "started")?;
    count_all(client)?;
    Ok(count_all(client)?)
}

pub fn run() -> Result<(), Box<dyn std::error::Error>> {
    let host = variable("RESPRAM_HOST");
    let urls: Vec<String> = variable("RESPRAM_ENCLAVE").split(',').map(|port| format!("redis://{host}:{port}"))
        .collect();
    let mut client = ClusterClient::new(vec![urls[0].clone()])?.get_connection()?;
    check("connect", (|| same(client.set_ex::<_, _, String>("first", "v", 60)?, "OK".into()))());
    check("route", route(&mut client, &urls));
    check("tags", tags(&mut client));
    check("transaction", together(&mut client));
    println!("skip shard-messages the synchronous cluster client has none");
    check("failover", failover(&mut client));
    check("return", returned(&mut client));
    println!("done");
    Ok(())
}
