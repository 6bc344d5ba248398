// rueidis: commands by builder, one connection for all of a process, RESP3 with a cache of its own: `program
// 3|2|cluster`.
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

	"github.com/redis/rueidis"
)

var host, port, authPort = os.Getenv("RESPRAM_HOST"), os.Getenv("RESPRAM_PORT"), os.Getenv("RESPRAM_AUTH_PORT")
var old = len(os.Args) > 1 && os.Args[1] == "2"
var node rueidis.Client

const minute = 60 * time.Second

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

func check(name string, call func() error) {
	if err := call(); err != nil {
		fmt.Println("fail", name, strings.Join(strings.Fields(err.Error()), " "))
	} else {
		fmt.Println("ok", name)
	}
}

func connect(at string, change func(*rueidis.ClientOption)) (rueidis.Client, error) {
	options := rueidis.ClientOption{InitAddress: []string{host + ":" + at}, AlwaysRESP2: old, DisableCache: old}
	if change != nil {
		change(&options)
	}
	return rueidis.NewClient(options)
}

// Every command ends: what does not come within ten seconds is an error.
func do(command rueidis.Completed) rueidis.RedisResult { return doOn(node, command) }

func doOn(client rueidis.CoreClient, command rueidis.Completed) rueidis.RedisResult {
	limit, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return client.Do(limit, command)
}

func text(expected string, command rueidis.Completed) error {
	got, err := do(command).ToString()
	return first(err, same(got, expected))
}

func number(low, high int64, command rueidis.Completed) error {
	got, err := do(command).AsInt64()
	if err == nil && (got < low || got > high) {
		err = differ(fmt.Sprint(low, "..", high), got)
	}
	return err
}

func missing(command rueidis.Completed) error {
	if err := do(command).Error(); !rueidis.IsRedisNil(err) {
		return differ("nil", err)
	}
	return nil
}

func refused(err error, words string) error {
	if err == nil || !strings.Contains(err.Error(), words) {
		return differ(words, err)
	}
	return nil
}

func put(key, value string) rueidis.Completed {
	return node.B().Set().Key(key).Value(value).Ex(minute).Build()
}

func get(key string) rueidis.Completed { return node.B().Get().Key(key).Build() }

func raw(words ...string) rueidis.Completed { return node.B().Arbitrary(words...).Build() }

func single() {
	forms := []struct {
		name    string
		command rueidis.Completed
	}{
		{"set-ex", put("set-ex", "v")},
		{"set-px", node.B().Set().Key("set-px").Value("v").PxMilliseconds(60000).Build()},
		{"set-exat", node.B().Set().Key("set-exat").Value("v").ExatTimestamp(time.Now().Unix() + 60).Build()},
		{"set-pxat", node.B().Set().Key("set-pxat").Value("v").PxatMillisecondsTimestamp(time.Now().UnixMilli() +
			60000).Build()},
	}
	for _, form := range forms {
		check(form.name, func() error {
			return first(text("OK", form.command), number(50000, 60000, node.B().Pttl().Key(form.name).Build()))
		})
	}
	check("set-keepttl", func() error {
		return first(text("OK", put("kept", "a")), text("OK", node.B().Set().Key("kept").Value("b").Keepttl().Build()),
			text("b", get("kept")), number(50, 60, node.B().Ttl().Key("kept").Build()))
	})
	check("default-ttl", func() error {
		return first(text("OK", node.B().Set().Key("bare").Value("v").Build()),
			number(1, 1<<40, node.B().Ttl().Key("bare").Build()))
	})
	check("get", func() error { return text("v", get("set-ex")) })
	check("get-missing", func() error { return missing(get("missing")) })
	check("mget", func() error {
		got, err := do(node.B().Mget().Key("set-ex", "missing", "set-px").Build()).ToArray()
		if err != nil || len(got) != 3 {
			return differ("three values", err)
		}
		one, _ := got[0].ToString()
		return first(same(one, "v"), same(got[1].IsNil(), true))
	})
	check("set-nx", func() error {
		once := func(value string) rueidis.Completed {
			return node.B().Set().Key("once").Value(value).Nx().Ex(minute).Build()
		}
		return first(text("OK", once("a")), missing(once("b")), text("a", get("once")))
	})
	check("expire", func() error {
		return first(text("OK", node.B().Set().Key("short").Value("v").Ex(10*minute).Build()),
			number(1, 1, node.B().Expire().Key("short").Seconds(100).Build()),
			number(95, 100, node.B().Ttl().Key("short").Build()),
			number(0, 0, node.B().Expire().Key("short").Seconds(200).Lt().Build()))
	})
	check("ttl", func() error {
		return first(number(-2, -2, node.B().Ttl().Key("missing").Build()),
			number(50, 60, node.B().Ttl().Key("set-ex").Build()))
	})
	check("incr", func() error {
		return first(number(1, 1, node.B().Incr().Key("n").Build()),
			number(6, 6, node.B().Incrby().Key("n").Increment(5).Build()),
			text("1.5", node.B().Incrbyfloat().Key("f").Increment(1.5).Build()))
	})
}

