package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"time"
)

const filesPause = 100 * time.Millisecond

// awaitFiles returns when all of them are there; a box has none before it has enrolled. A company without menus has no
// words.
func awaitFiles(paths []string) {
	for said := false; ; time.Sleep(filesPause) {
		missing := ""
		for _, path := range paths {
			if _, err := os.Stat(path); err != nil && base(path) != wordsFile {
				missing = path
			}
		}
		if missing == "" {
			return
		}
		if !said {
			report("waiting for %s", missing)
			said = true
		}
	}
}

// readAnew is what a file of --anew says; "" where it is not there, as with a configuration that has none.
func readAnew(path string) string {
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		report("%v", err)
	}
	return strings.TrimSpace(string(content))
}

// findAddress takes the address from the file of --bound, where there is one: a box learns its own with its
// configuration.
func (s *settings) findAddress() error {
	if s.bound == "" {
		return nil
	}
	content, err := os.ReadFile(s.bound)
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(content), "\n") {
		key, value, _ := strings.Cut(line, "=")
		if strings.TrimSpace(key) != "bindaddr" {
			continue
		}
		address, err := netip.ParseAddr(strings.TrimSpace(strings.TrimPrefix(value, ">")))
		if err != nil {
			return fmt.Errorf("%s: bindaddr: %w", s.bound, err)
		}
		if !address.IsUnspecified() {
			s.address = address.String()
		}
		return nil
	}
	return nil
}
