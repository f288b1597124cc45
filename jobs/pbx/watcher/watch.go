package main

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	lookEvery  = 5 * time.Second
	settle     = 50 * time.Millisecond // events of one call, and writes of one file, come together
	networkOut = 38                    // Q.850: network out of order
	iaxPort    = "4569"
	firstRetry = 100 * time.Millisecond
	longRetry  = 5 * time.Second
)

// asterisk is the running Asterisk by both its doors.
type asterisk struct {
	manager *manager
	console console
	words   *spoken

	peersReloaded *time.Time // outlives a session: the same Asterisk may be met in the next
}

type watcher struct {
	said    settings
	board   *board
	poker   *poker
	now     state
	files   []*followed
	words   *spoken
	changed chan struct{} // a followed file may have changed

	peersReloaded time.Time

	// of one session
	asterisk *asterisk
	peers    map[string]peer
	silence  *silence
	legs     map[string][]channel // IAX2 peer → its channels
}

// watch runs until something unforeseen ends it. An Asterisk that does not answer is foreseen.
func watch(said settings, _ []string) error {
	if err := said.findAddress(); err != nil {
		return err
	}
	w := &watcher{
		said: said, board: &board{path: said.state, copy: said.publish}, poker: newPoker(), now: newState(),
		words: newSpoken(said.words), changed: make(chan struct{}, 1),
	}
	if err := w.board.serve(said.serve); err != nil {
		return err
	}
	for _, name := range reloadOrder {
		for _, path := range said.configs {
			if base(path) == name {
				w.files = append(w.files, &followed{path: path})
				w.now.Unacknowledged[name] = "it is not loaded yet"
			}
		}
	}
	if err := w.followFiles(); err != nil {
		return err
	}
	for retry := firstRetry; ; retry = min(2*retry, longRetry) {
		w.board.put(w.now)
		started := time.Now()
		if err := w.attend(); err != nil && (w.now.Manager == "up" || retry >= longRetry) {
			report("%v", err)
		}
		if time.Since(started) > longRetry {
			retry = firstRetry
		}
		w.now.Manager, w.now.Status, w.now.Channels, w.now.Link = "down", "unknown", 0, "unknown"
		w.board.put(w.now)
		time.Sleep(retry)
	}
}

// attend is one session with Asterisk. What was suspected in another one is forgotten.
func (w *watcher) attend() error {
	secret, err := readSecret(w.said.secret)
	if err != nil {
		return err
	}
	m, err := connect(w.said.manager, secret)
	if err != nil {
		return err
	}
	defer m.conn.Close()
	w.asterisk = &asterisk{m, console{w.said.console}, w.words, &w.peersReloaded}
	w.silence = newSilence(w.said.patience)
	for _, file := range w.files {
		file.tried, file.done = "", false // another Asterisk may have started on another file
	}
	if w.said.anew != "" {
		w.now.Started = readAnew(w.said.started)
	}
	// the manager interface answers before the dial plan is loaded, and a reload then finds nothing
	if _, err := w.asterisk.console.run("core waitfullybooted"); err != nil {
		return err
	}
	if err := w.look(); err != nil {
		return err
	}
	w.now.Manager = "up"
	return w.attendOn()
}

func (w *watcher) attendOn() error {
	looking := time.NewTicker(lookEvery)
	defer looking.Stop()
	poking := time.NewTicker(calmPace)
	defer poking.Stop()
	defer w.poker.rest()
	poking.Stop()
	pace := time.Duration(0)
	later := time.NewTimer(0) // files are taken over at once
	defer later.Stop()
	for {
		var err error
		var wait time.Duration // until files that could not be taken over yet can be
		select {
		case one, open := <-w.asterisk.manager.incoming:
			if !open {
				return w.asterisk.manager.failed
			}
			w.asterisk.manager.events = append(w.asterisk.manager.events, one)
		case from := <-w.poker.heard:
			w.hear(from)
			continue
		case <-poking.C:
			err = w.poke()
		case <-looking.C:
			if err = w.look(); err == nil {
				wait, err = w.bringUpToDate()
			}
		case <-w.changed:
			later.Reset(settle)
			continue
		case <-later.C:
			if err = w.listLegs(); err == nil {
				wait, err = w.bringUpToDate()
			}
		}
		if wait > 0 {
			later.Reset(wait)
		}
		if err != nil {
			return err
		}
		if w.takeEvents() {
			later.Reset(settle)
		}
		if wanted := w.silence.choosePace(w.findTrips()); wanted != pace {
			if pace = wanted; pace > 0 {
				poking.Reset(pace)
				err = w.poke()
			} else {
				poking.Stop()
				w.poker.rest()
			}
		}
		if err != nil {
			return err
		}
		w.board.put(w.now)
	}
}

