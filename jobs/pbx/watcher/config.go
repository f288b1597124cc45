package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// reloads is the console's command for each file that can be followed, none for what we unpack ourselves. None of them
// touches a call.
var reloads = map[string]string{
	"voicemail.conf":  "voicemail reload",
	"pjsip.conf":      "module reload res_pjsip.so",
	"iax.conf":        "iax2 reload",
	wordsFile:         "",
	"extensions.conf": "dialplan reload",
}

// reloadOrder: mailboxes, peers, telephones and words come before the dial plan that names them.
var reloadOrder = []string{"voicemail.conf", "pjsip.conf", "iax.conf", wordsFile, "extensions.conf"}

// betweenReloads is kept from one reload of IAX2's peers to the next: it asks each peer, and one that begins while the
// last one's answers are under way has chan_iax2 use what it has freed, which ends Asterisk with its calls (22.10.1).
const betweenReloads = time.Second

// acknowledgement of one file: the SHA-256 of its text as it was rendered, and the version of its secrets (0: none).
type acknowledgement struct {
	SHA256  string `json:"sha256"`
	Secrets int    `json:"secrets,omitempty"`
}

// readSection is the name in a line "[name](modifiers)", and its modifiers; "" where the line begins no section.
func readSection(line string) (name, modifiers string) {
	rest, found := strings.CutPrefix(line, "[")
	name, rest, closed := strings.Cut(rest, "]")
	if !found || !closed {
		return "", ""
	}
	if rest, found = strings.CutPrefix(rest, "("); found {
		modifiers, _, _ = strings.Cut(rest, ")")
	}
	return name, modifiers
}

// acknowledge hashes what was rendered: the text after the templates with the secrets, which the job or the agent
// writes before it into the same file. The text ends with one line feed.
func acknowledge(text string) acknowledgement {
	var one acknowledgement
	inSecrets := false
	rest := text
	for rest != "" {
		line, after, _ := strings.Cut(rest, "\n")
		name, modifiers := readSection(line)
		if version, found := strings.CutPrefix(line, "; secrets version "); found {
			one.Secrets, _ = strconv.Atoi(strings.TrimSpace(version))
		} else if strings.HasSuffix(name, "-secret") && modifiers == "!" {
			inSecrets = true
		} else if line != "" && (!inSecrets || line[0] == '[' || line[0] == ';') {
			break
		}
		rest = after
	}
	lines := strings.Split(rest, "\n")
	for i, line := range lines {
		lines[i] = forgetHalf(line)
	}
	// a Nomad template ends with a line feed of its own
	sum := sha256.Sum256([]byte(strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"))
	one.SHA256 = hex.EncodeToString(sum[:])
	return one
}

// listConfigured is the IAX2 peers of a file: name → host, its own or that of a template.
func listConfigured(text string) map[string]string {
	peers, kinds, hosts, template := map[string]string{}, map[string]string{}, map[string]string{}, false
	name := ""
	for _, line := range strings.Split(text, "\n") {
		if section, modifiers := readSection(line); section != "" {
			name, template = section, strings.Contains(modifiers, "!")
			for _, taken := range strings.Split(modifiers, ",") {
				if host, found := hosts[taken]; found && !template {
					peers[name] = host
				}
			}
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if found && template && key == "host" {
			hosts[name] = strings.TrimSpace(value)
		}
		if !found || template || name == "" || name == "general" || strings.HasPrefix(line, ";") {
			continue
		}
		value = strings.TrimSpace(strings.TrimPrefix(value, ">"))
		switch strings.TrimSpace(key) {
		case "host":
			peers[name] = value
		case "type":
			kinds[name] = value
		}
	}
	for name := range peers {
		if kinds[name] != "friend" && kinds[name] != "peer" {
			delete(peers, name)
		}
	}
	return peers
}

// comparePeers says how the peers in force differ from those of the file: a reload reports success either way.
func comparePeers(configured map[string]string, inForce map[string]peer) error {
	for name, host := range configured {
		one, found := inForce[name]
		if !found {
			return fmt.Errorf("the peer %s is not in force", name)
		}
		if has := one.address.Addr().String(); has != host {
			return fmt.Errorf("the peer %s is at %s and not at %s", name, has, host)
		}
	}
	for name := range inForce {
		if _, found := configured[name]; !found {
			return fmt.Errorf("the peer %s is in force and no longer configured", name)
		}
	}
	return nil
}

// tooSoon is how long a file has to wait for its reload.
type tooSoon time.Duration

func (t tooSoon) Error() string { return "it is reloaded in " + time.Duration(t).String() }

// followed is one file that Asterisk takes over while it runs.
type followed struct {
	path  string
	tried string // the whole text that the last reload was for
	done  bool   // and whether that one is in force
}

// takeOver reloads a file and compares what is in force with it. The text is read before and after, so that what is
// acknowledged is what Asterisk read. The error is tooSoon where the last reload was just now.
func (f *followed) takeOver(a *asterisk) (acknowledgement, error) {
	for range 5 {
		var err error
		if f.tried, err = readFollowed(f.path); err != nil {
			return acknowledgement{}, err
		}
		switch name := base(f.path); name {
		case wordsFile:
			err = a.words.unpack(f.tried)
		case "iax.conf":
			if left := betweenReloads - time.Since(*a.peersReloaded); left > 0 {
				return acknowledgement{}, tooSoon(left)
			}
			_, err = a.console.run(reloads[name])
			*a.peersReloaded = time.Now()
		default:
			_, err = a.console.run(reloads[name])
		}
		if err != nil {
			return acknowledgement{}, err
		}
		compared := f.compare(a)
		after, err := readFollowed(f.path)
		if err != nil {
			return acknowledgement{}, err
		}
		if after != f.tried {
			continue
		}
		if compared != nil {
			return acknowledgement{}, compared
		}
		f.done = true
		return acknowledge(f.tried), nil
	}
	return acknowledgement{}, errors.New("it changes faster than it can be reloaded")
}

func (f *followed) compare(a *asterisk) error {
	switch base(f.path) {
	case "iax.conf":
		peers, err := a.manager.listPeers()
		if err != nil {
			return err
		}
		return comparePeers(listConfigured(f.tried), peers)
	case "extensions.conf":
		shown, err := a.console.run("dialplan show")
		if err != nil {
			return err
		}
		return compareDialPlan(f.tried, shown)
	}
	return nil
}
