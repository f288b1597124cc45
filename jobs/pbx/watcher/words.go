package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// wordsFile holds what menus say, a line "<name> <base64>" for each recording: a reader of JSON would be 120 KB more.
const (
	wordsFile     = "words.txt"
	wordsEnding   = ".gsm"
	wordsAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789-"
)

// spoken is the folder from which Asterisk plays recordings, and those that we have put there.
type spoken struct {
	folder string
	names  map[string]bool
}

func newSpoken(folder string) *spoken { return &spoken{folder, map[string]bool{}} }

// unpack puts these recordings there, and takes those away that are no longer among them. A call that is listening to
// one hears it to its end: what is replaced stays open until then.
func (s *spoken) unpack(text string) error {
	recordings, err := readWords(text)
	if err != nil {
		return err
	}
	if err := os.Mkdir(s.folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for name, content := range recordings {
		if err := writeWhole(filepath.Join(s.folder, name), content, 0o444); err != nil {
			return err
		}
		s.names[name] = true
	}
	for name := range s.names {
		if _, wanted := recordings[name]; !wanted {
			os.Remove(filepath.Join(s.folder, name))
			delete(s.names, name)
		}
	}
	return nil
}

// readWords is the file's recordings: file name → content.
func readWords(text string) (map[string][]byte, error) {
	recordings := map[string][]byte{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" {
			continue // a Nomad template ends with a line feed of its own
		}
		name, coded, _ := strings.Cut(line, " ")
		content, err := base64.StdEncoding.DecodeString(coded)
		// a name is a file's name and no path
		if err != nil || len(content) == 0 || name == "" || strings.Trim(name, wordsAlphabet) != "" {
			return nil, fmt.Errorf("line %d is no recording", i+1)
		}
		recordings[name+wordsEnding] = content
	}
	return recordings, nil
}

// readFollowed reads a file that is followed. A company without menus has no words.
func readFollowed(path string) (string, error) {
	content, err := os.ReadFile(path)
	if base(path) == wordsFile && errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(content), err
}
