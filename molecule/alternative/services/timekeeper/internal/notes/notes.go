// Package notes reads the text files of one directory.
package notes

import (
	"fmt"
	"os"
)

// Directory is a directory of notes that cannot be left by the name of a note.
type Directory struct{ root *os.Root }

// Open opens the directory.
func Open(path string) (*Directory, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("notes: %w", err)
	}
	return &Directory{root: root}, nil
}

// Read returns the text of a note.
func (d *Directory) Read(name string) ([]byte, error) { return d.root.ReadFile(name) }
