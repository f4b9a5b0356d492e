package main

import "testing"

func TestNextMode(t *testing.T) {
	for script, want := range map[string][2]string{
		"exit":            {"exit", "exit"},
		"ok\nerror\nexit": {"ok", "error\nexit"},
		"\n slow:5s \n":   {"slow:5s", "slow:5s"},
	} {
		mode, rest := nextMode(script)
		if mode != want[0] || rest != want[1] {
			t.Errorf("nextMode(%q) = %q, %q, want %q", script, mode, rest, want)
		}
	}
}
