// Package leash ties the life of a process to the one that started it.
//
// The sandbox keeps the write end of each component's stdin open and never writes to it. When the sandbox ends, even
// by SIGKILL, the kernel closes that end, and the component, reading EOF, ends too. No process is ever left behind,
// and no platform-specific death signal is needed.
package leash

import (
	"io"
	"os"
)

// Variable is the environment variable that ties this process to its stdin when it is "1".
const Variable = "NODEWARD_EXIT_WITH_STDIN"

// Tie ends this process at once when its stdin ends, if the environment asks for it.
func Tie() {
	if os.Getenv(Variable) != "1" {
		return
	}
	// What this process starts in turn has a stdin of its own: it must not take the variable for itself.
	_ = os.Unsetenv(Variable)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}
