// redigo: commands by name, replies converted by helpers.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

var host, port, authPort = os.Getenv("RESPRAM_HOST"), os.Getenv("RESPRAM_PORT"), os.Getenv("RESPRAM_AUTH_PORT")
var node redis.Conn

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

func connect(at string, options ...redis.DialOption) (redis.Conn, error) {
	return redis.Dial("tcp", host+":"+at, append(options, redis.DialReadTimeout(10*time.Second))...)
}

// The reply of a command is this text.
func text(expected string, words ...any) error {
	got, err := redis.String(node.Do(words[0].(string), words[1:]...))
	return first(err, same(got, expected))
}

func number(low, high int64, words ...any) error {
	got, err := redis.Int64(node.Do(words[0].(string), words[1:]...))
	if err == nil && (got < low || got > high) {
		err = differ(fmt.Sprint(low, "..", high), got)
	}
	return err
}

func missing(words ...any) error {
	got, err := node.Do(words[0].(string), words[1:]...)
	return first(err, same(got, nil))
}

func refused(err error, words string) error {
	if err == nil || !strings.Contains(err.Error(), words) {
		return differ(words, err)
	}
	return nil
}

func single() {
	forms := map[string][]any{
		"set-ex": {"EX", 60}, "set-px": {"PX", 60000}, "set-exat": {"EXAT", time.Now().Unix() + 60},
		"set-pxat": {"PXAT", time.Now().UnixMilli() + 60000},
	}
	for _, name := range []string{"set-ex", "set-px", "set-exat", "set-pxat"} {
		check(name, func() error {
			return first(text("OK", append([]any{"SET", name, "v"}, forms[name]...)...), number(50000, 60000, "PTTL", name))
		})
	}
	check("set-keepttl", func() error {
		return first(text("OK", "SET", "kept", "a", "EX", 60), text("OK", "SET", "kept", "b", "KEEPTTL"),
			text("b", "GET", "kept"), number(50, 60, "TTL", "kept"))
	})
	check("default-ttl", func() error { return first(text("OK", "SET", "bare", "v"), number(1, 1<<40, "TTL", "bare")) })
	check("get", func() error { return text("v", "GET", "set-ex") })
	check("get-missing", func() error {
		_, err := redis.String(node.Do("GET", "missing"))
		return same(err, redis.ErrNil)
	})
	check("mget", func() error {
		got, err := redis.Strings(node.Do("MGET", "set-ex", "missing", "set-px"))
		return first(err, same(got, []string{"v", "", "v"}))
	})
	check("set-nx", func() error {
		return first(text("OK", "SET", "once", "a", "EX", 60, "NX"), missing("SET", "once", "b", "EX", 60, "NX"),
			text("a", "GET", "once"))
	})
	check("expire", func() error {
		return first(text("OK", "SET", "short", "v", "EX", 600), number(1, 1, "EXPIRE", "short", 100),
			number(95, 100, "TTL", "short"), number(0, 0, "PEXPIRE", "missing", 5))
	})
	check("ttl", func() error { return first(number(-2, -2, "TTL", "missing"), number(50, 60, "TTL", "set-ex")) })
	check("incr", func() error {
		return first(number(1, 1, "INCR", "n"), number(6, 6, "INCRBY", "n", 5), text("1.5", "INCRBYFLOAT", "f", 1.5))
	})
}

func several() {
	check("scan", func() error {
		for i := range 300 {
			if err := text("OK", "SET", fmt.Sprint("scan:", i), i, "EX", 60); err != nil {
				return err
			}
		}
		seen, cursor := map[string]bool{}, "0"
		for {
			page, err := redis.Values(node.Do("SCAN", cursor, "MATCH", "scan:*", "COUNT", 17))
			if err != nil {
				return err
			}
			var keys []string
			if _, err := redis.Scan(page, &cursor, &keys); err != nil {
				return err
			}
			for _, key := range keys {
				seen[key] = true
			}
			if cursor == "0" {
				return same(len(seen), 300)
			}
		}
	})
	check("pipeline", func() error {
		for i := range 200 {
			node.Send("SET", fmt.Sprint("pipe:", i), i, "EX", 60)
			node.Send("GET", fmt.Sprint("pipe:", i))
		}
		if err := node.Flush(); err != nil {
			return err
		}
		for i := range 200 {
			set, failed := redis.String(node.Receive())
			got, err := redis.Int(node.Receive())
			if bad := first(failed, err, same(set, "OK"), same(got, i)); bad != nil {
				return bad
			}
		}
		return nil
	})
	check("multi", func() error {
		node.Send("MULTI")
		node.Send("SET", "m", 1, "EX", 60)
		node.Send("INCR", "m")
		got, err := redis.Values(node.Do("EXEC"))
		return first(err, same(got, []any{"OK", int64(2)}))
	})
	check("watch", func() error {
		other, err := connect(port)
		if err != nil {
			return err
		}
		defer other.Close()
		bad := text("OK", "WATCH", "watched")
		other.Do("SET", "watched", "2", "EX", 60)
		node.Send("MULTI")
		node.Send("SET", "watched", "3", "EX", 60)
		return first(bad, missing("EXEC"), text("2", "GET", "watched"))
	})
}

