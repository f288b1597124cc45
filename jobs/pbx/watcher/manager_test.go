package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
)

// serveManager plays Asterisk's side of one session: for each action, what it writes; "<id>" stands for the action's id.
func serveManager(t *testing.T, replies map[string]string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "Asterisk Call Manager/11.0.0\r\n")
		lines := bufio.NewScanner(conn)
		for {
			asked, err := readMessage(lines)
			if err != nil {
				return
			}
			reply, known := replies[asked["Action"]]
			if !known {
				return
			}
			text := strings.ReplaceAll(reply, "<id>", asked["ActionID"])
			fmt.Fprint(conn, strings.ReplaceAll(text, "\n", "\r\n")+"\r\n")
		}
	}()
	return listener.Addr().String()
}

const login = "Response: Success\nActionID: <id>\nMessage: Authentication accepted\n"

func TestAListComesWholeAndEventsWait(t *testing.T) {
	address := serveManager(t, map[string]string{
		"Login": login,
		"CoreShowChannels": "Response: Success\nActionID: <id>\nEventList: start\n\n" +
			"Event: PeerStatus\nPeer: IAX2/box\nPeerStatus: Unreachable\n\n" +
			"Event: CoreShowChannel\nActionID: <id>\nChannel: IAX2/box-1\nUniqueid: 17.1\n\n" +
			"Event: CoreShowChannel\nActionID: 0\nChannel: late\nUniqueid: 1.1\n\n" +
			"Event: CoreShowChannelsComplete\nActionID: <id>\nEventList: Complete\nListItems: 1\n",
	})
	m, err := connect(address, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer m.conn.Close()
	channels, err := m.listChannels()
	if err != nil || len(channels) != 1 || channels[0] != (channel{"17.1", "IAX2/box-1"}) {
		t.Errorf("%v, %v", channels, err)
	}
	if len(m.events) != 1 || m.events[0]["PeerStatus"] != "Unreachable" {
		t.Errorf("events %v", m.events)
	}
	// it knows no other action, and closes
	if _, err := m.listPeers(); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a lost session: %v", err)
	}
}

func TestARefusalIsAnError(t *testing.T) {
	refusal := "Response: Error\nActionID: <id>\nMessage: Authentication failed\n"
	if _, err := connect(serveManager(t, map[string]string{"Login": refusal}), "x"); err == nil {
		t.Error("a refused login passes")
	}
}

func TestAnActionStaysOneAction(t *testing.T) {
	m, err := connect(serveManager(t, map[string]string{"Login": login}), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer m.conn.Close()
	if err := m.hangUp("1\r\nAction: Logoff", 38); err == nil || !strings.Contains(err.Error(), "single line") {
		t.Errorf("%v", err)
	}
}
