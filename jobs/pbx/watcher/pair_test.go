package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const pairRendered = `[pbx-salto.0](!)
host=100.80.0.3

[pbx-salto.1](!)
host=100.80.0.4

[pbx-salto](pbx-salto-secret,pbx-salto.0)
type=friend
permit=100.80.0.3/255.255.255.255
`

func TestAPeerThatMovedIsAcknowledgedAsItWasRendered(t *testing.T) {
	moved := strings.Replace(pairRendered, "secret,pbx-salto.0)", "secret,pbx-salto.1)", 1)
	if moved == pairRendered || acknowledge(moved) != acknowledge(pairRendered) {
		t.Error("it has another hash")
	}
	if acknowledge(strings.Replace(moved, "0.4", "0.5", 1)) == acknowledge(pairRendered) {
		t.Error("another address has the same hash")
	}
}

func TestAPeerIsAtTheHalfThatItTakes(t *testing.T) {
	for half, host := range map[string]string{"0": "100.80.0.3", "1": "100.80.0.4"} {
		text := strings.Replace(pairRendered, "secret,pbx-salto.0)", "secret,pbx-salto."+half+")", 1)
		if got := listConfigured(text); !maps.Equal(got, map[string]string{"pbx-salto": host}) {
			t.Errorf("%s: %v", half, got)
		}
	}
}

func TestAnAllocationBindsTheHalfThatItHasTaken(t *testing.T) {
	folder := t.TempDir()
	said := settings{
		pair: list{"100.80.0.3", "100.80.0.4"}, taken: filepath.Join(folder, "taken"),
		bound: filepath.Join(folder, "bind.conf"),
	}
	if err := said.checkPair(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOMAD_ALLOC_ID", "a")
	for text, wanted := range map[string]string{"4 a\n": "100.80.0.3", "7 a\n": "100.80.0.4"} {
		os.WriteFile(said.taken, []byte(text), 0o644)
		one := said
		if err := one.bindHalf(); err != nil {
			t.Fatal(err)
		}
		if err := one.findAddress(); err != nil || one.address != wanted {
			t.Errorf("%q: %s %v", text, one.address, err)
		}
	}
	for _, text := range []string{"", "7 b\n", "-1 a\n", "x a\n"} {
		os.WriteFile(said.taken, []byte(text), 0o644)
		if said.bindHalf() == nil {
			t.Errorf("%q says nothing of it", text)
		}
	}
	for _, wrong := range []settings{
		{pair: said.pair}, {taken: said.taken, bound: said.bound}, {taken: said.taken, pair: said.pair},
		{taken: said.taken, bound: said.bound, pair: list{"100.80.0.3", "nowhere"}},
	} {
		if wrong.checkPair() == nil {
			t.Errorf("%+v goes together", wrong)
		}
	}
}
