// The formats of docs/patterns/formats.md in Go, on its standard library: written for the Python library to read, and
// the reverse.
//
//	program vectors formats.json          every key and sealed text of the vectors
//	program write PORT NAME SECRET        one of each core pattern under NAME
//	program read PORT NAME SECRET         what the library wrote under NAME
package main

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

func must[T any](value T, err error) T {
	if err != nil {
		fail("error", err.Error(), "none")
	}
	return value
}

func fail(what string, got, expected any) {
	fmt.Fprintf(os.Stderr, "fail %s: expected=%v got=%v\n", what, expected, got)
	os.Exit(1)
}

func same[T comparable](what string, got, expected T) {
	if got != expected {
		fail(what, got, expected)
	}
}

// -- keys ----------------------------------------------------------------------------------------
func level(text string) string {
	var out strings.Builder
	for _, letter := range []byte(text) {
		plain := letter >= '0' && letter <= '9' || letter >= 'a' && letter <= 'z' || letter >= 'A' && letter <= 'Z'
		if plain || strings.IndexByte("_.~/@+,=!$&'()*;- ", letter) >= 0 {
			out.WriteByte(letter)
		} else {
			fmt.Fprintf(&out, "%%%02X", letter)
		}
	}
	return out.String()
}

func derived(prefix string, parts ...string) string {
	digest := sha256.New()
	for _, part := range parts {
		digest.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		digest.Write([]byte(part))
	}
	return prefix + ":" + hex.EncodeToString(digest.Sum(nil))
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// -- sealing -------------------------------------------------------------------------------------
func stretched(secret string, salt []byte, purpose string, length int) []byte {
	raw := must(base64.RawURLEncoding.DecodeString(secret))
	return must(hkdf.Key(sha256.New, raw, salt, "respram patterns 1 "+purpose, length))
}

func relayKey(secret, slot string) string {
	return hex.EncodeToString(stretched(secret, nil, "slot "+slot, 16))
}

func gcm(key []byte) cipher.AEAD { return must(cipher.NewGCM(must(aes.NewCipher(key)))) }

func seal(secret string, plain, context []byte) []byte {
	salt := make([]byte, 16)
	must(rand.Read(salt))
	keys := stretched(secret, salt, "seal", 40)
	header := append(append([]byte{1}, salt...), keys[32:]...)
	sealed := gcm(keys[:32]).Seal(nil, make([]byte, 12), plain, append(bytes.Clone(header), context...))
	return append(header, sealed...)
}

func open(secret string, sealed, context []byte) []byte {
	header := sealed[:25]
	keys := stretched(secret, header[1:17], "seal", 40)
	same("check bytes", string(header[17:]), string(keys[32:]))
	return must(gcm(keys[:32]).Open(nil, make([]byte, 12), sealed[25:], append(bytes.Clone(header), context...)))
}

// -- a client of RESP, as small as it can be -------------------------------------------------------
type client struct {
	conn net.Conn
	from *bufio.Reader
}

func dial(port string) *client {
	conn := must(net.Dial("tcp", "127.0.0.1:"+port))
	return &client{conn, bufio.NewReader(conn)}
}

func (c *client) do(words ...any) any {
	var out bytes.Buffer
	fmt.Fprintf(&out, "*%d\r\n", len(words))
	for _, word := range words {
		text := fmt.Sprint(word)
		if data, ok := word.([]byte); ok {
			text = string(data)
		}
		fmt.Fprintf(&out, "$%d\r\n%s\r\n", len(text), text)
	}
	must(c.conn.Write(out.Bytes()))
	return c.reply()
}

func (c *client) reply() any {
	line := strings.TrimRight(must(c.from.ReadString('\n')), "\r\n")
	switch line[0] {
	case '+':
		return line[1:]
	case ':':
		return must(strconv.Atoi(line[1:]))
	case '$':
		count := must(strconv.Atoi(line[1:]))
		if count < 0 {
			return nil
		}
		data := make([]byte, count+2)
		must(io.ReadFull(c.from, data))
		return string(data[:count])
	case '*':
		parts := make([]any, must(strconv.Atoi(line[1:])))
		for i := range parts {
			parts[i] = c.reply()
		}
		return parts
	}
	return must[any](nil, errors.New(line))
}

// -- the core patterns -----------------------------------------------------------------------------
const ms = 60_000

func head(next, life uint64, closed byte) []byte {
	return append(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, next), life), closed)
}

func claim(holder string) string {
	nonce := make([]byte, 16)
	must(rand.Read(nonce))
	return fmt.Sprintf(`{"holder":"%s","nonce":"%x"}`, holder, nonce)
}

// letGo claims what is free, and lets go of it: another's claim stays as it is, and the key is free at once.
func letGo(c *client, key string) {
	mine := claim("passing")
	same[any]("claim", c.do("SET", key, mine, "NX", "PX", ms), "OK")
	same[any]("letting go of another's", c.do("SET", key, "", "IFEQ", claim("passing"), "PX", 1), nil)
	same[any]("still held", c.do("GET", key), mine)
	same[any]("letting go", c.do("SET", key, "", "IFEQ", mine, "PX", 1), "OK")
}

func enter(c *client, base, name string) {
	c.do("HSETEX", base, "PX", ms, "FIELDS", "1", name, "")
	c.do("PEXPIRE", base, ms, "NX")
	c.do("PEXPIRE", base, ms, "GT")
}

