package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
)

// TestMain lets the test's own program be the watcher: a role starts another of the very file that runs.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"start", "carry"}, os.Args[1]) {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// run starts a program by "watcher start" with this standard output, and waits for its end.
func run(t *testing.T, output *os.File, program ...string) {
	t.Helper()
	// a secret that cannot be written leaves no keeper, which would outlive the test
	words := append([]string{"start", "--secret", t.TempDir() + "/absent/secret", "--"}, program...)
	command := exec.Command("/proc/self/exe", words...)
	command.Stdout, command.Stderr = output, os.Stderr
	if err := command.Run(); err != nil {
		t.Fatal(err)
	}
}

// opened writes by opening its standard output anew, as Asterisk does for a record.
var opened = []string{"/bin/sh", "-c", `echo first > /dev/stdout; echo second >> /dev/stdout; echo third`}

func TestWhatIsOpenedAsStandardOutputReachesASocket(t *testing.T) {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	journal, given := os.NewFile(uintptr(ends[0]), "journal"), os.NewFile(uintptr(ends[1]), "given")
	conn, err := net.FileConn(journal)
	if err != nil {
		t.Fatal(err)
	}
	run(t, given, opened...)
	given.Close()
	said, err := io.ReadAll(conn) // to the end: the carrier ends when nobody can write any more
	if err != nil || string(said) != "first\nsecond\nthird\n" {
		t.Fatalf("%q, %v", said, err)
	}
}

func TestTheCarrierStaysWhenAllAreToldToEnd(t *testing.T) {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	reading, writing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	carrier := exec.Command("/proc/self/exe", "carry")
	given := os.NewFile(uintptr(ends[1]), "given")
	carrier.Stdin, carrier.Stdout, carrier.Stderr = reading, given, os.Stderr
	if err := carrier.Start(); err != nil {
		t.Fatal(err)
	}
	given.Close()
	reading.Close()
	journal, buffer := os.NewFile(uintptr(ends[0]), "journal"), make([]byte, 6)
	writing.WriteString("before")
	if _, err := io.ReadFull(journal, buffer); err != nil { // so it has begun
		t.Fatal(err)
	}
	carrier.Process.Signal(syscall.SIGTERM)
	writing.WriteString("behind")
	writing.Close()
	if _, err := io.ReadFull(journal, buffer); err != nil || string(buffer) != "behind" {
		t.Fatalf("%q, %v", buffer, err)
	}
	if err := carrier.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestAPipeIsLeftAsItIs(t *testing.T) {
	reading, writing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", writing.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	run(t, writing, "/bin/sh", "-c", "readlink /proc/$$/fd/1")
	writing.Close()
	if said, err := io.ReadAll(reading); err != nil || string(said) != own+"\n" {
		t.Fatalf("%q, %v", said, err)
	}
}
