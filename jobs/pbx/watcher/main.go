// watcher sits beside one Asterisk: it says whether a call is up, whether the link is, and which configuration is in
// force, and it frees the legs of a call whose link has died, so that the dial plan takes the next way.
//
// "watcher start … -- /usr/sbin/asterisk …" makes a secret for Asterisk's manager interface, leaves a keeper behind and
// becomes Asterisk, so that the task's signals and its exit status are Asterisk's own. The keeper starts the watcher
// again whenever it ends. Neither is Asterisk's parent: nothing that goes wrong here can end a call. With --stay the
// keeper is its parent (stay.go), for whoever ends the task must not end its calls.
//
// It is no task of its own, because Nomad keeps two programs and a shim for each task of Docker's, which is more memory
// than a whole PBX takes; and a shared folder for the secret would lie on a disk.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

type settings struct {
	manager  string
	secret   string
	console  string
	state    string
	publish  string
	serve    string
	peer     string
	address  string
	link     string
	timeout  time.Duration
	configs  list
	words    string
	patience time.Duration
	anew     string
	started  string
	bound    string
	await    bool
	pair     list
	taken    string
	stay     bool
}

type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

func main() {
	roles := map[string]func(settings, []string) error{
		"start": start, "keep": keep, "watch": watch, "show": show, "carry": carry,
	}
	var role func(settings, []string) error
	if len(os.Args) > 1 {
		role = roles[os.Args[1]]
	}
	if role == nil {
		fail(2, "needs start, keep, watch, show or carry, and then its options (--help)")
	}
	said, rest := parse(os.Args[1], os.Args[2:])
	// The watcher waits nearly always: one thread for Go's code, and memory given back early.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(10)
	if err := role(said, rest); err != nil {
		fail(1, err.Error())
	}
}

func parse(role string, arguments []string) (settings, []string) {
	var said settings
	flags := flag.NewFlagSet("watcher "+role, flag.ExitOnError)
	flags.StringVar(&said.manager, "manager", "127.0.0.1:5038", "Asterisk's manager interface")
	flags.StringVar(&said.secret, "secret", "/var/run/asterisk/manager.secret", "the file that manager.conf includes")
	flags.StringVar(&said.console, "console", "/var/run/asterisk/asterisk.ctl", "Asterisk's console")
	flags.StringVar(&said.state, "state", "/var/run/asterisk/watcher.json", "where the state is written")
	flags.StringVar(&said.publish, "publish", "", "a second file for it, where the controller reads it through Nomad")
	flags.StringVar(&said.serve, "serve", "/var/run/asterisk/watcher.sock",
		"where /state and /healthz are served: a socket's path, or ADDRESS:PORT on loopback")
	flags.StringVar(&said.peer, "peer", "box", "the IAX2 peer whose reach is the link's")
	flags.StringVar(&said.address, "address", "",
		"the overlay's address: start waits for it, and health asks whether Asterisk listens there for IAX2")
	flags.StringVar(&said.link, "interface", "riti", "the interface on which start waits for the address")
	flags.DurationVar(&said.timeout, "timeout", time.Minute, "how long start waits")
	flags.Var(&said.configs, "config",
		"a file that is reloaded when it changes, and acknowledged once it is in force (again for more)")
	flags.StringVar(&said.words, "words", "/var/spool/asterisk/words", "where the recordings of words.txt are unpacked")
	// an outage of 1.5 s is to cut no call, and the first answer after it needs a tenth to be asked for
	flags.DurationVar(&said.patience, "patience", 1800*time.Millisecond,
		"how long an unreachable peer must have been silent when its legs are freed")
	flags.StringVar(&said.anew, "anew", "",
		"a file: when it says something else than at Asterisk's start, Asterisk ends as soon as no call is up")
	flags.StringVar(&said.started, "started", "/var/run/asterisk/started", "where start leaves what it said then")
	flags.StringVar(&said.bound, "bound", "", "a file whose bindaddr is the --address")
	flags.BoolVar(&said.await, "await", false, "start waits, without an end, until the --config files are there")
	flags.Var(&said.pair, "pair", "the pair of addresses of which --taken says one (twice)")
	flags.StringVar(&said.taken, "taken", "",
		"a file that says which half of the pair this allocation has: start writes its address into the file of --bound")
	flags.BoolVar(&said.stay, "stay", false, "start stays Asterisk's parent, and has it end with its calls when it is told to end")
	flags.Parse(arguments)
	if err := said.checkPair(); err != nil {
		fail(2, err.Error())
	}
	if said.address != "" && net.ParseIP(said.address) == nil {
		fail(2, "--address must be an IP address")
	}
	if said.patience < 100*time.Millisecond {
		fail(2, "--patience must be 100ms or more")
	}
	for _, path := range said.configs {
		if _, known := reloads[base(path)]; !known {
			fail(2, fmt.Sprintf("--config: no reload is known for %s", path))
		}
	}
	if !isPath(said.serve) {
		host, _, err := net.SplitHostPort(said.serve)
		if address := net.ParseIP(host); err != nil || address == nil || !address.IsLoopback() {
			fail(2, "--serve must be a socket's path, or ADDRESS:PORT on loopback")
		}
	}
	return said, flags.Args()
}

func fail(status int, what string) {
	fmt.Fprintf(os.Stderr, "watcher: %s\n", what)
	os.Exit(status)
}

func report(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "watcher: "+format+"\n", values...)
}
