package main

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestAPeerIsAskedAndItsAnswerHeard(t *testing.T) {
	far, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	address := far.LocalAddr().(*net.UDPAddr).AddrPort()
	p := newPoker()
	for range 2 { // again after a rest
		if err := p.poke(netip.AddrPortFrom(address.Addr().Unmap(), address.Port())); err != nil {
			t.Fatal(err)
		}
		far.SetReadDeadline(time.Now().Add(10 * time.Second))
		frame := make([]byte, 64)
		n, from, err := far.ReadFromUDPAddrPort(frame)
		// RFC 5456: a full frame of 12 bytes, type 6 (IAX control), subclass 30 (POKE), no destination call
		if err != nil || n != 12 || frame[0]&0x80 == 0 || frame[2] != 0 || frame[10] != 6 || frame[11] != 30 {
			t.Fatalf("%v: % x", err, frame[:n])
		}
		if _, err := far.WriteToUDPAddrPort([]byte("pong"), from); err != nil {
			t.Fatal(err)
		}
		if heard := <-p.heard; heard.Port() != address.Port() {
			t.Errorf("heard %s", heard)
		}
		p.rest()
		p.rest()
		if p.socket != nil {
			t.Error("it rests with an open socket")
		}
	}
}
