package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// stay is Asterisk's parent and ends as it does: told to end, it has Asterisk take no new call and end with its last
// one, however long that is; told once more, at once. So nobody who stops or moves a PBX cuts a call.
//
// It does nothing else but keep the watcher, since all here end with it. What Nomad's kill_timeout leaves is killed.
func stay(said settings, program []string) error {
	told := make(chan os.Signal, 4)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	process, err := os.StartProcess(program[0], program, &os.ProcAttr{Files: files})
	if err != nil {
		return fmt.Errorf("%s: %w", program[0], err)
	}
	if said.secret != "" {
		go keep(said, nil)
	}
	go func() {
		<-told
		if err := endGently(said.console); err != nil {
			report("Asterisk cannot be asked to end with its calls, so it ends now: %v", err)
			process.Signal(syscall.SIGTERM)
		}
		for range told {
			process.Signal(syscall.SIGTERM)
		}
	}()
	ended, err := process.Wait()
	if err != nil {
		return err
	}
	status, _ := ended.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		os.Exit(128 + int(status.Signal()))
	}
	os.Exit(ended.ExitCode())
	return nil
}

// endGently has Asterisk refuse new calls, and end when there is none any more. It answers only then: nobody waits.
func endGently(path string) error {
	conn, err := dial(path)
	if err != nil {
		return err
	}
	_, err = conn.Write([]byte("cli quit after core stop gracefully\x00"))
	return err // what is closed here could be closed before it is read
}
