package main

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/netip"
	"strings"
	"testing"
)

const rendered = `; acme/salto: who may speak IAX2

[box](box-secret)
type=friend
host=100.80.0.2

[pbx-montevideo](pbx-montevideo-secret)
type=friend
host=100.80.0.3
`

func TestAcknowledgesWhatWasRenderedWhateverTheSecrets(t *testing.T) {
	sum := sha256.Sum256([]byte(rendered))
	wanted := hex.EncodeToString(sum[:])
	job := "; secrets version 7\n[box-secret](!)\nsecret=a\n[pbx-montevideo-secret](!)\nsecret=b\nsecret=c\n"
	for text, version := range map[string]int{
		rendered:              0,
		job + rendered + "\n": 7, // Nomad's template ends with a line feed of its own
		"[cloud-secret](!)\nsecret=x\n\n" + rendered:         0, // as the box's files are composed
		strings.Replace(job, "7", "12", 1) + rendered + "\n": 12,
	} {
		if got := acknowledge(text); got.SHA256 != wanted || got.Secrets != version {
			t.Errorf("%q: %+v", text, got)
		}
	}
	if acknowledge(rendered+"[more]\n").SHA256 == wanted {
		t.Error("another text has the same hash")
	}
}

func TestListsThePeersOfAFile(t *testing.T) {
	text := "[general]\nhost=1.1.1.1\n[box-secret](!)\nsecret=x\nhost=2.2.2.2\n" + rendered +
		"[guest]\ntype=user\n[hidden]\n;host=3.3.3.3\ntype=peer\n[arrow]\ntype => peer\nhost => 4.4.4.4\n"
	wanted := map[string]string{"box": "100.80.0.2", "pbx-montevideo": "100.80.0.3", "arrow": "4.4.4.4"}
	if got := listConfigured(text); !maps.Equal(got, wanted) {
		t.Errorf("got %v", got)
	}
}

func TestEveryDifferenceOfThePeersIsSeen(t *testing.T) {
	at := func(address string) peer { return peer{address: netip.MustParseAddrPort(address + ":4569")} }
	configured := map[string]string{"box": "100.80.0.2"}
	for wanted, inForce := range map[string]map[string]peer{
		"":                                     {"box": at("100.80.0.2")},
		"the peer box is not in force":         {},
		"the peer box is at 9.9.9.9 and not":   {"box": at("9.9.9.9")},
		"the peer old is in force and no long": {"box": at("100.80.0.2"), "old": at("100.80.0.9")},
	} {
		err := comparePeers(configured, inForce)
		if (err == nil) != (wanted == "") || err != nil && !strings.HasPrefix(err.Error(), wanted) {
			t.Errorf("wanted %q, got %v", wanted, err)
		}
	}
}

const plan = `; a dial plan
[from-box]
exten => 101,1,Goto(to-box,101,1) ; straight
exten => _[0-9*#]!,1,Hangup(1)

[to-box]
exten => 101,1,Dial(IAX2/box/101,60,g)
 same => n(after),Set(TEXT=a\;b)
 same => n,Answer
exten => 102,hint,PJSIP/phone-102
`

const shown = `[ Context 'to-box' created by 'pbx_config' ]
  '101' =>          1. Dial(IAX2/box/101,60,g)                    [extensions.conf:7]
     [after]        2. Set(TEXT=a;b)                              [extensions.conf:8]
                    3. Answer()                                   [extensions.conf:9]
  '102' =>          hint: PJSIP/phone-102                         [extensions.conf:10]

[ Context 'from-box' created by 'pbx_config' ]
  '101' =>          1. Goto(to-box,101,1)                         [extensions.conf:3]
  '_[0-9*#]!' =>    1. Hangup(1)                                  [extensions.conf:4]

-= 4 extensions (5 priorities) in 2 contexts. =-
`

func TestTheDialPlanInForceIsComparedLineByLine(t *testing.T) {
	if err := compareDialPlan(plan, shown); err != nil {
		t.Fatal(err)
	}
	for name, changed := range map[string][2]string{
		"another step":   {strings.Replace(plan, "box/101,60", "box/101,45", 1), "line 7 is in force as it stood before"},
		"a line more":    {plan + "exten => 9,1,Hangup()\n", "line 11 is not in force"},
		"a line less":    {strings.Replace(plan, " same => n,Answer\n", "", 1), "line"},
		"shifted lines":  {"\n" + plan, "line"},
		"an empty file":  {"", "line"},
		"another number": {strings.Replace(plan, "101,1,Goto(to-box,101", "101,1,Goto(to-box,109", 1), "line 3 "},
	} {
		if err := compareDialPlan(changed[0], shown); err == nil || !strings.HasPrefix(err.Error(), changed[1]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := compareDialPlan(plan, "-= 0 extensions (0 priorities) in 0 contexts. =-\n"); err == nil {
		t.Error("an empty dial plan passes for the file's")
	}
}
