package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// A place is a socket's path, or ADDRESS:PORT. net.Dial and net.Listen take names of hosts too, and the resolver that
// comes with them is 210 KB.

// dial connects to a place within answerTimeout.
func dial(place string) (net.Conn, error) {
	if isPath(place) {
		return net.DialUnix("unix", nil, &net.UnixAddr{Name: place, Net: "unix"})
	}
	address, err := netip.ParseAddrPort(place)
	if err != nil {
		return nil, err
	}
	conns, errs := make(chan net.Conn, 1), make(chan error, 1)
	go func() {
		conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(address))
		if err != nil {
			errs <- err
			return
		}
		conns <- conn
	}()
	select {
	case conn := <-conns:
		return conn, nil
	case err := <-errs:
		return nil, err
	case <-time.After(answerTimeout):
		go func() {
			select { // the kernel gives up by itself
			case conn := <-conns:
				conn.Close()
			case <-errs:
			}
		}()
		return nil, fmt.Errorf("%s: no answer within %s", place, answerTimeout)
	}
}

// listen opens a place for others to connect to.
func listen(place string) (net.Listener, error) {
	if isPath(place) {
		return net.ListenUnix("unix", &net.UnixAddr{Name: place, Net: "unix"})
	}
	address, err := netip.ParseAddrPort(place)
	if err != nil {
		return nil, err
	}
	return net.ListenTCP("tcp", net.TCPAddrFromAddrPort(address))
}

func isPath(place string) bool { return strings.HasPrefix(place, "/") }
