// go-redis's ClusterClient on three nodes, one of which is lost and comes back.
package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const failoverLimit = 30 * time.Second

var input = bufio.NewReader(os.Stdin)
var counted = regexp.MustCompile(`forwarded_commands:(\d+)`)

func ask(word, answer string) error {
	fmt.Println(word)
	line, err := input.ReadString('\n')
	return first(err, same(line, answer+"\n"))
}

func forwarded(ports []string) int {
	sum := 0
	for _, at := range ports {
		node := redis.NewClient(&redis.Options{Addr: host + ":" + at})
		if found := counted.FindStringSubmatch(node.Info(ctx, "replication").Val()); found != nil {
			number, _ := strconv.Atoi(found[1])
			sum += number
		}
		node.Close()
	}
	return sum
}

func countAll(client *redis.ClusterClient) error {
	for number := 0; number < 100; number++ {
		if err := client.Incr(ctx, fmt.Sprintf("cluster-%d", number)).Err(); err != nil {
			return err
		}
	}
	return nil
}

func onCluster() {
	ports := strings.Split(os.Getenv("RESPRAM_ENCLAVE"), ",")
	options := &redis.ClusterOptions{Addrs: []string{host + ":" + ports[0]}}
	if len(os.Args) > 2 { // else once a minute
		options.ClusterStateReloadInterval, _ = time.ParseDuration(os.Args[2])
	}
	client := redis.NewClusterClient(options)
	defer client.Close()
	check("connect", func() error { return same(client.Ping(ctx).Val(), "PONG") })
	check("route", func() error {
		if err := client.Set(ctx, "warm", "v", time.Minute).Err(); err != nil {
			return err
		}
		before := forwarded(ports)
		err := countAll(client)
		if more := forwarded(ports) - before; more > 5 {
			return differ("each command at its home", more)
		}
		return err
	})
	check("tags", func() error {
		err := client.MSet(ctx, "{tag}1", "a", "{tag}2", "b").Err()
		return first(err, same(client.MGet(ctx, "{tag}1", "{tag}2", "{tag}3").Val(), []any{"a", "b", nil}))
	})
	check("transaction", func() error {
		found, err := client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Set(ctx, "{deal}1", "a", time.Minute)
			pipe.Incr(ctx, "{deal}2")
			return nil
		})
		return first(err, same(len(found), 2))
	})
	check("shard-messages", func() error {
		listener := client.SSubscribe(ctx, "shard")
		defer listener.Close()
		heard := listener.Channel()
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			if err := client.SPublish(ctx, "shard", "hello").Err(); err != nil {
				return err
			}
			select {
			case message := <-heard:
				return same(message.Payload, "hello")
			case <-time.After(100 * time.Millisecond):
			}
		}
		return differ("a message", "none")
	})
	check("failover", func() error {
		if err := ask("kill", "killed"); err != nil {
			return err
		}
		began := time.Now()
		err := countAll(client)
		for err != nil && time.Since(began) < failoverLimit {
			err = countAll(client)
		}
		fmt.Printf("figure failover_ms=%d\n", time.Since(began).Milliseconds())
		return err
	})
	check("return", func() error { return first(ask("start", "started"), countAll(client), countAll(client)) })
	fmt.Println("done")
}
