package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestEachInstanceTakesTheNextGeneration(t *testing.T) {
	one := half{Generation: 4, Allocation: "a"}
	two := half{Generation: 5, Allocation: "b"}
	ended := func(h half) half { h.Released = true; return h }
	for name, want := range map[string]struct {
		now        taken
		waited     bool
		generation int
		may        bool
	}{
		"the first has the second address":        {taken{}, false, 1, true},
		"its predecessor has ended":               {taken{4, [2]half{ended(one), {}}}, false, 5, true},
		"both have":                               {taken{5, [2]half{ended(one), ended(two)}}, false, 6, true},
		"its predecessor was given up":            {taken{4, [2]half{one, {}}}, false, 5, true},
		"it was, the older has ended":             {taken{5, [2]half{ended(one), two}}, false, 6, true},
		"the older is lost and may be alive":      {taken{5, [2]half{one, ended(two)}}, false, 7, true},
		"both are lost: that of the older, later": {taken{5, [2]half{one, two}}, true, 6, true},
		"both are lost: not at once":              {taken{5, [2]half{one, two}}, false, 6, false},
	} {
		generation, may := want.now.choose(want.waited)
		if may != want.may || (may && generation != want.generation) {
			t.Errorf("%s: %d %v", name, generation, may)
		}
	}
}

// Every order of beginnings, ends and losses of five instances: whoever may be alive has its address alone, unless both
// addresses were left without a word.
func TestNoAddressIsHeldByTwo(t *testing.T) {
	var tried int
	var begin func(now taken, alive []string, next int)
	begin = func(now taken, alive []string, next int) {
		tried++
		if next == 5 {
			return
		}
		name := string(rune('a' + next))
		for _, waited := range []bool{false, true} {
			generation, may := now.choose(waited)
			if !may {
				continue
			}
			for _, one := range alive {
				has, found := now.find(one)
				lost := !now.Halves[0].isFree() && !now.Halves[1].isFree()
				if found && has%2 == generation%2 && !lost {
					t.Fatalf("%s takes %d, and %s is alive with %d: %+v", name, generation, one, has, now)
				}
				if generation <= now.Generation && now.Halves[0].Allocation+now.Halves[1].Allocation != "" {
					t.Fatalf("%d follows %d", generation, now.Generation)
				}
			}
			after := now.take(generation, name)
			// it goes on, or it and any of the others end before the next begins
			both := append(append([]string{}, alive...), name)
			for mask := range 1 << len(both) {
				left, ended := []string{}, after
				for i, one := range both {
					if mask&(1<<i) != 0 {
						ended, _ = ended.release(one)
					} else {
						left = append(left, one)
					}
				}
				begin(ended, left, next+1)
			}
		}
	}
	begin(taken{}, nil, 0)
	if tried < 100 {
		t.Fatalf("only %d were tried", tried)
	}
}

func TestWhoHasAGenerationFindsIt(t *testing.T) {
	now := taken{}.take(0, "a").take(1, "b")
	for allocation, want := range map[string]int{"a": 0, "b": 1} {
		if got, found := now.find(allocation); got != want || !found {
			t.Errorf("%s: %d", allocation, got)
		}
	}
	if _, found := now.find("c"); found {
		t.Error("c has none")
	}
	after, changed := now.release("a")
	if !changed || !after.Halves[0].Released || after.Halves[1].Released {
		t.Errorf("%+v", after)
	}
	if _, again := after.release("a"); again {
		t.Error("it has ended already")
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	for _, now := range []taken{
		taken{}.take(0, "a"),
		taken{}.take(0, "a").take(1, "b"),
		{6, [2]half{{6, "c", true}, {5, "b", false}}},
	} {
		if got, err := readGeneration(now.String()); got != now || err != nil {
			t.Errorf("%s: %+v %v", now, got, err)
		}
	}
	for _, text := range []string{
		"", "{}", `{"generation": 1, "held": ["", ""]}`, `{"generation": 1, "held": ["0 a", "3 b"]}`,
		`{"generation": -1, "held": ["", "-1 b"]}`, `{"generation": 1, "held": ["0", "1 b"]}`,
	} {
		if got, err := readGeneration(text); err == nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestWhatWasTakenIsReadAgainByThisAllocationAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "taken")
	if _, err := readTaken(path, "a"); err == nil {
		t.Error("nothing is taken yet")
	}
	if err := writeTaken(path, 7, "a"); err != nil {
		t.Fatal(err)
	}
	if got, err := readTaken(path, "a"); got != 7 || err != nil {
		t.Errorf("%d %v", got, err)
	}
	if _, err := readTaken(path, "b"); err == nil {
		t.Error("it is another's")
	}
	os.WriteFile(path, []byte("x a\n"), 0o644)
	if _, err := readTaken(path, "a"); err == nil {
		t.Error("x is no generation")
	}
}
