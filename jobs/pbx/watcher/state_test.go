package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func serveBoard(t *testing.T) (*board, *http.Client) {
	t.Helper()
	folder := t.TempDir()
	b := &board{path: filepath.Join(folder, "state.json")}
	place := filepath.Join(folder, "socket")
	if err := b.serve(place); err != nil {
		t.Fatal(err)
	}
	dial := func(string, string) (net.Conn, error) { return net.Dial("unix", place) }
	return b, &http.Client{Transport: &http.Transport{Dial: dial}}
}

func get(t *testing.T, client *http.Client, path string) (int, string) {
	t.Helper()
	reply, err := client.Get("http://watcher" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(body)
}

func TestTheStateIsServedAndWritten(t *testing.T) {
	b, client := serveBoard(t)
	if status, _ := get(t, client, "/healthz"); status != 503 {
		t.Errorf("healthy before anything is known: %d", status)
	}
	now := newState()
	now.Manager, now.Status, now.Channels = "up", "busy", 2
	b.put(now)
	status, served := get(t, client, "/state")
	written, err := os.ReadFile(b.path)
	if status != 200 || err != nil || served != string(written) {
		t.Errorf("%d, %v, %q and %q", status, err, served, written)
	}
	var read state
	if err := json.Unmarshal(written, &read); err != nil || read.Status != "busy" || read.Channels != 2 {
		t.Errorf("%v: %+v", err, read)
	}
	if status, _ := get(t, client, "/healthz"); status != 200 {
		t.Errorf("healthz %d", status)
	}
	if status, _ := get(t, client, "/etc/passwd"); status != 404 {
		t.Errorf("another path: %d", status)
	}
	reply, err := client.Post("http://watcher/state", "text/plain", strings.NewReader("x"))
	if err != nil || reply.StatusCode != 405 {
		t.Errorf("POST: %v, %v", reply, err)
	}
}

func TestWhatIsUnwellSaysWhy(t *testing.T) {
	b, client := serveBoard(t)
	now := newState()
	now.Manager, now.Deaf = "up", "100.80.0.4:4569"
	now.Unacknowledged["iax.conf"] = "the peer box is not in force"
	b.put(now)
	status, body := get(t, client, "/healthz")
	if status != 503 || !strings.Contains(body, "iax.conf: the peer box") || !strings.Contains(body, "100.80.0.4:4569") {
		t.Errorf("%d %q", status, body)
	}
	b.lock.Lock()
	b.bad, b.at = nil, time.Now().Add(-2*staleAfter)
	b.lock.Unlock()
	if status, body := get(t, client, "/healthz"); status != 503 || !strings.Contains(body, "nothing new") {
		t.Errorf("stale: %d %q", status, body)
	}
}

func TestAnEndlessRequestIsNotRead(t *testing.T) {
	here, there := net.Pipe()
	b := &board{}
	go io.Copy(there, strings.NewReader("GET /"+strings.Repeat("x", 1<<20)))
	done := make(chan struct{})
	go func() { b.reply(here); close(done) }()
	<-done
	if line, err := bufio.NewReader(there).ReadString('\n'); err == nil {
		t.Errorf("answered %q", line)
	}
}

func TestTheSocketOfTheAddressAlone(t *testing.T) {
	const table = "  sl  local_address rem_address   st\n  137: 04005064:11D9 00000000:0000 07 0\n"
	for place, wanted := range map[string]bool{
		"100.80.0.4:4569": true, "100.80.0.4:4570": false, "0.0.0.0:4569": false, "nowhere": false, "fe80::1:4569": false,
	} {
		if got := isListening(table, place); got != wanted {
			t.Errorf("%s: %v", place, got)
		}
	}
	if isListening("  137: 00000000:11D9 00000000:0000 07 0\n", "100.80.0.4:4569") {
		t.Error("listening everywhere passes for listening at the address")
	}
}

func TestASecretIsNewEachTimeAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	var seen []string
	for range 2 {
		if err := writeSecret(path); err != nil {
			t.Fatal(err)
		}
		secret, err := readSecret(path)
		if err != nil || len(secret) != 64 {
			t.Fatalf("%v: %d characters", err, len(secret))
		}
		seen = append(seen, secret)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o400 || seen[0] == seen[1] {
		t.Errorf("%v, %v, the same: %v", err, info.Mode(), seen[0] == seen[1])
	}
}