func several() {
	check("scan", func() error {
		for i := range 300 {
			if err := text("OK", put(fmt.Sprint("scan:", i), "v")); err != nil {
				return err
			}
		}
		seen, cursor := map[string]bool{}, uint64(0)
		for {
			page, err := do(node.B().Scan().Cursor(cursor).Match("scan:*").Count(17).Build()).AsScanEntry()
			if err != nil {
				return err
			}
			for _, key := range page.Elements {
				seen[key] = true
			}
			if cursor = page.Cursor; cursor == 0 {
				return same(len(seen), 300)
			}
		}
	})
	check("pipeline", func() error {
		var batch rueidis.Commands
		for i := range 200 {
			batch = append(batch, put(fmt.Sprint("pipe:", i), fmt.Sprint(i)), get(fmt.Sprint("pipe:", i)))
		}
		for at, answer := range node.DoMulti(context.Background(), batch...) {
			expected := "OK"
			if at%2 == 1 {
				expected = fmt.Sprint(at / 2)
			}
			got, err := answer.ToString()
			if bad := first(err, same(got, expected)); bad != nil {
				return bad
			}
		}
		return nil
	})
	check("multi", func() error {
		return node.Dedicated(func(mine rueidis.DedicatedClient) error {
			answers := mine.DoMulti(context.Background(), mine.B().Multi().Build(), put("m", "1"),
				mine.B().Incr().Key("m").Build(), mine.B().Exec().Build())
			got, err := answers[3].ToArray()
			if err != nil || len(got) != 2 {
				return differ("two replies", err)
			}
			count, err := got[1].ToInt64()
			return first(err, same(count, int64(2)))
		})
	})
	check("watch", func() error {
		return node.Dedicated(func(mine rueidis.DedicatedClient) error {
			bad := doOn(mine, mine.B().Watch().Key("watched").Build()).Error()
			other := text("OK", put("watched", "2"))
			answers := mine.DoMulti(context.Background(), mine.B().Multi().Build(), put("watched", "3"), mine.B().Exec().Build())
			return first(bad, other, same(rueidis.IsRedisNil(answers[2].Error()), true), text("2", get("watched")))
		})
	})
}

// What a subscriber of the pattern hears after the act.
func heard(pattern, expected string, act func() error) error {
	mine, release := node.Dedicate()
	defer release()
	messages, subscribed := make(chan string, 8), make(chan bool, 8)
	mine.SetPubSubHooks(rueidis.PubSubHooks{
		OnMessage:      func(one rueidis.PubSubMessage) { messages <- one.Message },
		OnSubscription: func(rueidis.PubSubSubscription) { subscribed <- true },
	})
	if err := doOn(mine, mine.B().Psubscribe().Pattern(pattern).Build()).Error(); err != nil {
		return err
	}
	late := time.After(10 * time.Second)
	select {
	case <-subscribed:
	case <-late:
		return differ("a subscription", "none")
	}
	if err := act(); err != nil {
		return err
	}
	select {
	case got := <-messages:
		return same(got, expected)
	case <-late:
		return differ(expected, "nothing")
	}
}

func messages() {
	check("publish-subscribe", func() error {
		return heard("ne*", "one",
			func() error { return number(1, 1, node.B().Publish().Channel("news").Message("one").Build()) })
	})
	check("expired-event", func() error {
		brief := node.B().Set().Key("brief").Value("v").PxMilliseconds(80).Build()
		return first(heard("__keyevent@0__:expired", "brief", func() error { return text("OK", brief) }),
			missing(get("brief")))
	})
	check("binary", func() error {
		value := make([]byte, 256)
		for i := range value {
			value[i] = byte(255 - i)
		}
		return first(text("OK", put(string(value), string(value))), text(string(value), get(string(value))))
	})
	check("mebibyte", func() error {
		value := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		err := first(text("OK", put("large", string(value))), number(1<<20, 1<<20, node.B().Strlen().Key("large").Build()))
		got, failed := do(get("large")).AsBytes()
		return first(err, failed, same(bytes.Equal(got, value), true))
	})
}

