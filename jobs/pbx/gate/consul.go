package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

const answerTimeout = 5 * time.Second

// errDenied is what nobody who asks again is spared: the token, or its policy, is gone.
var errDenied = errors.New("denied")

// consul is the agent of this host. HTTP/1.0 by hand: Go's own HTTP and TLS would make the program three times as large.
type consul struct {
	address netip.AddrPort
	token   string
}

// findConsul is the agent at an address, Consul's own default where that is none, and this task's own token.
func findConsul(said string) (consul, error) {
	if said == "" || strings.HasPrefix(said, "$") { // Nomad leaves what it does not know as it stands
		said = "127.0.0.1:8500"
	}
	address, err := netip.ParseAddrPort(said)
	if err != nil {
		return consul{}, fmt.Errorf("Consul's address: %w", err)
	}
	if !address.Addr().IsLoopback() {
		return consul{}, fmt.Errorf("Consul at %s: only the host's own agent is asked without TLS", said)
	}
	return consul{address, os.Getenv("CONSUL_HTTP_TOKEN")}, nil
}

// read is what the key holds and its ModifyIndex, 0 where it is not there. Where it has index last it is waited for
// another one, at most for so long.
func (c consul) read(key string, last uint64, wait time.Duration) (taken, uint64, error) {
	query := "?raw"
	if last > 0 && wait > 0 {
		query = fmt.Sprintf("?raw&index=%d&wait=%dms", last, wait.Milliseconds())
	}
	status, head, body, err := c.ask("GET", "/v1/kv/"+key+query, "", wait)
	if err != nil || status == 404 {
		return taken{}, 0, err
	}
	if status != 200 {
		return taken{}, 0, refuse(status, body)
	}
	now, err := readGeneration(body)
	if err != nil {
		return taken{}, 0, fmt.Errorf("%s says no generation (%w): delete the key if no instance runs", key, err)
	}
	// of a key that is there Consul's index is its ModifyIndex
	_, said, _ := strings.Cut(head, "\r\nX-Consul-Index: ")
	said, _, _ = strings.Cut(said, "\r\n")
	index, err := strconv.ParseUint(said, 10, 64)
	return now, index, err
}

// write is a compare-and-set; false where another was quicker.
func (c consul) write(key string, value taken, index uint64) (bool, error) {
	status, _, body, err := c.ask("PUT", fmt.Sprintf("/v1/kv/%s?cas=%d", key, index), value.String(), 0)
	if err != nil {
		return false, err
	}
	if status != 200 {
		return false, refuse(status, body)
	}
	return strings.TrimSpace(body) == "true", nil
}

func refuse(status int, body string) error {
	said := fmt.Errorf("Consul answers %d: %s", status, strings.TrimSpace(body))
	if status == 403 {
		return fmt.Errorf("%w: %w", errDenied, said)
	}
	return said
}

func (c consul) ask(method, path, body string, wait time.Duration) (status int, head, answer string, err error) {
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(c.address))
	if err != nil {
		return 0, "", "", err
	}
	defer conn.Close()
	// Consul answers up to a sixteenth later than it was told to
	conn.SetDeadline(time.Now().Add(answerTimeout + wait + wait/8))
	fmt.Fprintf(conn, "%s %s HTTP/1.0\r\nHost: %s\r\nX-Consul-Token: %s\r\nContent-Length: %d\r\n\r\n%s",
		method, path, c.address, c.token, len(body), body)
	said, err := io.ReadAll(io.LimitReader(conn, 1<<20))
	if err != nil {
		return 0, "", "", err
	}
	head, answer, whole := strings.Cut(string(said), "\r\n\r\n")
	words := strings.Fields(head)
	if !whole || len(words) < 2 {
		return 0, "", "", errors.New("Consul's answer breaks off")
	}
	status, err = strconv.Atoi(words[1])
	return status, head + "\r\n", answer, err
}
