// go-redis v9: each check returns an error that says what was expected and what came.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

var ctx = context.Background()
var host, port, authPort, password = os.Getenv("RESPRAM_HOST"), os.Getenv("RESPRAM_PORT"),
	os.Getenv("RESPRAM_AUTH_PORT"), os.Getenv("RESPRAM_PASSWORD")
var socket = os.Getenv("RESPRAM_SOCKET") // "": the node is reached by its port
var node *redis.Client

var errSkipped = errors.New("skipped")

func differ(expected, got any) error { return fmt.Errorf("expected=%.100v got=%.200v", expected, got) }

func same(got, expected any) error {
	if reflect.DeepEqual(got, expected) {
		return nil
	}
	return differ(expected, got)
}

func first(failures ...error) error {
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

func refused(err error, words string) error {
	if err == nil || !strings.Contains(err.Error(), words) {
		return differ(words, err)
	}
	return nil
}

func between(left, low, high time.Duration) error {
	if left <= low || left > high {
		return differ(fmt.Sprint(low, "..", high), left)
	}
	return nil
}

func check(name string, call func() error) {
	err := call()
	switch {
	case err == nil:
		fmt.Println("ok", name)
	case errors.Is(err, errSkipped):
		fmt.Println("skip", name, strings.TrimPrefix(err.Error(), "skipped: "))
	default:
		fmt.Println("fail", name, strings.Join(strings.Fields(err.Error()), " "))
	}
}

func connect(change func(*redis.Options)) *redis.Client {
	options := &redis.Options{Addr: host + ":" + port}
	if socket != "" {
		options.Addr = socket
	}
	if change != nil {
		change(options)
	}
	return redis.NewClient(options)
}

func withResp(protocol int) error {
	client := connect(func(o *redis.Options) { o.Protocol = protocol })
	defer client.Close()
	got, err := client.MGet(ctx, "resp", "missing").Result()
	info, failed := client.ClientInfo(ctx).Result()
	return first(client.Set(ctx, "resp", "v", time.Minute).Err(), err, same(len(got), 2), failed,
		same(info.Resp, protocol))
}

func form(name string, arguments redis.SetArgs) {
	check(name, func() error {
		return first(node.SetArgs(ctx, name, "v", arguments).Err(),
			between(node.PTTL(ctx, name).Val(), 50*time.Second, 61*time.Second))
	})
}

func stringsOfOne() {
	form("set-ex", redis.SetArgs{TTL: 60 * time.Second})
	form("set-px", redis.SetArgs{TTL: 59_500 * time.Millisecond})
	form("set-exat", redis.SetArgs{ExpireAt: time.Now().Add(60 * time.Second)})
	check("set-pxat", func() error {
		at := time.Now().Add(time.Minute).UnixMilli()
		return first(node.Do(ctx, "SET", "set-pxat", "v", "PXAT", at).Err(),
			same(node.PExpireTime(ctx, "set-pxat").Val(), time.Duration(at)*time.Millisecond))
	})
	check("set-keepttl", func() error {
		return first(node.Set(ctx, "kept", "a", time.Minute).Err(), node.Set(ctx, "kept", "b", redis.KeepTTL).Err(),
			same(node.Get(ctx, "kept").Val(), "b"), between(node.TTL(ctx, "kept").Val(), 50*time.Second, time.Minute))
	})
	check("default-ttl", func() error {
		return first(node.Set(ctx, "bare", "v", 0).Err(), between(node.TTL(ctx, "bare").Val(), 0, 365*24*time.Hour))
	})
	check("get", func() error { return same(node.Get(ctx, "set-ex").Val(), "v") })
	check("get-missing", func() error { return same(node.Get(ctx, "missing").Err(), redis.Nil) })
	check("mget", func() error { return same(node.MGet(ctx, "set-ex", "missing", "set-px").Val(), []any{"v", nil, "v"}) })
	check("set-nx", func() error {
		return first(same(node.SetNX(ctx, "once", "a", time.Minute).Val(), true),
			same(node.SetNX(ctx, "once", "b", time.Minute).Val(), false),
			same(node.Get(ctx, "once").Val(), "a"))
	})
	check("expire", func() error {
		return first(node.Set(ctx, "short", "v", time.Hour).Err(),
			same(node.Expire(ctx, "short", 100*time.Second).Val(), true),
			between(node.TTL(ctx, "short").Val(), 95*time.Second, 100*time.Second),
			same(node.PExpire(ctx, "missing", time.Second).Val(), false))
	})
	check("ttl", func() error {
		return first(same(node.TTL(ctx, "missing").Val(), time.Duration(-2)),
			between(node.TTL(ctx, "set-ex").Val(), 50*time.Second, time.Minute))
	})
	check("incr", func() error {
		return first(same(node.Incr(ctx, "n").Val(), int64(1)), same(node.IncrBy(ctx, "n", 5).Val(), int64(6)),
			same(node.Decr(ctx, "n").Val(), int64(5)), same(node.IncrByFloat(ctx, "f", 1.5).Val(), 1.5))
	})
}

func severalAtOnce() {
	check("scan", func() error {
		for i := range 300 {
			if err := node.Set(ctx, fmt.Sprint("scan:", i), i, time.Minute).Err(); err != nil {
				return err
			}
		}
		seen := map[string]bool{}
		walk := node.Scan(ctx, 0, "scan:*", 17).Iterator()
		for walk.Next(ctx) {
			seen[walk.Val()] = true
		}
		return first(walk.Err(), same(len(seen), 300))
	})
	check("pipeline", func() error {
		answers, err := node.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i := range 200 {
				pipe.Set(ctx, fmt.Sprint("pipe:", i), i, time.Minute)
				pipe.Get(ctx, fmt.Sprint("pipe:", i))
			}
			return nil
		})
		return first(err, same(len(answers), 400), same(answers[399].(*redis.StringCmd).Val(), "199"))
	})
	check("multi", func() error {
		answers, err := node.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Set(ctx, "m", 1, time.Minute)
			pipe.Incr(ctx, "m")
			return nil
		})
		return first(err, same(answers[1].(*redis.IntCmd).Val(), int64(2)))
	})
	check("watch", func() error {
		err := node.Watch(ctx, func(tx *redis.Tx) error {
			node.Set(ctx, "watched", 2, time.Minute)
			_, err := tx.TxPipelined(ctx,
				func(pipe redis.Pipeliner) error { return pipe.Set(ctx, "watched", 3, time.Minute).Err() })
			return err
		}, "watched")
		return first(same(err, redis.TxFailedErr), same(node.Get(ctx, "watched").Val(), "2"))
	})
}

