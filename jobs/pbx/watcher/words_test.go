package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func code(content string) string { return base64.StdEncoding.EncodeToString([]byte(content)) }

func listFolder(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, one := range entries {
		content, err := os.ReadFile(filepath.Join(folder, one.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[one.Name()] = string(content)
	}
	return found
}

func TestTheFolderHoldsTheWordsAndNothingElse(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "words")
	words := newSpoken(folder)
	for _, step := range []struct {
		text string
		want map[string]string
	}{
		{"welcome " + code("one") + "\nnight-2 " + code("two") + "\n\n", map[string]string{"welcome.gsm": "one", "night-2.gsm": "two"}},
		{"welcome " + code("other"), map[string]string{"welcome.gsm": "other"}},
		{"\n", map[string]string{}},
	} {
		if err := words.unpack(step.text); err != nil {
			t.Fatal(err)
		}
		got := listFolder(t, folder)
		if len(got) != len(step.want) {
			t.Errorf("%q: %v", step.text, got)
		}
		for name, content := range step.want {
			if got[name] != content {
				t.Errorf("%s is %q", name, got[name])
			}
		}
	}
}

func TestARecordingThatIsBeingHeardIsHeardToItsEnd(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "words")
	if err := newSpoken(folder).unpack("welcome " + code("the old words")); err != nil {
		t.Fatal(err)
	}
	heard, err := os.Open(filepath.Join(folder, "welcome.gsm"))
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	if err := newSpoken(folder).unpack("welcome " + code("new")); err != nil {
		t.Fatal(err)
	}
	rest := make([]byte, 13)
	if n, _ := heard.Read(rest); string(rest[:n]) != "the old words" {
		t.Errorf("heard %q", rest[:n])
	}
}

func TestWhatIsNoRecordingLeavesEverythingAsItWas(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "words")
	words, good := newSpoken(folder), "welcome "+code("one")
	if err := words.unpack(good); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"../welcome", "/etc/passwd", "a/b", ".", "..", ".hidden", "a.gsm", "Welcome", "wel come", "w\x00", "w\r", "ñ", "",
	} {
		if err := words.unpack("first " + code("x") + "\n" + bad + " " + code("two")); err == nil {
			t.Errorf("%q passes for a name", bad)
		}
	}
	for _, bad := range []string{"welcome", "welcome ", "welcome !", "welcome " + code("one") + " more", "{}"} {
		err := words.unpack(good + "\n" + bad)
		if err == nil || !strings.HasPrefix(err.Error(), "line 2 is no recording") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if got := listFolder(t, folder); len(got) != 1 || got["welcome.gsm"] != "one" {
		t.Errorf("%v", got)
	}
	if entries, _ := os.ReadDir(filepath.Dir(folder)); len(entries) != 1 {
		t.Errorf("beside it: %v", entries)
	}
}

func TestACompanyWithoutMenusHasNoWords(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent")
	if text, err := readFollowed(filepath.Join(absent, wordsFile)); text != "" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := readFollowed(filepath.Join(absent, "extensions.conf")); err == nil {
		t.Error("a dial plan that is not there passes")
	}
}
