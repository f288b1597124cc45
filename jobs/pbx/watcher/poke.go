package main

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// poker asks peers "are you there?" by IAX2's POKE, which any Asterisk answers without an account.
type poker struct {
	socket *net.UDPConn
	heard  chan netip.AddrPort
	call   uint16
}

func newPoker() (*poker, error) {
	socket, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	p := &poker{socket: socket, heard: make(chan netip.AddrPort, 256)}
	go p.listen()
	return p, nil
}

func (p *poker) listen() {
	buffer := make([]byte, 64)
	for {
		_, from, err := p.socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return // the socket is closed only at the end
		}
		select {
		case p.heard <- netip.AddrPortFrom(from.Addr().Unmap(), from.Port()):
		default: // enough of it waits there
		}
	}
}

// poke sends one frame. That it cannot be sent is as good as that nobody answers.
func (p *poker) poke(to netip.AddrPort) {
	p.call = p.call%0x7fff + 1
	p.socket.WriteToUDPAddrPort(buildPoke(p.call), to)
}

// buildPoke is a full frame of RFC 5456 (8.1.1): type 6, IAX control, subclass 0x1e, POKE.
func buildPoke(call uint16) []byte {
	frame := make([]byte, 12)
	binary.BigEndian.PutUint16(frame, 0x8000|call)
	frame[10], frame[11] = 0x06, 0x1e
	return frame
}