func messages() {
	check("publish-subscribe", func() error {
		listener := node.Subscribe(ctx, "news")
		defer listener.Close()
		err := listener.PSubscribe(ctx, "ne?t")
		for range 2 {
			if _, failed := listener.ReceiveTimeout(ctx, 5*time.Second); failed != nil {
				return failed
			}
		}
		sum := node.Publish(ctx, "news", "one").Val() + node.Publish(ctx, "next", "two").Val()
		counted := same(sum+node.Publish(ctx, "nobody", "x").Val(), int64(2))
		one, two := <-listener.Channel(), <-listener.Channel()
		return first(err, counted,
			same([]string{one.Channel, one.Payload, two.Pattern, two.Payload}, []string{"news", "one", "ne?t", "two"}))
	})
	check("expired-event", func() error {
		listener := node.Subscribe(ctx, "__keyevent@0__:expired")
		defer listener.Close()
		if _, err := listener.Receive(ctx); err != nil {
			return err
		}
		node.Set(ctx, "brief", "v", 80*time.Millisecond)
		select {
		case message := <-listener.Channel():
			return first(same(message.Payload, "brief"), same(node.Get(ctx, "brief").Err(), redis.Nil))
		case <-time.After(5 * time.Second):
			return differ("an event", "none")
		}
	})
}

