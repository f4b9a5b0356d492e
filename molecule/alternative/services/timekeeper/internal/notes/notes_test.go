package notes

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReadStaysInTheDirectory(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(outside, "notes")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	directory, err := Open(inside)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := directory.Read("../secret"); err == nil {
		t.Fatalf("read %q from outside the directory", text)
	}
}
