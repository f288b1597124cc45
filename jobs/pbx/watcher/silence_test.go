package main

import (
	"slices"
	"testing"
	"time"
)

// run plays ticks from Asterisk's word "unreachable" on; answersAt is when the peer answers. It returns when it is dead.
func run(t *testing.T, s *silence, start time.Time, length time.Duration, answers func(time.Duration) bool) time.Duration {
	t.Helper()
	for since := time.Duration(0); since <= length; since += pokeEvery {
		now := start.Add(since)
		asked, dead := s.look(map[string]bool{"box": true}, now)
		if len(dead) > 0 {
			return since
		}
		if !slices.Equal(asked, []string{"box"}) {
			t.Fatalf("after %s nobody is asked", since)
		}
		if answers(since) {
			s.hear("box", now)
		}
	}
	return -1
}

func never(time.Duration) bool { return false }

func TestAPeerIsDeadAfterASecondOfSilence(t *testing.T) {
	s := newSilence(time.Second, pokeEvery)
	s.suspectPeer("box", 0)
	if after := run(t, s, time.Unix(100, 0), time.Minute, never); after != time.Second {
		t.Errorf("dead after %s", after)
	}
}

func TestASlowLineIsGivenItsRoundTrip(t *testing.T) {
	s := newSilence(time.Second, pokeEvery)
	s.suspectPeer("box", 800*time.Millisecond)
	if after := run(t, s, time.Unix(100, 0), time.Minute, never); after != 1800*time.Millisecond {
		t.Errorf("dead after %s", after)
	}
}

func TestAnOutageOf1500MillisecondsKillsNobody(t *testing.T) {
	// Asterisk's word comes 0.8 s after the cut at the earliest
	for at := 800 * time.Millisecond; at <= 1500*time.Millisecond; at += 10 * time.Millisecond {
		s := newSilence(time.Second, pokeEvery)
		s.suspectPeer("box", 0)
		back := 1500*time.Millisecond - at
		if after := run(t, s, time.Unix(100, 0), time.Minute, func(since time.Duration) bool { return since >= back }); after >= 0 {
			t.Errorf("Unreachable %s after the cut: dead %s later", at, after)
		}
	}
}

func TestSilenceCountsAgainFromTheLastAnswer(t *testing.T) {
	s := newSilence(time.Second, pokeEvery)
	s.suspectPeer("box", 0)
	once := func(since time.Duration) bool { return since == 800*time.Millisecond }
	if after := run(t, s, time.Unix(100, 0), time.Minute, once); after != 1800*time.Millisecond {
		t.Errorf("dead after %s", after)
	}
}

func TestItsOwnSleepIsNobodysSilence(t *testing.T) {
	s := newSilence(time.Second, pokeEvery)
	s.suspectPeer("box", 0)
	start := time.Unix(100, 0)
	s.look(map[string]bool{"box": true}, start)
	if _, dead := s.look(map[string]bool{"box": true}, start.Add(time.Hour)); len(dead) > 0 {
		t.Error("a peer that was not asked for an hour is called dead")
	}
	if after := run(t, s, start.Add(time.Hour+pokeEvery), time.Minute, never); after != time.Second-pokeEvery {
		t.Errorf("dead %s later", after)
	}
}

func TestWhoHasNoLegsOrIsReachedAgainIsLeftAlone(t *testing.T) {
	s := newSilence(time.Second, pokeEvery)
	s.suspectPeer("box", 0)
	start := time.Unix(100, 0)
	for since := time.Duration(0); since < time.Minute; since += pokeEvery {
		if asked, dead := s.look(map[string]bool{"other": true}, start.Add(since)); len(asked)+len(dead) > 0 {
			t.Fatalf("without a leg: asked %v, dead %v", asked, dead)
		}
	}
	if after := run(t, s, start.Add(time.Minute), time.Minute, never); after != time.Second {
		t.Errorf("a new leg was given %s", after)
	}
	s.clear("box")
	if asked, dead := s.look(map[string]bool{"box": true}, start.Add(time.Hour)); len(asked)+len(dead) > 0 {
		t.Errorf("reached again: asked %v, dead %v", asked, dead)
	}
}

func TestThePeerOfAChannel(t *testing.T) {
	for name, wanted := range map[string]string{
		"IAX2/pbx-salto-1234": "pbx-salto", "IAX2/box-1": "box", "PJSIP/phone-101-00000001": "", "Local/3@in-0;1": "", "IAX2/x": "",
	} {
		if got := findPeer(name); got != wanted {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestThePeerOfAListing(t *testing.T) {
	for status, wanted := range map[string]peer{
		"OK (3 ms)": {reach: reachable, trip: 3 * time.Millisecond}, "LAGGED (612 ms)": {reach: lagged, trip: 612 * time.Millisecond},
		"UNREACHABLE": {reach: unreachable}, "UNKNOWN": {reach: unknown}, "Unmonitored": {reach: unmonitored}, "": {reach: unknown},
	} {
		got := readPeer(message{"Status": status, "IPaddress": "10.0.0.1", "Port": "4569"})
		if got.reach != wanted.reach || got.trip != wanted.trip || got.address.String() != "10.0.0.1:4569" {
			t.Errorf("%q: %+v", status, got)
		}
	}
	if got := readPeer(message{"Status": "OK (3 ms)", "IPaddress": "(null)", "Port": "0"}); got.address.IsValid() {
		t.Errorf("no address: %+v", got)
	}
}
