package main

import "time"

// silence decides which peers are dead. It does no I/O; whoever holds it tells it what happens, and when.
//
// Asterisk calls a peer unreachable after an outage of half a second already, and 22.10.1 tells nobody how many frames of a
// leg arrive. So each peer that carries a call is asked by the way that its media takes, again and again: whoever leaves
// all questions of as long as patience unanswered, and of the last known round trip besides, has sent no media either.
// That alone kills nobody: Asterisk must call it unreachable too. Since the questions go on while a call is well, the
// silence has begun to count before Asterisk notices, and both waits run side by side.
type silence struct {
	patience time.Duration
	suspects map[string]bool      // whom Asterisk calls unreachable
	quiet    map[string]time.Time // peer → when the first question was asked that is unanswered until now
	looked   time.Time
}

const (
	// 12 bytes each, a POKE and its PONG: in the overlay 3 kbit/s each way, a thirtieth of the call
	calmPace = 250 * time.Millisecond
	// the suspect's first answer is not to be missed
	suspectPace = 100 * time.Millisecond
)

func newSilence(patience time.Duration) *silence {
	return &silence{patience: patience, suspects: map[string]bool{}, quiet: map[string]time.Time{}}
}

// suspect is called when Asterisk calls a peer unreachable; again without harm.
func (s *silence) suspect(name string) { s.suspects[name] = true }

// trust is called when Asterisk reaches the peer, and again as long as it does. It is no answer: Asterisk may have asked last
// before the link died.
func (s *silence) trust(name string) { delete(s.suspects, name) }

// hear is called when anything comes from the peer.
func (s *silence) hear(name string) { delete(s.quiet, name) }

// choosePace is how long to wait from look to look with these peers that have legs; 0 where there are none.
func (s *silence) choosePace(legs map[string]time.Duration) time.Duration {
	for name := range legs {
		if s.suspects[name] {
			return suspectPace
		}
	}
	if len(legs) > 0 {
		return calmPace
	}
	return 0
}

// look is called at the pace with the peers that have legs, each with its round trip. It returns those among them that are
// to be asked, and those of them that are dead. A peer without legs is not asked, and its silence does not count.
func (s *silence) look(legs map[string]time.Duration, now time.Time) (asked, dead []string) {
	// Who slept too long to hear an answer must not take its own sleep for the peer's silence.
	slept := now.Sub(s.looked) > 3*calmPace
	s.looked = now
	for name := range s.quiet {
		if _, found := legs[name]; !found {
			delete(s.quiet, name)
		}
	}
	for name, trip := range legs {
		since, isQuiet := s.quiet[name]
		if !isQuiet || slept {
			s.quiet[name] = now
		} else if s.suspects[name] && now.Sub(since) >= s.patience+trip {
			dead = append(dead, name)
		}
		asked = append(asked, name) // also the dead, who may be a moment from being freed
	}
	return asked, dead
}
