package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWaitsForEveryFileButTheWords(t *testing.T) {
	folder := t.TempDir()
	peers, plan := filepath.Join(folder, "iax.conf"), filepath.Join(folder, "extensions.conf")
	done := make(chan struct{})
	go func() {
		awaitFiles([]string{peers, plan, filepath.Join(folder, wordsFile)})
		close(done)
	}()
	for _, path := range []string{peers, plan} {
		select {
		case <-done:
			t.Fatalf("it did not wait for %s", path)
		default:
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it still waits")
	}
}

func TestTheAddressIsThatOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "iax.conf")
	for text, wanted := range map[string]string{
		"[cloud-secret](!)\nsecret=x\n\n[general]\nbindaddr=100.80.0.2\nbindport=4569\n": "100.80.0.2",
		"[general]\nbindaddr => 100.80.0.3\n":                                            "100.80.0.3",
		"[general]\nbindaddr=0.0.0.0\n":                                                  "",
		"[general]\n":                                                                    "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		said := settings{bound: path}
		if err := said.findAddress(); err != nil || said.address != wanted {
			t.Errorf("%q: %q %v", text, said.address, err)
		}
	}
	os.WriteFile(path, []byte("bindaddr=office\n"), 0o600)
	if err := (&settings{bound: path}).findAddress(); err == nil {
		t.Error("a name is no address")
	}
	if err := (&settings{bound: path + ".absent"}).findAddress(); err == nil {
		t.Error("no file is no address")
	}
	if err := (&settings{}).findAddress(); err != nil {
		t.Error(err)
	}
}

func TestWhatAStartReadIsItsText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "start.txt")
	if got := readAnew(path); got != "" {
		t.Errorf("absent: %q", got)
	}
	os.WriteFile(path, []byte("abc\n"), 0o600)
	if got := readAnew(path); got != "abc" {
		t.Errorf("%q", got)
	}
}
