// gate lets Asterisk start only when IAX2 can be nowhere but inside the overlay.
//
// chan_iax2 whose address is not there yet says Running and listens nowhere, and after a reload on every address. So
// gate first drops the port on every interface but the overlay's and loopback, then waits for the overlay's address.
// Both happen in Asterisk's network namespace, at every start of the program that follows "--" and that gate becomes:
// Nebula behind "gate --port 4569 -- /nebula …", which closes the port and needs CAP_NET_ADMIN; with "--port 0" it only
// waits and needs no right (a PBX's watcher waits for the address itself). On a box it stays beside Nebula (follow.go). A
// task that ran once before both would be missing when a host comes back from a reboot with a new namespace.
//
// "gate take" and "gate release" (take.go) say in Consul which of a PBX's two addresses this instance has.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) > 1 {
		if role, found := map[string]func([]string) error{"take": take, "release": release}[os.Args[1]]; found {
			if err := role(os.Args[2:]); err != nil {
				fmt.Fprintf(os.Stderr, "gate: %v\n", err)
				os.Exit(1)
			}
			return
		}
	}
	address := flag.String("address", "", "the overlay's address to wait for")
	link := flag.String("interface", "riti", "the overlay's interface")
	port := flag.Uint("port", 4569, "the UDP port that only the overlay may reach; 0 leaves the firewall alone")
	followed := flag.String("follow", "",
		"a file that the program waits for; it gets SIGHUP when a file of that folder is put there anew")
	taken := flag.String("taken", "",
		"a file that says which half of the pair of addresses this allocation has: its identity is put into /local")
	timeout := flag.Duration("timeout", time.Minute, "how long to wait")
	flag.Parse()
	wanted := net.ParseIP(*address)
	idle := *address == "" && *port == 0 && *followed == ""
	if idle || (*address != "" && wanted == nil) || *port > 65535 || *link == "" || len(*link) >= unix.IFNAMSIZ {
		fmt.Fprintln(os.Stderr, "gate: needs --address IP, --port of 1 to 65535 or --follow, --interface of 1 to 15 characters")
		os.Exit(2)
	}
	var err error
	if *port != 0 {
		err = closePort(*link, uint16(*port))
	}
	if err == nil && *taken != "" {
		err = chooseIdentity(*taken, os.Getenv("NOMAD_ALLOC_ID"), "/secrets", "/local")
	}
	if err == nil && wanted != nil {
		err = awaitAddress(*link, wanted, *timeout)
	}
	if err == nil && *followed != "" && flag.NArg() > 0 {
		err = follow(*followed, flag.Args())
	} else if err == nil && flag.NArg() > 0 {
		err = unix.Exec(flag.Arg(0), flag.Args(), os.Environ())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "gate: %v\n", err)
		os.Exit(1)
	}
}

// closePort makes the table inet riti anew, in one transaction: a second run changes nothing, and no moment is open.
func closePort(link string, port uint16) error {
	connection, err := nftables.New()
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	table := connection.AddTable(&nftables.Table{Name: "riti", Family: nftables.TableFamilyINet})
	connection.DelTable(table)
	table = connection.AddTable(table)
	input := connection.AddChain(&nftables.Chain{
		Name:     "input",
		Table:    table,
		Type:     nftables.ChainTypeFilter,
		Hooknum:  nftables.ChainHookInput,
		Priority: nftables.ChainPriorityFilter,
	})
	connection.AddRule(&nftables.Rule{Table: table, Chain: input, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: padName(link)},
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: padName("lo")},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_UDP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := connection.Flush(); err != nil {
		return fmt.Errorf("nftables: closing UDP port %d: %w", port, err)
	}
	return nil
}

// padName is an interface's name as the kernel compares it.
func padName(name string) []byte {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return padded
}

// awaitAddress returns when link has the address. The kernel's word of each change wakes it; it subscribes before it
// looks, so that an address that comes in between is not missed.
func awaitAddress(link string, wanted net.IP, timeout time.Duration) error {
	news, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	defer unix.Close(news)
	groups := uint32(unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err := unix.Bind(news, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	deadline := time.Now().Add(timeout)
	unread := make([]byte, 64<<10)
	for !hasAddress(link, wanted) {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("%s has not come up on %s within %s: see the overlay's log", wanted, link, timeout)
		}
		wake := []unix.PollFd{{Fd: int32(news), Events: unix.POLLIN}}
		changes, err := unix.Poll(wake, int(left.Milliseconds())+1)
		if err == nil && changes > 0 {
			// What it says does not matter, and where too much came at once neither: the next look shows all.
			_, _, err = unix.Recvfrom(news, unread, unix.MSG_DONTWAIT)
		}
		if err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EAGAIN) {
			return fmt.Errorf("netlink: %w", err)
		}
	}
	return nil
}

func hasAddress(link string, wanted net.IP) bool {
	device, err := net.InterfaceByName(link)
	if err != nil {
		return false
	}
	addresses, err := device.Addrs()
	if err != nil {
		return false
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.Equal(wanted) {
			return true
		}
	}
	return false
}
