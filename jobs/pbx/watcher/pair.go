package main

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// A PBX owns a pair of overlay addresses; gate says in a file which generation this allocation has taken, and the
// generation mod 2 is the half that it has (../gate/generation.go). Of its peers the job's template names the half in
// the same way, in the section that each peer's own one takes its host from: "pbx-salto.0" or "pbx-salto.1".

const (
	firstHalf  = ".0)"
	secondHalf = ".1)"
)

// bindHalf finds the address that this allocation has of its pair, and writes it where iax.conf includes it.
func (s *settings) bindHalf() error {
	if s.taken == "" {
		return nil
	}
	address, err := chooseHalf(s.taken, os.Getenv("NOMAD_ALLOC_ID"), s.pair)
	if err != nil {
		return err
	}
	return writeWhole(s.bound, []byte("bindaddr="+address+"\n"), 0o444)
}

func chooseHalf(path, allocation string, pair []string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	number, owner, _ := strings.Cut(strings.TrimSpace(string(content)), " ")
	generation, err := strconv.Atoi(number)
	if err != nil || generation < 0 || owner != allocation {
		return "", fmt.Errorf("%s says nothing of this allocation", path)
	}
	return pair[generation%2], nil
}

// checkPair is whether what was said of the pair goes together.
func (s *settings) checkPair() error {
	if s.taken == "" && len(s.pair) == 0 {
		return nil
	}
	if s.taken == "" || len(s.pair) != 2 || s.bound == "" || s.address != "" {
		return fmt.Errorf("--taken needs --pair twice, --bound, and no --address")
	}
	for _, address := range s.pair {
		if _, err := netip.ParseAddr(address); err != nil {
			return err
		}
	}
	return nil
}

// forgetHalf is a line as it was rendered: there every peer is at the first of its addresses.
func forgetHalf(line string) string {
	if before, found := strings.CutSuffix(line, secondHalf); found && strings.HasPrefix(line, "[") {
		return before + firstHalf
	}
	return line
}
