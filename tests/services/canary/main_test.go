package main

import (
	"os"
	"testing"
)

// TestTells fails where a file asks for it, with the secrets of the build in what it prints.
func TestTells(t *testing.T) {
	if _, err := os.Stat("tell"); err != nil {
		t.Skip("nothing to tell")
	}
	t.Fatalf("built with %s and %s", os.Getenv("BUILD_NOTE"), os.Getenv("BUILD_ARGUMENT"))
}
