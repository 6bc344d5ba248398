// rueidis on three nodes of a cluster, one of which is lost and comes back: `program cluster`.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

const failoverLimit = 30 * time.Second

var input = bufio.NewReader(os.Stdin)
var counted = regexp.MustCompile(`forwarded_commands:(\d+)`)

func ask(word, answer string) error {
	fmt.Println(word)
	line, err := input.ReadString('\n')
	return first(err, same(line, answer+"\n"))
}

// One node by itself: it is asked as if there were no cluster.
func forwarded(ports []string) (int, error) {
	sum := 0
	for _, at := range ports {
		single, err := connect(at, func(options *rueidis.ClientOption) { options.ForceSingleClient = true })
		if err != nil {
			return 0, err
		}
		info, err := doOn(single, single.B().Info().Section("replication").Build()).ToString()
		single.Close()
		if err != nil {
			return 0, err
		}
		if found := counted.FindStringSubmatch(info); found != nil {
			number, _ := strconv.Atoi(found[1])
			sum += number
		}
	}
	return sum, nil
}

func countAll(limit time.Duration) error {
	for number := 0; number < 100; number++ {
		within, cancel := context.WithTimeout(context.Background(), limit)
		err := node.Do(within, node.B().Incr().Key(fmt.Sprintf("cluster-%d", number)).Build()).Error()
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

func onCluster() {
	ports := strings.Split(os.Getenv("RESPRAM_ENCLAVE"), ",")
	var err error
	// Its default asks for the map only after a refusal, and waits 5 s for a connection to a lost node.
	node, err = connect(ports[0], func(options *rueidis.ClientOption) {
		options.ClusterOption.ShardsRefreshInterval = time.Second
		options.Dialer.Timeout = time.Second
	})
	if err != nil {
		fmt.Println("fail connect", err)
		os.Exit(1)
	}
	defer node.Close()
	check("connect", func() error { return text("PONG", node.B().Ping().Build()) })
	check("route", func() error {
		if err := do(node.B().Set().Key("warm").Value("v").ExSeconds(60).Build()).Error(); err != nil {
			return err
		}
		before, err := forwarded(ports)
		counted := countAll(10 * time.Second)
		after, failed := forwarded(ports)
		if after-before > 5 {
			return differ("each command at its home", after-before)
		}
		return first(err, counted, failed)
	})
	check("tags", func() error {
		err := do(node.B().Mset().KeyValue().KeyValue("{tag}1", "a").KeyValue("{tag}2", "b").Build()).Error()
		got, failed := do(node.B().Mget().Key("{tag}1", "{tag}2", "{tag}3").Build()).ToArray()
		if bad := first(err, failed); bad != nil {
			return bad
		}
		one, _ := got[0].ToString()
		two, _ := got[1].ToString()
		return first(same([]string{one, two}, []string{"a", "b"}), same(got[2].IsNil(), true))
	})
	check("transaction", func() error {
		return node.Dedicated(func(own rueidis.DedicatedClient) error {
			replies := own.DoMulti(context.Background(),
				own.B().Multi().Build(),
				own.B().Set().Key("{deal}1").Value("a").ExSeconds(60).Build(),
				own.B().Incr().Key("{deal}2").Build(),
				own.B().Exec().Build())
			got, err := replies[3].ToArray()
			return first(err, same(len(got), 2))
		})
	})
	check("shard-messages", func() error {
		limit, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		heard := make(chan string, 100)
		go node.Receive(limit, node.B().Ssubscribe().Channel("shard").Build(), func(message rueidis.PubSubMessage) {
			select {
			case heard <- message.Message:
			default:
			}
		})
		for limit.Err() == nil {
			if err := do(node.B().Spublish().Channel("shard").Message("hello").Build()).Error(); err != nil {
				return err
			}
			select {
			case message := <-heard:
				return same(message, "hello")
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
		err := countAll(time.Second)
		for err != nil && time.Since(began) < failoverLimit {
			err = countAll(time.Second)
		}
		fmt.Printf("figure failover_ms=%d\n", time.Since(began).Milliseconds())
		return err
	})
	check("return", func() error {
		return first(ask("start", "started"), countAll(10*time.Second), countAll(10*time.Second))
	})
	fmt.Println("done")
}