// The cache of the client, which the node invalidates: not in the list that all go through, and only in RESP3.
func cached() {
	if old {
		return
	}
	check("client-side-cache", func() error {
		read := func() (string, bool, error) {
			got := node.DoCache(context.Background(), node.B().Get().Key("held").Cache(), minute)
			value, err := got.ToString()
			return value, got.IsCacheHit(), err
		}
		bad := text("OK", put("held", "a"))
		_, _, err := read()
		value, hit, again := read()
		if failed := first(bad, err, again, same(value, "a"), same(hit, true), text("OK", put("held", "b"))); failed != nil {
			return failed
		}
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if value, _, _ = read(); value == "b" {
				return nil
			}
		}
		return differ("b", value)
	})
}

func others() {
	check("auth", func() error {
		other, err := connect(authPort,
			func(options *rueidis.ClientOption) { options.Password = os.Getenv("RESPRAM_PASSWORD") })
		if err != nil {
			return err
		}
		defer other.Close()
		got, err := doOn(other, other.B().Ping().Build()).ToString()
		return first(err, same(got, "PONG"))
	})
	check("auth-refused", func() error {
		_, err := connect(authPort, func(options *rueidis.ClientOption) { options.Password = "wrong" })
		return refused(err, "invalid username-password pair")
	})
	check("select", func() error {
		other, err := connect(port, func(options *rueidis.ClientOption) { options.SelectDB = 5 })
		if err != nil {
			return err
		}
		defer other.Close()
		bad := doOn(other, put("there", "v")).Error()
		_, far := connect(port, func(options *rueidis.ClientOption) { options.SelectDB = 99 })
		return first(bad, missing(get("there")), refused(far, "DB index is out of range"))
	})
	check("del-refused", func() error {
		bad := text("OK", put("stays", "v"))
		return first(bad, refused(do(node.B().Del().Key("stays").Build()).Error(), "refused by design"),
			text("v", get("stays")))
	})
	check("del-in-multi", func() error {
		return node.Dedicated(func(mine rueidis.DedicatedClient) error {
			answers := mine.DoMulti(context.Background(), mine.B().Multi().Build(), put("sibling", "v"),
				mine.B().Del().Key("sibling").Build(), mine.B().Exec().Build())
			got, err := answers[3].ToArray()
			if err != nil || len(got) != 2 {
				return differ("two replies", err)
			}
			return first(got[0].Error(), refused(got[1].Error(), "refused by design"), text("v", get("sibling")))
		})
	})
	check("restart", func() error {
		fmt.Println("restart")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		var pinged error
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if pinged = text("PONG", node.B().Ping().Build()); pinged == nil {
				break
			}
		}
		return first(err, same(line, "restarted\n"), pinged)
	})
	check("tls", func() error {
		authority, err := os.ReadFile(os.Getenv("RESPRAM_TLS_CA"))
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(authority)
		other, failed := connect(os.Getenv("RESPRAM_TLS_PORT"),
			func(options *rueidis.ClientOption) { options.TLSConfig = &tls.Config{RootCAs: pool, ServerName: host} })
		if bad := first(err, failed); bad != nil {
			return bad
		}
		defer other.Close()
		got, err := doOn(other, other.B().Ping().Build()).ToString()
		return first(err, same(got, "PONG"))
	})
}

func main() {
	if build, known := debug.ReadBuildInfo(); known {
		for _, module := range build.Deps {
			if module.Path == "github.com/redis/rueidis" {
				fmt.Println("version", strings.TrimPrefix(module.Version, "v"))
			}
		}
	}
	if len(os.Args) > 1 && os.Args[1] == "cluster" {
		onCluster()
		return
	}
	var err error
	if node, err = connect(port, nil); err != nil {
		fmt.Println("fail connect", errors.Unwrap(err), err)
		os.Exit(1)
	}
	check("connect", func() error { return text("PONG", node.B().Ping().Build()) })
	spoken, other := "resp3", "resp2"
	if old {
		spoken, other = other, spoken
	}
	check(spoken, func() error {
		got, err := do(raw("CLIENT", "INFO")).ToString()
		return first(err, same(strings.Contains(got, "resp="+spoken[4:]), true))
	})
	fmt.Println("skip", other, "in the other run")
	single()
	several()
	messages()
	cached()
	others()
	fmt.Println("done")
}
