package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

const (
	answerTimeout = 2 * time.Second
	// Asterisk's events between two looks of ours; more than this means that we no longer keep up.
	unread = 1024
	// A list of channels is one message each; a line of Asterisk's manager interface is at most this long.
	longestLine = 64 << 10
)

type message map[string]string

// manager is one session with Asterisk's manager interface (AMI). It is used by one goroutine.
type manager struct {
	conn     net.Conn
	incoming chan message
	failed   error // set before incoming is closed
	events   []message
	asked    int
}

func connect(address, secret string) (*manager, error) {
	conn, err := dial(address)
	if err != nil {
		return nil, err
	}
	m := &manager{conn: conn, incoming: make(chan message, unread)}
	go m.read()
	if _, err := m.ask("Login", "Username", "watcher", "Secret", secret); err != nil {
		conn.Close()
		return nil, err
	}
	return m, nil
}

func (m *manager) read() {
	defer close(m.incoming)
	lines := bufio.NewScanner(m.conn)
	lines.Buffer(make([]byte, 4096), longestLine)
	if !lines.Scan() { // the banner
		m.failed = errors.New("the manager interface says nothing")
		return
	}
	for {
		one, err := readMessage(lines)
		if err != nil {
			m.failed = err
			return
		}
		m.incoming <- one
	}
}

// readMessage reads lines "Key: value" up to an empty one. Of a key that is there twice the last value stays.
func readMessage(lines *bufio.Scanner) (message, error) {
	one := message{}
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			if len(one) > 0 {
				return one, nil
			}
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		one[key] = strings.TrimPrefix(value, " ")
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, errors.New("the manager interface closed the connection")
}

// ask sends an action and returns the entries of its list, none where the answer is no list. Events that come in
// between wait in m.events.
func (m *manager) ask(action string, fields ...string) ([]message, error) {
	m.asked++
	id := fmt.Sprint(m.asked)
	var text strings.Builder
	fmt.Fprintf(&text, "Action: %s\r\nActionID: %s\r\n", action, id)
	for i := 0; i+1 < len(fields); i += 2 {
		if strings.ContainsAny(fields[i+1], "\r\n") {
			return nil, fmt.Errorf("%s: %s is no single line", action, fields[i])
		}
		fmt.Fprintf(&text, "%s: %s\r\n", fields[i], fields[i+1])
	}
	text.WriteString("\r\n")
	m.conn.SetWriteDeadline(time.Now().Add(answerTimeout))
	if _, err := m.conn.Write([]byte(text.String())); err != nil {
		return nil, err
	}
	deadline := time.NewTimer(answerTimeout)
	defer deadline.Stop()
	var entries []message
	for {
		select {
		case one, open := <-m.incoming:
			switch {
			case !open:
				return nil, m.failed
			case one["ActionID"] != id:
				if one["ActionID"] == "" {
					m.events = append(m.events, one)
				}
			case one["Response"] == "Error":
				return nil, fmt.Errorf("%s: %s", action, one["Message"])
			case one["EventList"] == "Complete", one["Response"] != "" && one["EventList"] == "":
				return entries, nil
			case one["Event"] != "":
				entries = append(entries, one)
			}
		case <-deadline.C:
			return nil, fmt.Errorf("%s: no answer within %s", action, answerTimeout)
		}
	}
}

// hangUp ends one channel by its unique id: a name may meanwhile be another call's.
func (m *manager) hangUp(id string, cause int) error {
	_, err := m.ask("Hangup", "Channel", id, "Cause", fmt.Sprint(cause))
	return err
}

// channel is what a listing says of one channel.
type channel struct {
	id, name string
}

func (m *manager) listChannels() ([]channel, error) {
	entries, err := m.ask("CoreShowChannels")
	if err != nil {
		return nil, err
	}
	channels := make([]channel, 0, len(entries))
	for _, one := range entries {
		channels = append(channels, channel{id: one["Uniqueid"], name: one["Channel"]})
	}
	return channels, nil
}

func (m *manager) listPeers() (map[string]peer, error) {
	entries, err := m.ask("IAXpeerlist")
	if err != nil {
		return nil, err
	}
	peers := map[string]peer{}
	for _, one := range entries {
		peers[one["ObjectName"]] = readPeer(one)
	}
	return peers, nil
}
