// redsync over go-redis: a mutex taken, contested, extended, released, and free when its time is up.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"context"
	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	goredislib "github.com/redis/go-redis/v9"
)

func check(name string, run func() error) {
	if err := run(); err != nil {
		fmt.Println("fail", name, strings.Join(strings.Fields("expected=success got="+err.Error()), " "))
		return
	}
	fmt.Println("ok", name)
}

func wanted(fact bool, what string) error {
	if fact {
		return nil
	}
	return fmt.Errorf("not %s", what)
}

func main() {
	client := goredislib.NewClient(&goredislib.Options{Addr: os.Getenv("RESPRAM_HOST") + ":" + os.Getenv("RESPRAM_PORT")})
	locks := redsync.New(goredis.NewPool(client))
	fmt.Println("version 4")
	mine := locks.NewMutex("job", redsync.WithExpiry(30*time.Second), redsync.WithTries(1))
	theirs := locks.NewMutex("job", redsync.WithExpiry(30*time.Second), redsync.WithTries(1))
	check("lock", mine.Lock)
	check("contested", func() error { return wanted(theirs.Lock() != nil, "refused") })
	check("extend", func() error {
		ok, err := mine.Extend()
		if err != nil {
			return err
		}
		return wanted(ok, "extended")
	})
	check("unlock-of-another", func() error { ok, _ := theirs.Unlock(); return wanted(!ok, "refused") })
	check("unlock", func() error {
		ok, err := mine.Unlock()
		if err != nil {
			return err
		}
		return wanted(ok, "unlocked")
	})
	check("free-at-once", func() error {
		count, err := client.Exists(context.Background(), "job").Result()
		if err != nil {
			return err
		}
		return wanted(count == 0, "free")
	})
	check("lock-again", theirs.Lock)
	brief := locks.NewMutex("brief", redsync.WithExpiry(300*time.Millisecond), redsync.WithTries(1))
	check("free-when-its-time-is-up", func() error {
		if err := brief.Lock(); err != nil {
			return err
		}
		return locks.NewMutex("brief", redsync.WithTries(40), redsync.WithRetryDelay(50*time.Millisecond)).Lock()
	})
	fmt.Println("done")
}
