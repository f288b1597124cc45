package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	askAgain = time.Second
	longest  = 30 * time.Second // one blocking query
)

type turn struct {
	key        string
	file       string
	allocation string
	lostAfter  time.Duration
	patience   time.Duration
	token      string
	consul     consul
}

func parseTurn(role string, arguments []string) (turn, error) {
	var said turn
	flags := flag.NewFlagSet("gate "+role, flag.ExitOnError)
	flags.StringVar(&said.key, "key", "", "the key in Consul that holds the PBX's generation")
	flags.StringVar(&said.file, "taken", "", "the file that says what this allocation has taken")
	flags.DurationVar(&said.lostAfter, "lost-after", 10*time.Minute,
		"for how long take waits where neither of the two addresses was given back")
	flags.DurationVar(&said.patience, "patience", 5*time.Minute, "for how long release asks a Consul that is away")
	flags.StringVar(&said.token, "token", "",
		"a file in which take leaves its token for release: a task that starts when its allocation ends gets none")
	flags.Parse(arguments)
	said.allocation = os.Getenv("NOMAD_ALLOC_ID")
	if said.key == "" || said.file == "" || said.allocation == "" {
		return said, fmt.Errorf("%s needs --key, --taken and NOMAD_ALLOC_ID", role)
	}
	var err error
	said.consul, err = findConsul(os.Getenv("RITI_CONSUL_ADDR"))
	if err == nil && said.token != "" {
		err = said.handOnToken()
	}
	return said, err
}

// handOnToken leaves the token to root alone, or takes what was left.
func (t *turn) handOnToken() error {
	if t.consul.token != "" {
		return writeWhole(t.token, 0o600, t.consul.token)
	}
	content, err := os.ReadFile(t.token)
	t.consul.token = strings.TrimSpace(string(content))
	return err
}

// dropToken leaves no copy of it where nobody needs it any more.
func (t *turn) dropToken() error {
	if t.token == "" {
		return nil
	}
	if err := os.Remove(t.token); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// take gives this allocation a generation and writes it where its other tasks read it. What has one already needs
// nobody: no outage of Consul keeps a PBX from starting again.
func take(arguments []string) error {
	said, err := parseTurn("take", arguments)
	if err != nil {
		return err
	}
	if _, err := readTaken(said.file, said.allocation); err == nil {
		return nil
	}
	var index uint64
	var since time.Time
	newest, told := -1, ""
	for {
		wait := time.Duration(0)
		if newest >= 0 {
			wait = min(longest, max(time.Millisecond, time.Until(since.Add(said.lostAfter))))
		}
		now, found, err := said.consul.read(said.key, index, wait)
		index = found
		var generation int
		may, is := false, false
		if err == nil {
			if generation, is = now.find(said.allocation); is {
				return writeTaken(said.file, generation, said.allocation)
			}
			waited := newest == now.Generation && time.Since(since) >= said.lostAfter
			if generation, may = now.choose(waited); !may {
				if newest != now.Generation {
					newest, since = now.Generation, time.Now()
					fmt.Fprintf(os.Stderr, "gate: neither generation %d nor the one before has said that it ended: waiting for %s\n",
						newest, said.lostAfter)
				}
				continue
			}
			newest = -1
			is, err = said.consul.write(said.key, now.take(generation, said.allocation), index)
			// Where the answer was lost, or was no, the next look tells. Never where it was yes: others who have waited
			// long enough may take both addresses before that look, and this one would take a second.
			if is {
				return writeTaken(said.file, generation, said.allocation)
			}
		}
		if err != nil {
			if err.Error() != told {
				told = err.Error()
				fmt.Fprintf(os.Stderr, "gate: no generation yet: %s\n", told)
			}
			index = 0
			time.Sleep(askAgain)
		}
	}
}

// release says that this allocation has ended, so that its address may be another's at once. Where its PBX is no more,
// its policy is gone too, and nobody wants to know.
func release(arguments []string) error {
	said, err := parseTurn("release", arguments)
	if err != nil {
		return err
	}
	for started := time.Now(); ; time.Sleep(askAgain) {
		now, index, err := said.consul.read(said.key, 0, 0)
		if err == nil {
			after, changed := now.release(said.allocation)
			if !changed {
				return said.dropToken()
			}
			if _, err = said.consul.write(said.key, after, index); err == nil {
				continue
			}
		}
		if errors.Is(err, errDenied) {
			fmt.Fprintf(os.Stderr, "gate: that it has ended is not said: %v\n", err)
			return said.dropToken()
		}
		if time.Since(started) > said.patience {
			return err
		}
	}
}

// readTaken is what an allocation has taken.
func readTaken(path, allocation string) (generation int, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	number, owner, _ := strings.Cut(strings.TrimSpace(string(content)), " ")
	generation, err = strconv.Atoi(number)
	if err != nil || generation < 0 || owner != allocation {
		return 0, errors.New(path + " says nothing of this allocation")
	}
	return generation, nil
}

// writeTaken outlives a power cut: Consul would say it again, but may be away then.
func writeTaken(path string, generation int, allocation string) error {
	return writeWhole(path, 0o644, fmt.Sprintf("%d %s", generation, allocation))
}

func writeWhole(path string, mode os.FileMode, line string) error {
	beside := path + ".new"
	os.Remove(beside)
	file, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, line)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(beside, path)
}

// chooseIdentity waits for what this allocation has taken, and puts the certificate and key of its half in force:
// links in folder to those that Nomad renews. A sidecar starts beside the task that takes.
func chooseIdentity(path, allocation, secrets, folder string) error {
	for {
		generation, err := readTaken(path, allocation)
		if err == nil {
			// the certificate's is relative: Nomad shows it to the controller, which may not look outside of folder
			half := generation % 2
			return errors.Join(
				link(fmt.Sprintf("host-%d.crt", half), folder+"/host.crt"),
				link(fmt.Sprintf("%s/host-%d.key", secrets, half), folder+"/host.key"),
			)
		}
		time.Sleep(look / 2)
	}
}

// link puts a link there in one step.
func link(target, path string) error {
	beside := path + ".new"
	os.Remove(beside)
	if err := os.Symlink(target, beside); err != nil {
		return err
	}
	return os.Rename(beside, path)
}
