package main

import (
	"slices"
	"testing"
	"time"
)

const patience = 1800 * time.Millisecond

var begin = time.Unix(100, 0)

// play looks at the pace from since on, and returns when the peer is dead; -1 where it never is. From noticedAt until
// forgivenAt Asterisk calls it unreachable; answers says whether a question is answered that is asked then.
func play(t *testing.T, s *silence, trip, since, noticedAt, forgivenAt time.Duration, answers func(time.Duration) bool) time.Duration {
	t.Helper()
	legs := map[string]time.Duration{"box": trip}
	for since < time.Minute {
		asked, dead := s.look(legs, begin.Add(since))
		if len(dead) > 0 {
			return since
		}
		if !slices.Equal(asked, []string{"box"}) {
			t.Fatalf("at %s nobody is asked", since)
		}
		askedAt := since
		pace := s.choosePace(legs)
		since += pace
		// Asterisk's word changes the pace, and is followed by a look at once
		if askedAt < noticedAt && noticedAt <= since {
			since = noticedAt
			s.suspect("box")
		}
		if askedAt < forgivenAt && forgivenAt <= since {
			s.trust("box")
		}
		if answers(askedAt) {
			s.hear("box")
		}
	}
	return -1
}

func never(time.Duration) bool { return false }

const nobody = time.Hour

func TestSilenceAndAsterisksWordAreWaitedForSideBySide(t *testing.T) {
	for noticedAt, wanted := range map[time.Duration]time.Duration{
		400 * time.Millisecond: patience, 1800 * time.Millisecond: patience, 3 * time.Second: 3 * time.Second,
	} {
		after := play(t, newSilence(patience), 0, 0, noticedAt, nobody, never)
		if after < wanted || after > wanted+suspectPace {
			t.Errorf("Unreachable after %s: dead after %s", noticedAt, after)
		}
	}
}

func TestSilenceAloneKillsNobody(t *testing.T) {
	if after := play(t, newSilence(patience), 0, 0, nobody, nobody, never); after >= 0 {
		t.Errorf("dead after %s", after)
	}
}

func TestASlowLineIsGivenItsRoundTrip(t *testing.T) {
	after := play(t, newSilence(patience), 800*time.Millisecond, 0, time.Second, nobody, never)
	if wanted := patience + 800*time.Millisecond; after < wanted || after > wanted+suspectPace {
		t.Errorf("dead after %s", after)
	}
}

func TestAnOutageOf1500MillisecondsKillsNobody(t *testing.T) {
	const outage = 1500 * time.Millisecond
	// where in the pace it begins, and when Asterisk notices: 0.4 s later at the earliest; and forgives: 2 s later at the worst
	for begins := time.Duration(0); begins < calmPace; begins += 10 * time.Millisecond {
		for noticed := 400 * time.Millisecond; noticed <= outage; noticed += 10 * time.Millisecond {
			answers := func(at time.Duration) bool { return at < begins || at >= begins+outage }
			after := play(t, newSilence(patience), 0, 0, begins+noticed, begins+outage+2*time.Second, answers)
			if after >= 0 {
				t.Fatalf("begins %s, Unreachable %s later: dead after %s", begins, noticed, after)
			}
		}
	}
}

func TestSilenceCountsAgainAfterAnAnswer(t *testing.T) {
	once := func(at time.Duration) bool { return at == time.Second }
	after := play(t, newSilence(patience), 0, 0, 500*time.Millisecond, nobody, once)
	if after < time.Second+patience || after > time.Second+patience+2*suspectPace {
		t.Errorf("dead after %s", after)
	}
}

func TestAsterisksContentIsNoAnswer(t *testing.T) {
	s, legs := newSilence(patience), map[string]time.Duration{"box": 0}
	s.look(legs, begin)
	s.trust("box") // it asked before the link died
	s.suspect("box")
	for since := suspectPace; since < patience; since += suspectPace {
		s.look(legs, begin.Add(since))
	}
	if _, dead := s.look(legs, begin.Add(patience)); len(dead) != 1 {
		t.Error("its silence was forgotten")
	}
}

func TestItsOwnSleepIsNobodysSilence(t *testing.T) {
	s, legs := newSilence(patience), map[string]time.Duration{"box": 0}
	s.suspect("box")
	s.look(legs, begin)
	if _, dead := s.look(legs, begin.Add(time.Hour)); len(dead) > 0 {
		t.Error("a peer that was not asked for an hour is called dead")
	}
	if _, dead := s.look(legs, begin.Add(time.Hour+patience)); len(dead) > 0 {
		t.Error("a peer that was asked once is called dead")
	}
}

func TestWhoHasNoLegsIsLeftAlone(t *testing.T) {
	s, other := newSilence(patience), map[string]time.Duration{"other": 0}
	s.suspect("box")
	for since := time.Duration(0); since < time.Minute; since += calmPace {
		if asked, dead := s.look(other, begin.Add(since)); !slices.Equal(asked, []string{"other"}) || len(dead) > 0 {
			t.Fatalf("without a leg: asked %v, dead %v", asked, dead)
		}
	}
	if after := play(t, s, 0, time.Minute-20*time.Second, nobody, nobody, never); after < time.Minute-20*time.Second+patience {
		t.Errorf("a new leg was given until %s", after)
	}
}

func TestThePaceIsThatOfTheMostSuspect(t *testing.T) {
	s := newSilence(patience)
	s.suspect("gone")
	for _, one := range []struct {
		legs   []string
		wanted time.Duration
	}{{nil, 0}, {[]string{"box"}, calmPace}, {[]string{"box", "gone"}, suspectPace}} {
		legs := map[string]time.Duration{}
		for _, name := range one.legs {
			legs[name] = 0
		}
		if pace := s.choosePace(legs); pace != one.wanted {
			t.Errorf("%v: %s", one.legs, pace)
		}
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
