package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	firstPause = time.Second
	longPause  = 30 * time.Second
	// adds to the sections of manager.conf
	secretHead = "[general](+)\nenabled=yes\n\n[watcher](+)\nsecret="
)

// start becomes the program that follows, once its address is there, whatever happens to the watcher: telephones come
// first.
func start(said settings, program []string) error {
	if len(program) == 0 {
		return errors.New("start needs -- and the program to become")
	}
	if said.await {
		awaitFiles(said.configs)
	}
	if said.anew != "" {
		if err := writeWhole(said.started, []byte(readAnew(said.anew)), 0o400); err != nil {
			report("what Asterisk starts with is not known later: %v", err)
		}
	}
	if err := said.bindHalf(); err != nil {
		return err
	}
	if err := said.findAddress(); err != nil {
		return err
	}
	if said.address != "" {
		if err := awaitAddress(said.link, said.address, said.timeout); err != nil {
			return err
		}
	}
	for _, path := range said.configs {
		if base(path) != wordsFile {
			continue
		}
		text, err := readFollowed(path)
		if err == nil {
			err = newSpoken(said.words).unpack(text)
		}
		if err != nil {
			report("%s: %v", wordsFile, err)
		}
	}
	if err := carryOutput(); err != nil {
		report("records of calls are lost: %v", err)
	}
	if err := writeSecret(said.secret); err != nil {
		report("no secret for the manager interface, so nothing is watched: %v", err)
		said.secret = ""
	} else if said.stay {
		return stay(said, program)
	} else if err := leave("keep"); err != nil {
		report("no keeper, so nothing is watched: %v", err)
	}
	if said.stay {
		return stay(said, program)
	}
	return fmt.Errorf("%s: %w", program[0], syscall.Exec(program[0], program, os.Environ()))
}

// awaitAddress returns when the interface has the address: chan_iax2 whose address is not there yet says Running and
// listens nowhere, and after a reload on every address.
func awaitAddress(link, wanted string, timeout time.Duration) error {
	for started := time.Now(); time.Since(started) < timeout; time.Sleep(20 * time.Millisecond) {
		device, err := net.InterfaceByName(link)
		if err != nil {
			continue
		}
		addresses, _ := device.Addrs()
		for _, address := range addresses {
			if has, _, _ := strings.Cut(address.String(), "/"); has == wanted {
				return nil
			}
		}
	}
	return fmt.Errorf("%s has not come up on %s within %s: see the overlay's log", wanted, link, timeout)
}

// writeSecret leaves a new secret where manager.conf includes it, readable by this user alone.
func writeSecret(path string) error {
	// the kernel's own source; crypto/rand would bring 100 KB of another
	source, err := os.Open("/dev/urandom")
	if err != nil {
		return err
	}
	defer source.Close()
	random := make([]byte, 32)
	if _, err := io.ReadFull(source, random); err != nil {
		return err
	}
	return writeWhole(path, []byte(secretHead+hex.EncodeToString(random)+"\n"), 0o400)
}

func readSecret(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret, found := strings.CutPrefix(strings.TrimSpace(string(content)), secretHead)
	if !found || secret == "" {
		return "", fmt.Errorf("%s holds no secret", path)
	}
	return secret, nil
}

// leave starts this program in another role, with the same options, in a session of its own.
func leave(role string) error {
	_, err := again(role, &syscall.SysProcAttr{Setsid: true})
	return err
}

// keep starts the watcher, and again when it ends. What ends at once again and again is given more and more time.
func keep(settings, []string) error {
	for pause := firstPause; ; {
		started := time.Now()
		process, err := again("watch", nil)
		if err == nil {
			var last *os.ProcessState
			if last, err = process.Wait(); err == nil {
				err = errors.New(last.String())
			}
		}
		if time.Since(started) > time.Minute {
			pause = firstPause
		}
		report("the watcher ended (%v) and starts again in %s", err, pause)
		time.Sleep(pause)
		pause = min(2*pause, longPause)
	}
}

// again starts this very program with its options in another role.
func again(role string, how *syscall.SysProcAttr) (*os.Process, error) {
	words := []string{os.Args[0], role}
	for _, word := range os.Args[2:] {
		if word == "--" {
			break
		}
		words = append(words, word)
	}
	files := []*os.File{nil, os.Stdout, os.Stderr}
	return os.StartProcess("/proc/self/exe", words, &os.ProcAttr{Files: files, Sys: how})
}

// writeWhole replaces a file in one step, so that nobody ever reads half of it.
func writeWhole(path string, content []byte, mode os.FileMode) error {
	beside := path + ".new"
	os.Remove(beside)
	file, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(beside, path)
	}
	return err
}

func base(path string) string { return filepath.Base(path) }
