package main

import (
	"fmt"
	"strconv"
	"strings"
)

// longestShown: Asterisk shows this much of a step and cuts off the rest.
const longestShown = 240

// compareDialPlan says which line of the file is not in force as it stands there. A reload says "Dialplan reloaded."
// also when the file could not be read (22.10.1), but the listing names each step's line.
func compareDialPlan(text, shown string) error {
	lines := strings.Split(text, "\n")
	inForce := map[int]bool{}
	for _, line := range strings.Split(shown, "\n") {
		step, number := readShown(line)
		if number == 0 {
			continue
		}
		if number > len(lines) || !says(lines[number-1], step) {
			return fmt.Errorf("line %d is in force as it stood before: %s", number, step)
		}
		inForce[number] = true
	}
	for i, line := range lines {
		if isStep(line) && !inForce[i+1] {
			return fmt.Errorf("line %d is not in force", i+1)
		}
	}
	return nil
}

// readShown is the step in a line of the listing and the number of the file's line that it comes from, 0 for none:
// "  '101' =>  1. Goto(to-box,101,1)   [extensions.conf:12]", or "hint: …" in the place of "1. …".
func readShown(line string) (step string, number int) {
	line, closed := strings.CutSuffix(strings.TrimRight(line, " \r"), "]")
	mark := strings.LastIndex(line, "[extensions.conf:")
	if !closed || mark < 0 {
		return "", 0
	}
	number, err := strconv.Atoi(line[mark+len("[extensions.conf:"):])
	if err != nil || number < 1 {
		return "", 0
	}
	step = strings.TrimSpace(line[:mark])
	if step[:min(1, len(step))] == "'" {
		_, step, _ = strings.Cut(step, "=>")
	}
	step = strings.TrimSpace(step)
	if label, rest, found := strings.Cut(step, "]"); found && strings.HasPrefix(label, "[") {
		step = strings.TrimSpace(rest)
	}
	// the priority's number, or "hint:"
	_, step, _ = strings.Cut(step, " ")
	return strings.TrimSpace(step), number
}

// isStep is whether a line of the file makes a priority or a hint.
func isStep(line string) bool {
	key, _, found := strings.Cut(line, "=")
	key = strings.TrimSpace(key)
	return found && (key == "exten" || key == "same")
}

// says is whether a line of the file ends with the step that Asterisk shows for it.
func says(line, step string) bool {
	step = strings.TrimSpace(step)
	written := strings.TrimSpace(cutComment(line))
	if len(step) >= longestShown {
		return strings.Contains(written, step)
	}
	return strings.HasSuffix(written, step) || strings.HasSuffix(written+"()", step)
}

func cutComment(line string) string {
	for i := range len(line) {
		if line[i] == ';' && (i == 0 || line[i-1] != '\\') {
			line = line[:i]
			break
		}
	}
	return strings.ReplaceAll(line, `\;`, ";")
}
