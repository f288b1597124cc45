package main

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
)

// poker asks peers "are you there?" by IAX2's POKE, which any Asterisk answers without an account. It has a socket only
// while it asks, so that nothing but Asterisk can be reached otherwise.
type poker struct {
	socket *net.UDPConn
	heard  chan netip.AddrPort
	call   uint16
}

func newPoker() *poker { return &poker{heard: make(chan netip.AddrPort, 256)} }

// poke sends one frame. That it cannot be sent is as good as that nobody answers; but an error means that nobody could
// be heard here.
func (p *poker) poke(to netip.AddrPort) error {
	if p.socket == nil {
		socket, err := net.ListenUDP("udp4", nil)
		if err != nil {
			return err
		}
		p.socket = socket
		go p.listen(socket)
	}
	p.call = p.call%0x7fff + 1
	p.socket.WriteToUDPAddrPort(buildPoke(p.call), to)
	return nil
}

// rest closes the socket until the next poke.
func (p *poker) rest() {
	if p.socket != nil {
		p.socket.Close()
		p.socket = nil
	}
}

func (p *poker) listen(socket *net.UDPConn) {
	buffer := make([]byte, 64)
	for {
		_, from, err := socket.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP refusal of an earlier frame
		}
		select {
		case p.heard <- netip.AddrPortFrom(from.Addr().Unmap(), from.Port()):
		default: // enough of it waits there
		}
	}
}

// buildPoke is a full frame of RFC 5456 (8.1.1): type 6, IAX control, subclass 0x1e, POKE.
func buildPoke(call uint16) []byte {
	frame := make([]byte, 12)
	binary.BigEndian.PutUint16(frame, 0x8000|call)
	frame[10], frame[11] = 0x06, 0x1e
	return frame
}
