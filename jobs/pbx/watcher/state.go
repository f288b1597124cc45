package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// state is what the watcher knows, as it is written and served. Nothing in it is secret.
type state struct {
	Manager        string                     `json:"manager"` // up, down
	Status         string                     `json:"status"`  // busy, idle, unknown
	Channels       int                        `json:"channels"`
	Link           string                     `json:"link"` // up, down, unknown
	Peers          map[string]reach           `json:"peers"`
	Acknowledged   map[string]acknowledgement `json:"acknowledged"`
	Unacknowledged map[string]string          `json:"unacknowledged"`    // file → why
	Deaf           string                     `json:"deaf,omitempty"`    // where Asterisk should listen and does not
	FreedLegs      int                        `json:"freed_legs"`        // since the watcher started
	Started        string                     `json:"started,omitempty"` // what --anew said when Asterisk started
}

func newState() state {
	return state{
		Manager: "down", Status: "unknown", Link: "unknown", Peers: map[string]reach{},
		Acknowledged: map[string]acknowledgement{}, Unacknowledged: map[string]string{},
	}
}

// problems is why Asterisk is not healthy; none where it is. The link is none of them: an office may be offline.
func (s state) problems() []string {
	var found []string
	if s.Manager != "up" {
		found = append(found, "Asterisk's manager interface does not answer")
	}
	for file, why := range s.Unacknowledged {
		found = append(found, file+": "+why)
	}
	if s.Deaf != "" {
		found = append(found, "Asterisk does not listen at "+s.Deaf)
	}
	return found
}

// board holds the last state for the readers, in a file and at a socket.
type board struct {
	path string
	copy string // "" for none
	lock sync.Mutex
	text []byte
	bad  []string
	at   time.Time
}

// staleAfter: a state that nobody has confirmed for so long says nothing.
const staleAfter = 15 * time.Second

func (b *board) put(now state) {
	text, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		report("state: %v", err)
		return
	}
	text = append(text, '\n')
	b.lock.Lock()
	changed := !bytes.Equal(text, b.text)
	b.text, b.bad, b.at = text, now.problems(), time.Now()
	b.lock.Unlock()
	if changed {
		err = writeWhole(b.path, text, 0o444)
		if b.copy != "" {
			// on the host's disk, so that it is not touched where nothing has changed
			err = errors.Join(err, writeWhole(b.copy, text, 0o444))
		}
	} else {
		err = os.Chtimes(b.path, time.Time{}, time.Now())
	}
	if err != nil {
		report("state: %v", err)
	}
}

// answer is the reply to a path: status and body.
func (b *board) answer(path string) (int, []byte) {
	b.lock.Lock()
	defer b.lock.Unlock()
	bad := b.bad
	if time.Since(b.at) > staleAfter {
		bad = []string{"the watcher has known nothing new for " + staleAfter.String()}
	}
	switch {
	case path == "/state" && b.text != nil:
		return 200, b.text
	case path == "/healthz" && len(bad) > 0:
		return 503, []byte(strings.Join(bad, "\n") + "\n")
	case path == "/healthz":
		return 200, []byte("healthy\n")
	}
	return 404, []byte("there are /state and /healthz\n")
}

// serve answers GET at a socket. Go's own HTTP server would make the program three times as large.
func (b *board) serve(place string) error {
	if isPath(place) {
		os.Remove(place)
	}
	listener, err := listen(place)
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				report("%s: %v", place, err)
				return
			}
			b.reply(conn)
		}
	}()
	return nil
}

// reply reads the request's head, at most 2 KB and 2 s of it, one request after the other: none can pile up.
func (b *board) reply(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	head := make([]byte, 0, 2048)
	for !bytes.Contains(head, []byte("\r\n\r\n")) {
		if len(head) == cap(head) {
			return
		}
		n, err := conn.Read(head[len(head):cap(head)])
		if err != nil {
			return
		}
		head = head[:len(head)+n]
	}
	words := strings.Fields(string(head))
	status, body := 405, []byte("only GET\n")
	if len(words) > 1 && words[0] == "GET" {
		status, body = b.answer(words[1])
	}
	names := map[int]string{200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
	fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", status, names[status], len(body))
	conn.Write(body)
}

// show prints the state that is served and ends with an error unless it is healthy: a check by a script.
func show(said settings, _ []string) error {
	for _, path := range []string{"/state", "/healthz"} {
		conn, err := dial(said.serve)
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(answerTimeout))
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: watcher\r\n\r\n", path)
		var reply bytes.Buffer
		if _, err := reply.ReadFrom(conn); err != nil {
			return err
		}
		head, body, _ := strings.Cut(reply.String(), "\r\n\r\n")
		if path == "/state" {
			fmt.Print(body)
		} else if !strings.HasPrefix(head, "HTTP/1.1 200 ") {
			return fmt.Errorf("not healthy: %s", strings.TrimSpace(body))
		}
	}
	return nil
}

// isListening is whether this network namespace has a UDP socket at exactly that IPv4 address and port.
func isListening(table, place string) bool {
	host, port, err := net.SplitHostPort(place)
	address := net.ParseIP(host).To4()
	number, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || address == nil || bad != nil {
		return false
	}
	// the kernel prints the address as a number of its own byte order, which is little-endian wherever Asterisk runs
	wanted := fmt.Sprintf(" %02X%02X%02X%02X:%04X ", address[3], address[2], address[1], address[0], number)
	return strings.Contains(table, wanted)
}
