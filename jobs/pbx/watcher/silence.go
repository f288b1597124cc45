package main

import "time"

// silence decides which unreachable peers are dead. It does no I/O; whoever holds it tells it what happens, and when.
//
// Asterisk calls a peer unreachable after an outage of 0.8 s already, and 22.10.1 tells nobody how many frames of a leg
// arrive. So the peer is asked by the way that its media takes, again and again: whoever hears nothing of it for as
// long as patience, and the last known round trip besides, has no media of it either.
type silence struct {
	patience time.Duration
	tick     time.Duration
	suspects map[string]*suspect
	looked   time.Time
}

type suspect struct {
	trip    time.Duration
	quietAt time.Time // since when it was asked and silent; zero while nobody asks
}

func newSilence(patience, tick time.Duration) *silence {
	return &silence{patience: patience, tick: tick, suspects: map[string]*suspect{}}
}

// suspectPeer is called when Asterisk calls a peer unreachable; again without harm.
func (s *silence) suspectPeer(name string, trip time.Duration) {
	if s.suspects[name] == nil {
		s.suspects[name] = &suspect{trip: trip}
	}
}

// clear is called when Asterisk reaches the peer again.
func (s *silence) clear(name string) { delete(s.suspects, name) }

// hear is called when anything comes from the peer.
func (s *silence) hear(name string, now time.Time) {
	if one := s.suspects[name]; one != nil && !one.quietAt.IsZero() {
		one.quietAt = now
	}
}

// look is called at every tick with the peers that have legs. It returns the suspects among them that are to be asked,
// and those that are dead. A suspect without legs is not asked, and its silence does not count.
func (s *silence) look(withLegs map[string]bool, now time.Time) (asked, dead []string) {
	// Who slept too long to hear an answer must not take its own sleep for the peer's silence.
	slept := now.Sub(s.looked) > 3*s.tick
	s.looked = now
	for name, one := range s.suspects {
		switch {
		case !withLegs[name]:
			one.quietAt = time.Time{}
		case one.quietAt.IsZero() || slept:
			one.quietAt = now
			asked = append(asked, name)
		case now.Sub(one.quietAt) >= s.patience+one.trip-s.tick/2: // the tick that is nearest
			dead = append(dead, name)
		default:
			asked = append(asked, name)
		}
	}
	return asked, dead
}
