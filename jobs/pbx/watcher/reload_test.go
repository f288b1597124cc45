package main

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// serveConsole plays Asterisk's control socket, to which every command is done; list is what it was told.
func serveConsole(t *testing.T) (path string, list func() []string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "asterisk.ctl")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	var lock sync.Mutex
	var told []string
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			asked, _ := bufio.NewReader(conn).ReadString(0)
			lock.Lock()
			told = append(told, strings.TrimSuffix(strings.TrimPrefix(asked, "cli quit after "), "\x00"))
			lock.Unlock()
			conn.Write([]byte("Asterisk\nDone\n"))
			conn.Close()
		}
	}()
	return path, func() []string {
		lock.Lock()
		defer lock.Unlock()
		return slices.Clone(told)
	}
}

func TestPeersAreReloadedOnceASecondAndNothingAfterThemBefore(t *testing.T) {
	told := serveManager(t, map[string]string{
		"Login":       login,
		"IAXpeerlist": "Response: Success\nActionID: <id>\n\nEvent: PeerlistComplete\nActionID: <id>\nEventList: Complete\n",
	})
	m, err := connect(told, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer m.conn.Close()
	socket, list := serveConsole(t)
	folder := t.TempDir()
	w := &watcher{now: newState()}
	w.asterisk = &asterisk{m, console{socket}, nil, &w.peersReloaded}
	for _, name := range []string{"voicemail.conf", "iax.conf", "pjsip.conf"} { // any order, as the order is what counts
		w.files = append(w.files, &followed{path: filepath.Join(folder, name)})
	}
	write := func(text string) {
		for _, file := range w.files {
			if err := os.WriteFile(file.path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("[general]\n")
	first := []string{"voicemail reload", "iax2 reload", "module reload res_pjsip.so"}
	if reloaded, wait := w.takeOverFiles(); !reloaded || wait != 0 || !slices.Equal(list(), first) {
		t.Fatalf("%v %v %q %v", reloaded, wait, list(), w.now.Unacknowledged)
	}
	before := w.now.Acknowledged["iax.conf"]

	write("[general]\n; changed\n")
	reloaded, wait := w.takeOverFiles()
	if !reloaded || wait <= 0 || wait > betweenReloads || !slices.Equal(list(), append(first, first[0])) {
		t.Fatalf("%v %v %q", reloaded, wait, list())
	}
	if w.now.Acknowledged["iax.conf"] != before || w.now.Acknowledged["pjsip.conf"] != before {
		t.Error("what is not in force yet is acknowledged")
	}

	w.peersReloaded = time.Now().Add(-betweenReloads)
	if reloaded, wait := w.takeOverFiles(); !reloaded || wait != 0 || !slices.Equal(list(), append(first, first...)) {
		t.Fatalf("%v %v %q", reloaded, wait, list())
	}
	if w.now.Acknowledged["iax.conf"] == before || w.now.Acknowledged["pjsip.conf"] == before {
		t.Error("what is in force is not acknowledged")
	}
}