func write(port, name, secret string) {
	c, group := dial(port), level(name)
	nonce := make([]byte, 16)
	must(rand.Read(nonce))
	c.do("SET", derived("handoff", name, "a", "b"), "a drop", "PX", ms)
	same[any]("claim", c.do("SET", "lock:"+name, claim("other"), "NX", "PX", ms), "OK")
	letGo(c, "lock:"+name+":gone")
	c.do("SET", "heartbeat:"+group+":worker", "load 1", "PX", ms)
	enter(c, "roster:heartbeat:"+group, "worker")
	c.do("SET", "state:"+name, `{"state":"queued","detail":{"by":"other"}}`, "PX", ms)
	same[any]("first", c.do("SET", "dedup:"+group+":event%3A1", nonce, "NX", "PX", ms), "OK")
	key := relayKey(secret, name)
	c.do("SET", key, seal(secret, []byte("the papers"), []byte(key)), "PX", ms)
	c.do("MULTI")
	c.do("SET", "stream:"+group+":0", "Mfirst ", "PX", ms)
	c.do("SET", "stream:"+group+":1", "lsecond", "PX", ms)
	c.do("SET", "stream:"+group+":head", head(2, 12345, 1), "PX", ms)
	c.do("EXEC")
	lane := hex.EncodeToString(nonce)
	c.do("SET", "stream:lane/"+lane+"/:0", "Lfor all", "PX", ms)
	c.do("SET", "stream:lane/"+lane+"/:head", head(1, 12345, 0), "PX", ms+120_000)
	enter(c, "roster:lane", lane)
	hash := hashOf([]byte("content"))
	c.do("SET", "content:"+group+":"+hash, "content", "NX", "PX", ms)
	c.do("SET", "label:"+group+":app%3Aconfig", hash, "PX", ms)
}

func read(port, name, secret string) {
	c, group := dial(port), level(name)
	get := func(key string) string {
		found, _ := c.do("GET", key).(string)
		return found
	}
	same("dead drop", get(derived("handoff", name, "a", "b")), "a drop")
	same("token is held", c.do("SET", "lock:"+name, "x", "NX", "PX", ms), nil)
	var claim struct{ Holder, Nonce string }
	must(0, json.Unmarshal([]byte(get("lock:"+name)), &claim))
	same("token", claim.Holder, "python")
	letGo(c, "lock:"+name+":gone")
	same("heartbeat", get("heartbeat:"+group+":worker"), "load 1")
	same("roster", fmt.Sprint(c.do("HKEYS", "roster:heartbeat:"+group)), "[worker]")
	var state struct {
		State  string
		Detail map[string]string
	}
	must(0, json.Unmarshal([]byte(get("state:"+name)), &state))
	same("state", state.State+" "+state.Detail["by"], "queued python")
	same[any]("dedup", c.do("EXISTS", "dedup:"+group+":event%3A1"), 1)
	key := relayKey(secret, name)
	same("relay", string(open(secret, []byte(get(key)), []byte(key))), "the papers")
	found := get("stream:" + group + ":head")
	same("stream head", len(found), 17)
	same("stream next", binary.BigEndian.Uint64([]byte(found)[:8]), 2)
	same("stream closed", found[16], 1)
	same("stream", get("stream:"+group+":0")+get("stream:"+group+":1"), "Mfirst lsecond")
	said := false
	for _, lane := range c.do("HKEYS", "roster:lane").([]any) {
		said = said || get(fmt.Sprintf("stream:lane/%s/:0", lane)) == "Lfor all"
	}
	same("broadcast", said, true)
	hash := get("label:" + group + ":app%3Aconfig")
	content := get("content:" + group + ":" + hash)
	same("content", content+" "+hashOf([]byte(content)), "content "+hash)
}

func vectors(path string) {
	var all struct {
		Levels  []struct{ Text, Level string }
		Derived []struct {
			Prefix, Key string
			Parts       []string
		}
		RelayKeys   []struct{ Secret, Slot, Key string } `json:"relay_keys"`
		Sealed      []struct{ Secret, Context, Sealed, Plain, Algorithm string }
		StreamHeads []struct {
			Next   uint64
			Life   string
			Closed bool
			Bytes  string
		} `json:"stream_heads"`
	}
	must(0, json.Unmarshal(must(os.ReadFile(path)), &all))
	for _, one := range all.Levels {
		same("level", level(one.Text), one.Level)
	}
	for _, one := range all.Derived {
		same("derived", derived(one.Prefix, one.Parts...), one.Key)
	}
	for _, one := range all.RelayKeys {
		same("relay key", relayKey(one.Secret, one.Slot), one.Key)
	}
	for _, one := range all.Sealed {
		if one.Algorithm == "aes-256-gcm" {
			plain := open(one.Secret, must(hex.DecodeString(one.Sealed)), must(hex.DecodeString(one.Context)))
			same("sealed", hex.EncodeToString(plain), one.Plain)
		}
	}
	for _, one := range all.StreamHeads {
		closed := byte(0)
		if one.Closed {
			closed = 1
		}
		same("head", hex.EncodeToString(head(one.Next, must(strconv.ParseUint(one.Life, 10, 64)), closed)), one.Bytes)
	}
}

func main() {
	switch args := os.Args[1:]; args[0] {
	case "vectors":
		vectors(args[1])
	case "write":
		write(args[1], args[2], args[3])
	case "read":
		read(args[1], args[2], args[3])
	}
	fmt.Println("ok", os.Args[1])
}
