package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

type reach string

const (
	reachable   reach = "reachable"
	lagged      reach = "lagged"
	unreachable reach = "unreachable"
	unmonitored reach = "unmonitored"
	unknown     reach = "unknown"
)

// peer is an IAX2 peer as Asterisk has it in force; trip is the last round trip that it measured.
type peer struct {
	address netip.AddrPort
	reach   reach
	trip    time.Duration
}

func readPeer(entry message) peer {
	var one peer
	address, err := netip.ParseAddr(entry["IPaddress"])
	var port uint16
	if _, scanned := fmt.Sscan(entry["Port"], &port); err == nil && scanned == nil {
		one.address = netip.AddrPortFrom(address.Unmap(), port)
	}
	word, rest, _ := strings.Cut(entry["Status"], " ")
	switch strings.ToUpper(word) {
	case "OK":
		one.reach = reachable
	case "LAGGED":
		one.reach = lagged
	case "UNREACHABLE":
		one.reach = unreachable
	case "UNMONITORED":
		one.reach = unmonitored
	default:
		one.reach = unknown
	}
	var milliseconds int
	if _, err := fmt.Sscanf(rest, "(%d ms)", &milliseconds); err == nil {
		one.trip = time.Duration(milliseconds) * time.Millisecond
	}
	return one
}

// findPeer is the peer of an IAX2 channel, whose name is "IAX2/" and the peer, "-" and a call number; "" for any other.
func findPeer(name string) string {
	rest, found := strings.CutPrefix(name, "IAX2/")
	end := strings.LastIndexByte(rest, '-')
	if !found || end < 0 {
		return ""
	}
	return rest[:end]
}