// What a subscriber of the channel hears after the act.
func heard(channel, expected string, act func() error) error {
	wire, err := connect(port)
	if err != nil {
		return err
	}
	listener := redis.PubSubConn{Conn: wire}
	defer listener.Close()
	listener.PSubscribe(channel)
	if _, subscribed := listener.Receive().(redis.Subscription); !subscribed {
		return differ("a subscription", "none")
	}
	if err := act(); err != nil {
		return err
	}
	message, _ := listener.ReceiveWithTimeout(5 * time.Second).(redis.Message)
	return same(string(message.Data), expected)
}

func messages() {
	check("publish-subscribe", func() error {
		return heard("ne*", "one", func() error { return number(1, 1, "PUBLISH", "news", "one") })
	})
	check("expired-event", func() error {
		return first(heard("__keyevent@0__:expired", "brief",
			func() error { return text("OK", "SET", "brief", "v", "PX", 80) }), missing("GET", "brief"))
	})
	check("binary", func() error {
		value := make([]byte, 256)
		for i := range value {
			value[i] = byte(255 - i)
		}
		err := text("OK", "SET", value, value, "EX", 60)
		got, failed := redis.Bytes(node.Do("GET", value))
		return first(err, failed, same(got, value))
	})
	check("mebibyte", func() error {
		value := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		err := first(text("OK", "SET", "large", value, "EX", 60), number(1<<20, 1<<20, "STRLEN", "large"))
		got, failed := redis.Bytes(node.Do("GET", "large"))
		return first(err, failed, same(bytes.Equal(got, value), true))
	})
}

func others() {
	check("auth", func() error {
		other, err := connect(authPort, redis.DialPassword(os.Getenv("RESPRAM_PASSWORD")))
		if err != nil {
			return err
		}
		defer other.Close()
		got, err := redis.String(other.Do("PING"))
		return first(err, same(got, "PONG"))
	})
	check("auth-refused", func() error {
		_, err := connect(authPort, redis.DialPassword("wrong"))
		return refused(err, "invalid username-password pair")
	})
	check("select", func() error {
		other, err := connect(port, redis.DialDatabase(5))
		if err != nil {
			return err
		}
		defer other.Close()
		other.Do("SET", "there", "v", "EX", 60)
		_, far := other.Do("SELECT", 99)
		return first(missing("GET", "there"), refused(far, "DB index is out of range"))
	})
	check("del-refused", func() error {
		bad := text("OK", "SET", "stays", "v", "EX", 60)
		_, err := node.Do("DEL", "stays")
		return first(bad, refused(err, "refused by design"), text("v", "GET", "stays"))
	})
	check("del-in-multi", func() error {
		node.Send("MULTI")
		node.Send("SET", "sibling", "v", "EX", 60)
		node.Send("DEL", "sibling")
		got, err := redis.Values(node.Do("EXEC"))
		if err != nil || len(got) != 2 {
			return differ("two replies", err)
		}
		failed, _ := got[1].(redis.Error)
		return first(same(got[0], "OK"), refused(failed, "refused by design"), text("v", "GET", "sibling"))
	})
	check("restart", func() error {
		fmt.Println("restart")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		_, lost := node.Do("PING")
		node, _ = connect(port)
		return first(err, same(line, "restarted\n"), same(lost != nil, true), text("PONG", "PING"))
	})
	check("tls", func() error {
		authority, err := os.ReadFile(os.Getenv("RESPRAM_TLS_CA"))
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(authority)
		other, failed := connect(os.Getenv("RESPRAM_TLS_PORT"), redis.DialUseTLS(true),
			redis.DialTLSConfig(&tls.Config{RootCAs: pool}))
		if bad := first(err, failed); bad != nil {
			return bad
		}
		defer other.Close()
		got, err := redis.String(other.Do("PING"))
		return first(err, same(got, "PONG"))
	})
}

func main() {
	if build, known := debug.ReadBuildInfo(); known {
		for _, module := range build.Deps {
			if module.Path == "github.com/gomodule/redigo" {
				fmt.Println("version", strings.TrimPrefix(module.Version, "v"))
			}
		}
	}
	var err error
	if node, err = connect(port); err != nil {
		fmt.Println("fail connect", errors.Unwrap(err))
		os.Exit(1)
	}
	check("connect", func() error { return text("PONG", "PING") })
	check("resp2", func() error {
		got, err := redis.Values(node.Do("HELLO", "2"))
		return first(err, same(len(got), 14))
	})
	fmt.Println("skip resp3 this client speaks RESP2 only")
	single()
	several()
	messages()
	others()
	fmt.Println("done")
}