// takeEvents goes through what Asterisk said meanwhile; true where a channel came or went.
func (w *watcher) takeEvents() bool {
	channels := false
	for _, event := range w.asterisk.manager.events {
		switch event["Event"] {
		case "PeerStatus":
			name, iax := strings.CutPrefix(event["Peer"], "IAX2/")
			if !iax {
				continue
			}
			one := w.peers[name]
			switch event["PeerStatus"] {
			case "Unreachable":
				one.reach = unreachable
			case "Lagged":
				one.reach = lagged
			case "Reachable":
				one.reach = reachable
			default:
				continue
			}
			w.peers[name] = one
			w.judge()
			channels = true // and whose legs are up is to be known at once
		case "Newchannel", "Hangup":
			channels = true
		}
	}
	w.asterisk.manager.events = nil
	return channels
}

// look asks Asterisk for everything. Events only say when to look, so a lost one does no harm for long.
func (w *watcher) look() error {
	peers, err := w.asterisk.manager.listPeers()
	if err != nil {
		return err
	}
	for name, one := range peers {
		// an unreachable peer's trip is that of the time when it answered
		if one.trip == 0 {
			one.trip = w.peers[name].trip
			peers[name] = one
		}
	}
	w.peers = peers
	w.judge()
	w.now.Deaf = ""
	if w.said.address != "" {
		place := net.JoinHostPort(w.said.address, iaxPort)
		table, err := os.ReadFile("/proc/net/udp")
		if err != nil || !isListening(string(table), place) {
			w.now.Deaf = place
		}
	}
	return w.listLegs()
}

// judge takes over what is known of the peers: into the state, and who is suspected.
func (w *watcher) judge() {
	w.now.Peers = map[string]reach{}
	for name, one := range w.peers {
		w.now.Peers[name] = one.reach
		switch one.reach {
		case unreachable:
			w.silence.suspect(name)
		case reachable, lagged:
			w.silence.trust(name)
		}
	}
	for name := range w.silence.suspects {
		if _, found := w.peers[name]; !found {
			w.silence.trust(name) // its address went with it
		}
	}
	switch w.peers[w.said.peer].reach {
	case reachable, lagged:
		w.now.Link = "up"
	case unreachable:
		w.now.Link = "down"
	default:
		w.now.Link = "unknown"
	}
}

func (w *watcher) listLegs() error {
	channels, err := w.asterisk.manager.listChannels()
	if err != nil {
		return err
	}
	w.legs = map[string][]channel{}
	for _, one := range channels {
		if name := findPeer(one.name); name != "" {
			w.legs[name] = append(w.legs[name], one)
		}
	}
	w.now.Channels, w.now.Status = len(channels), "idle"
	if len(channels) > 0 {
		w.now.Status = "busy"
	}
	return nil
}

// findTrips is the round trip to each peer that has legs, of those that Asterisk watches.
func (w *watcher) findTrips() map[string]time.Duration {
	trips := map[string]time.Duration{}
	for name := range w.legs {
		// after a reload a peer stays unknown to us until the next look, though it is watched
		if one, found := w.peers[name]; found && one.reach != unmonitored {
			trips[name] = one.trip
		}
	}
	return trips
}

func (w *watcher) hear(from netip.AddrPort) {
	for name := range w.legs {
		if w.peers[name].address == from {
			w.silence.hear(name)
		}
	}
}

