package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// carryOutput makes a pipe of a standard output that is a socket, as a service's is the journal's: Asterisk opens
// /dev/stdout for each call's record, and no socket can be opened (ENXIO, open(2)), so every record would be lost.
func carryOutput() error {
	if about, err := os.Stdout.Stat(); err != nil || about.Mode()&os.ModeSocket == 0 {
		return err
	}
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return err
	}
	reading := os.NewFile(uintptr(ends[0]), "records")
	defer reading.Close()
	defer syscall.Close(ends[1])
	files := []*os.File{reading, os.Stdout, os.Stderr}
	how := &os.ProcAttr{Files: files, Sys: &syscall.SysProcAttr{Setsid: true}}
	if _, err := os.StartProcess("/proc/self/exe", []string{os.Args[0], "carry"}, how); err != nil {
		return err
	}
	return syscall.Dup3(ends[1], int(os.Stdout.Fd()), 0)
}

// carry copies what it is given until nobody can write any more. Told to end with the others, it stays for the records
// of the calls that end with them.
func carry(settings, []string) error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
		return fmt.Errorf("no more records are carried: %w", err)
	}
	return nil
}
