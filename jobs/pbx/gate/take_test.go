package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// serve is a Consul that answers everything alike; it counts what it was asked.
func serve(t *testing.T, status int, body string) (address string, asked *atomic.Int32) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	asked = new(atomic.Int32)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			conn.Read(make([]byte, 4096))
			fmt.Fprintf(conn, "HTTP/1.0 %d X\r\nX-Consul-Index: 7\r\n\r\n%s", status, body)
			conn.Close()
		}
	}()
	return listener.Addr().String(), asked
}

func TestReleaseEndsAtOnceWhereItMayNot(t *testing.T) {
	for name, one := range map[string]struct {
		status int
		body   string
	}{
		"its policy is gone": {403, "Permission denied: token with AccessorID 'x' lacks permission 'key:read'"},
		"its token is gone":  {403, "ACL not found"},
		"its key is gone":    {404, ""},
		"it is another's":    {200, `{"generation": 1, "held": ["", "1 b"]}`},
	} {
		address, asked := serve(t, one.status, one.body)
		token := filepath.Join(t.TempDir(), "token")
		os.WriteFile(token, []byte("secret\n"), 0o600)
		t.Setenv("RITI_CONSUL_ADDR", address)
		t.Setenv("NOMAD_ALLOC_ID", "a")
		t.Setenv("CONSUL_HTTP_TOKEN", "")
		if err := release([]string{"--key", "k", "--taken", "f", "--token", token}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if asked.Load() != 1 {
			t.Errorf("%s: asked %d times", name, asked.Load())
		}
		if _, err := os.Stat(token); err == nil {
			t.Errorf("%s: the token is left", name)
		}
	}
}

func TestReleaseAsksAConsulThatIsAwayAgain(t *testing.T) {
	address, asked := serve(t, 500, "No cluster leader")
	token := filepath.Join(t.TempDir(), "token")
	os.WriteFile(token, []byte("secret\n"), 0o600)
	t.Setenv("RITI_CONSUL_ADDR", address)
	t.Setenv("NOMAD_ALLOC_ID", "a")
	t.Setenv("CONSUL_HTTP_TOKEN", "")
	err := release([]string{"--key", "k", "--taken", "f", "--token", token, "--patience", "900ms"})
	if err == nil || !strings.Contains(err.Error(), "500") || asked.Load() < 2 {
		t.Errorf("asked %d times: %v", asked.Load(), err)
	}
}