// poke asks the peers that carry calls, and frees the legs on those that are dead: Asterisk is asked once more before.
func (w *watcher) poke() error {
	for len(w.poker.heard) > 0 {
		w.hear(<-w.poker.heard)
	}
	asked, dead := w.silence.look(w.findTrips(), time.Now())
	for _, name := range asked {
		if err := w.poker.poke(w.peers[name].address); err != nil {
			report("%s cannot be asked: %v", name, err)
			w.silence.hear(name) // our own deafness is nobody's silence
		}
	}
	if len(dead) == 0 {
		return nil
	}
	// Asterisk tells that a peer is gone a moment before it says so when it is asked, so that a list that does not say it
	// yet clears nobody: the next tick asks again.
	peers, err := w.asterisk.manager.listPeers()
	if err != nil {
		return err
	}
	if err := w.listLegs(); err != nil {
		return err
	}
	for _, name := range dead {
		if peers[name].reach != unreachable {
			continue
		}
		for _, leg := range w.legs[name] {
			report("%s is unreachable and silent: freeing %s", name, leg.name)
			if err := w.asterisk.manager.hangUp(leg.id, networkOut); err != nil {
				report("%s: %v", leg.name, err) // it ended by itself
				continue
			}
			w.now.FreedLegs++
		}
	}
	return w.listLegs()
}

// bringUpToDate has Asterisk take over what has changed, or end for a new start once no call is up. The time is that
// until it is to be called again, if there is any.
func (w *watcher) bringUpToDate() (time.Duration, error) {
	if w.said.anew != "" && readAnew(w.said.anew) != w.now.Started {
		// a reload now would give it a dial plan for modules that it has not loaded
		if w.now.Channels > 0 {
			return 0, nil
		}
		report("it starts anew, for what it reads at its start only")
		_, err := w.asterisk.console.run("core stop gracefully")
		return 0, err
	}
	reloaded, wait := w.takeOverFiles()
	if reloaded {
		// what was reloaded may close the door: what is acknowledged and idle then stays idle
		return wait, w.listLegs()
	}
	return wait, nil
}

// takeOverFiles reloads each file that is not the one last taken over, and says of each whether it is in force; whether
// any was reloaded, and how long the first that was not has to wait. Those after it in the order wait with it, as they
// name what is in it.
func (w *watcher) takeOverFiles() (reloaded bool, wait time.Duration) {
	for _, file := range w.files {
		name := base(file.path)
		text, err := readFollowed(file.path)
		if err == nil && file.done && text == file.tried {
			continue
		}
		var taken acknowledgement
		if err == nil {
			file.done = false
			taken, err = file.takeOver(w.asterisk)
			var soon tooSoon
			if errors.As(err, &soon) {
				return reloaded, time.Duration(soon)
			}
			reloaded = true
		}
		if err != nil {
			if w.now.Unacknowledged[name] != err.Error() {
				report("%s: %v", name, err)
			}
			w.now.Unacknowledged[name] = err.Error()
			continue
		}
		delete(w.now.Unacknowledged, name)
		w.now.Acknowledged[name] = taken
		debug.FreeOSMemory() // a large dial plan was read as it stands and as it is shown
	}
	return reloaded, 0
}

// followFiles has the kernel wake us when a file in their folders is written or put there.
func (w *watcher) followFiles() error {
	var folders []string
	for _, file := range w.files {
		folder := filepath.Dir(file.path)
		// a box's folder is a link, and its agent switches by putting another one there, or beside it
		for _, one := range []string{folder, filepath.Dir(folder)} {
			if !slices.Contains(folders, one) {
				folders = append(folders, one)
			}
		}
	}
	if len(folders) == 0 {
		return nil
	}
	news, err := syscall.InotifyInit1(syscall.IN_CLOEXEC)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if _, err := syscall.InotifyAddWatch(news, folder, syscall.IN_CLOSE_WRITE|syscall.IN_MOVED_TO); err != nil {
			return errors.Join(errors.New(folder), err)
		}
	}
	go func() {
		buffer := make([]byte, 4096)
		for {
			// What it says does not matter: the files themselves are read.
			if n, err := syscall.Read(news, buffer); n <= 0 && !errors.Is(err, syscall.EINTR) {
				report("inotify: %v", err)
				return
			}
			select {
			case w.changed <- struct{}{}:
			default:
			}
		}
	}()
	return nil
}
