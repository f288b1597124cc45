package main

import (
	"errors"
	"io"
	"strings"
	"time"
)

// console is Asterisk's control socket, which only its own user can open. The manager interface could carry the same
// commands, but would need the right to all of them, and a writable /tmp.
type console struct{ path string }

// run is what "asterisk -rx" does: one command, and everything that is said to it.
func (c console) run(command string) (string, error) {
	conn, err := dial(c.path)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write([]byte("cli quit after " + command + "\x00")); err != nil {
		return "", err
	}
	said, err := io.ReadAll(conn)
	if err != nil {
		return "", err
	}
	_, answer, found := strings.Cut(string(said), "\n") // the first line is Asterisk's name
	if !found {
		return "", errors.New("the console says nothing")
	}
	return answer, nil
}
