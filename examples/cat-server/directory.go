package main

import (
	"embed"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

//go:embed sample
var sample embed.FS

// directory is what the server shows: the built-in sample or a directory of the
// host, the latter held open as a root that no name and no symbolic link leads out of.
type directory struct {
	label string // for the log
	files fs.FS
	// lstat looks at an entry without following a link. It is here because
	// fs.DirEntry.Info goes by the path name, which is not bound to the root.
	lstat  func(name string) (fs.FileInfo, error)
	closer io.Closer
}

// openDirectory opens path, or the built-in sample if path is empty.
func openDirectory(path string) (*directory, error) {
	if path == "" {
		files, err := fs.Sub(sample, "sample")
		if err != nil {
			return nil, err
		}
		return &directory{
			label: "built-in sample",
			files: files,
			lstat: func(name string) (fs.FileInfo, error) { return fs.Stat(files, name) },
		}, nil
	}

	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	// A root can be opened without the right to read it; say so now rather
	// than on the first request.
	readable, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	readable.Close()
	return &directory{label: path, files: root.FS(), lstat: root.Lstat, closer: root}, nil
}

// Close lets go of the directory.
func (d *directory) Close() error {
	if d.closer == nil {
		return nil
	}
	return d.closer.Close()
}

// entry is one line of a listing. As with ls -l, a symbolic link is described
// itself, not what it points to.
type entry struct {
	Name     string    `json:"name"`
	Type     string    `json:"type"` // file, directory, symlink or other
	Size     int64     `json:"size"` // bytes
	Mode     string    `json:"mode"` // as fs.FileMode prints it, such as -rw-r--r--
	Modified time.Time `json:"modified,omitzero"`
}

// list returns the entries that have a showable name, sorted by name.
func (d *directory) list() ([]entry, error) {
	found, err := fs.ReadDir(d.files, ".")
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, f := range found {
		if checkName(f.Name()) != nil {
			continue
		}
		info, err := d.lstat(f.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since the directory was read
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{
			Name:     f.Name(),
			Type:     typeName(info.Mode()),
			Size:     info.Size(),
			Mode:     info.Mode().String(),
			Modified: info.ModTime().UTC(),
		})
	}
	return entries, nil
}

func typeName(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "file"
	case mode.IsDir():
		return "directory"
	case mode&fs.ModeSymlink != 0:
		return "symlink"
	default:
		return "other"
	}
}

// checkName tells what is wrong with a name that a client asks for. The same
// rule picks what is listed, so that every listed name can be asked for.
//
// Hidden names are refused as names only: a visible link to a hidden file is
// followed, as mounted Kubernetes ConfigMaps consist of such links.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the file name is missing: ask for /cat/{name}")
	case strings.ContainsAny(name, "/\\\x00"):
		return errors.New("the file name must not contain a slash, a backslash or NUL")
	case strings.HasPrefix(name, "."):
		return errors.New("the file name must not begin with a dot")
	case !utf8.ValidString(name):
		return errors.New("the file name must be valid UTF-8")
	default:
		return nil
	}
}
