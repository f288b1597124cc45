package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A PBX owns a pair of overlay addresses. Each instance of it takes the next generation, and generation mod 2 is the
// half of the pair that it has: so the one that is being replaced and the one that replaces it never share an address.

// half is one address of the pair: who took it last, and whether that instance has ended.
type half struct {
	Generation int
	Allocation string
	Released   bool
}

// taken is the value of the PBX's key in Consul. Peers and box read the generation alone.
type taken struct {
	Generation int
	Halves     [2]half
}

// layout is JSON, for whoever reads it; we read what we wrote, as a reader of all JSON would be 300 KB more.
const layout = `{"generation": %d, "held": [%q, %q]}`

func (h half) String() string {
	switch {
	case h.Allocation == "":
		return ""
	case h.Released:
		return fmt.Sprintf("%d %s ended", h.Generation, h.Allocation)
	}
	return fmt.Sprintf("%d %s", h.Generation, h.Allocation)
}

func (t taken) String() string {
	return fmt.Sprintf(layout, t.Generation, t.Halves[0].String(), t.Halves[1].String())
}

// readGeneration is what String wrote.
func readGeneration(text string) (taken, error) {
	var now taken
	var held [2]string
	if _, err := fmt.Sscanf(text, layout, &now.Generation, &held[0], &held[1]); err != nil {
		return taken{}, err
	}
	for i, said := range held {
		words := strings.Fields(said)
		if len(words) == 0 {
			continue
		}
		generation, err := strconv.Atoi(words[0])
		if err != nil || len(words) < 2 || generation%2 != i || generation > now.Generation {
			return taken{}, fmt.Errorf("%q is nobody's", said)
		}
		now.Halves[i] = half{generation, words[1], len(words) == 3 && words[2] == "ended"}
	}
	if now.Generation < 0 || now.Halves[now.Generation%2].Generation != now.Generation {
		return taken{}, fmt.Errorf("generation %d is nobody's", now.Generation)
	}
	return now, nil
}

func (h half) isFree() bool { return h.Allocation == "" || h.Released }

// find is the generation that an allocation has already taken.
func (t taken) find(allocation string) (generation int, found bool) {
	for _, one := range t.Halves {
		if one.Allocation == allocation {
			return one.Generation, true
		}
	}
	return 0, false
}

// choose is the generation that a new instance may take; false where it must wait, as no address is free.
//
// Nomad starts one when its predecessor has ended, or was given up with its host, which may be alive behind a broken
// link: the other address is taken. Where only the older one's host is lost, that one's address stays its own: the new
// instance has the address of its predecessor, and the generation that goes with it. Where both were left by instances
// that never said that they end, the address of the older goes, once waited says that it was long enough: it has been
// lost for longer.
//
// The very first has the second address: before there were pairs an instance took none and had the first.
func (t taken) choose(waited bool) (generation int, may bool) {
	newest, other := t.Halves[t.Generation%2], t.Halves[(t.Generation+1)%2]
	switch {
	case other.isFree():
		return t.Generation + 1, true
	case newest.isFree():
		return t.Generation + 2, true
	}
	return t.Generation + 1, waited
}

// take is the value once an allocation has a generation.
func (t taken) take(generation int, allocation string) taken {
	t.Generation = generation
	t.Halves[generation%2] = half{Generation: generation, Allocation: allocation}
	return t
}

// release is the value once an allocation has ended; false where it says so already, or has nothing.
func (t taken) release(allocation string) (taken, bool) {
	changed := false
	for i, one := range t.Halves {
		if allocation != "" && one.Allocation == allocation && !one.Released {
			t.Halves[i].Released, changed = true, true
		}
	}
	return t, changed
}