func values() {
	check("binary", func() error {
		value := make([]byte, 256)
		for i := range value {
			value[i] = byte(255 - i)
		}
		got, err := node.Get(ctx, string(value)).Bytes()
		_ = got
		if !errors.Is(err, redis.Nil) {
			return differ(redis.Nil, err)
		}
		err = node.Set(ctx, string(value), value, time.Minute).Err()
		got, failed := node.Get(ctx, string(value)).Bytes()
		return first(err, failed, same(got, value))
	})
	check("mebibyte", func() error {
		value := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		err := node.Set(ctx, "large", value, time.Minute).Err()
		got, failed := node.Get(ctx, "large").Bytes()
		return first(err, failed, same(node.StrLen(ctx, "large").Val(), int64(1<<20)), same(bytes.Equal(got, value), true))
	})
}

func others() {
	check("auth", func() error {
		client := connect(func(o *redis.Options) { o.Addr, o.Password = host+":"+authPort, password })
		defer client.Close()
		return same(client.Ping(ctx).Val(), "PONG")
	})
	check("auth-refused", func() error {
		client := connect(func(o *redis.Options) { o.Addr, o.Password = host+":"+authPort, "wrong" })
		defer client.Close()
		return refused(client.Ping(ctx).Err(), "invalid username-password pair")
	})
	check("select", func() error {
		client := connect(func(o *redis.Options) { o.DB = 5 })
		far := connect(func(o *redis.Options) { o.DB = 99 })
		defer client.Close()
		defer far.Close()
		return first(client.Set(ctx, "there", "v", time.Minute).Err(), same(client.Get(ctx, "there").Val(), "v"),
			same(node.Get(ctx, "there").Err(), redis.Nil), refused(far.Ping(ctx).Err(), "DB index is out of range"))
	})
	check("del-refused", func() error {
		return first(node.Set(ctx, "stays", "v", time.Minute).Err(),
			refused(node.Del(ctx, "stays").Err(), "refused by design"),
			refused(node.FlushDB(ctx).Err(), "refused by design"), same(node.Get(ctx, "stays").Val(), "v"))
	})
	check("del-in-multi", func() error {
		answers, err := node.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Set(ctx, "sibling", "v", time.Minute)
			pipe.Del(ctx, "sibling")
			return nil
		})
		return first(refused(err, "refused by design"), same(answers[0].Err(), nil),
			same(node.Get(ctx, "sibling").Val(), "v"))
	})
	check("restart", func() error {
		fmt.Println("restart")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		return first(err, same(line, "restarted\n"), node.Set(ctx, "after", "v", time.Minute).Err(),
			same(node.Get(ctx, "after").Val(), "v"))
	})
	check("tls", func() error {
		if os.Getenv("RESPRAM_TLS_PORT") == "" {
			return fmt.Errorf("%w: the node has no TLS for clients", errSkipped)
		}
		authority, err := os.ReadFile(os.Getenv("RESPRAM_TLS_CA"))
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(authority)
		client := connect(func(o *redis.Options) {
			o.Addr, o.TLSConfig = host+":"+os.Getenv("RESPRAM_TLS_PORT"), &tls.Config{RootCAs: pool, ServerName: "localhost"}
		})
		defer client.Close()
		return first(err, same(client.Ping(ctx).Val(), "PONG"))
	})
}

func main() {
	if build, known := debug.ReadBuildInfo(); known {
		for _, module := range build.Deps {
			if module.Path == "github.com/redis/go-redis/v9" {
				fmt.Println("version", strings.TrimPrefix(module.Version, "v"))
			}
		}
	}
	if len(os.Args) > 1 && os.Args[1] == "cluster" {
		onCluster()
		return
	}
	node = connect(nil)
	check("connect", func() error {
		info, err := node.ClientInfo(ctx).Result()
		return first(same(node.Ping(ctx).Val(), "PONG"), err, same(info != nil && info.Addr == socket+":0", socket != ""))
	})
	check("resp2", func() error { return withResp(2) })
	check("resp3", func() error { return withResp(3) })
	stringsOfOne()
	severalAtOnce()
	messages()
	values()
	others()
	fmt.Println("done")
}
