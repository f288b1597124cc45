package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// one renewal writes several files; they are taken over together
	settle = 200 * time.Millisecond
	look   = 100 * time.Millisecond
	// by then the program listens for SIGHUP, also on a box that has just been plugged in
	early = 10 * time.Second
)

// follow runs the program once the file is there, and sends it SIGHUP when a file of that folder is put there anew:
// Nebula then takes over certificates and block list without a break of its tunnels. A box's agent has no right to
// signal it. SIGTERM and SIGINT are handed on, and its end is ours.
func follow(path string, program []string) error {
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, unix.SIGTERM, unix.SIGINT)
	// what comes in between the start of the program and the first look is not missed
	news, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	defer unix.Close(news)
	for said := false; ; {
		_, err := unix.InotifyAddWatch(news, filepath.Dir(path), unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO)
		if err == nil {
			if _, err = os.Stat(path); err == nil {
				break
			}
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if !said {
			fmt.Fprintf(os.Stderr, "gate: waiting for %s\n", path)
			said = true
		}
		select {
		case <-ending:
			return nil
		case <-time.After(look):
		}
	}
	// a program that does not listen for it yet would be ended by it (an image's first start did that); what it ignores
	// for that reason it is told once more
	signal.Ignore(unix.SIGHUP)
	runtime.LockOSThread() // the signal below comes when the thread ends that started it
	child := exec.Command(program[0], program[1:]...)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	// whoever kills us without a word leaves no second one behind
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGTERM}
	if err := child.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	changed := make(chan struct{}, 1)
	started := time.Now()
	var again <-chan time.Time
	go listen(news, changed)
	for {
		select {
		case err := <-ended:
			return err
		case one := <-ending:
			child.Process.Signal(one)
		case <-changed:
			time.Sleep(settle)
			for len(changed) > 0 {
				<-changed
			}
			child.Process.Signal(unix.SIGHUP)
			if time.Since(started) < early {
				again = time.After(early)
			}
		case <-again:
			child.Process.Signal(unix.SIGHUP)
		}
	}
}

// listen tells of each change once, whatever it was.
func listen(news int, changed chan<- struct{}) {
	buffer := make([]byte, 4096)
	for {
		n, err := unix.Read(news, buffer)
		if n <= 0 && !errors.Is(err, unix.EINTR) {
			return
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}
