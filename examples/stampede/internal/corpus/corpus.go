// Package corpus reads a tree of Go source files: which files there are, and what each declares and refers to.
//
// Test files, folders named testdata, and files and folders whose names begin with "." or "_" are left out, as the go
// command leaves them out.
package corpus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/modfile"
)

// What can be wrong with a folder; compare with errors.Is.
var (
	ErrNoFolder  = errors.New("no such folder")
	ErrNotFolder = errors.New("not a folder")
	ErrNoGoFiles = errors.New("no Go files in it (tests, testdata and hidden folders don't count)")
)

// A Tree is the list of Go files under a folder, as they were when it was surveyed.
type Tree struct {
	// Root is the absolute path of the folder, with symbolic links resolved.
	Root string
	// Files are slash-separated paths relative to Root, in lexical order.
	Files []string
	// Fingerprint differs when the Go version or the path, size or modification time of a file under Root does.
	// It is computed without reading the files.
	Fingerprint string

	modules map[string]string // folder that holds a go.mod -> module path
}

// Survey lists the Go files under a folder.
// Its error is ErrNoFolder, ErrNotFolder or ErrNoGoFiles, each with the folder's name, what the file system said, or ctx.Err().
func Survey(ctx context.Context, folder string) (*Tree, error) {
	root, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	root, err = filepath.EvalSymlinks(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", folder, ErrNoFolder)
	}
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(root); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s: %w", folder, ErrNotFolder)
	}

	tree := &Tree{Root: root, modules: make(map[string]string)}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", runtime.Version(), root)
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		base := entry.Name()
		hidden := base[0] == '.' || base[0] == '_'
		if entry.IsDir() {
			if name != root && (hidden || base == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		source := strings.HasSuffix(base, ".go") && !strings.HasSuffix(base, "_test.go") && !hidden
		if !entry.Type().IsRegular() || !source && base != "go.mod" {
			return nil
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%q %d %d\n", relative, info.Size(), info.ModTime().UnixNano())
		if source {
			tree.Files = append(tree.Files, relative)
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		tree.modules[path.Dir(relative)] = modfile.ModulePath(text)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(tree.Files) == 0 {
		return nil, fmt.Errorf("%s: %w", folder, ErrNoGoFiles)
	}
	tree.Fingerprint = hex.EncodeToString(sum.Sum(nil))
	return tree, nil
}

// importPath is the path under which the package in a folder of the tree is imported.
func (t *Tree) importPath(folder string) string {
	if _, vendored, ok := strings.Cut("/"+folder, "/vendor/"); ok {
		return vendored
	}
	for above := folder; ; above = path.Dir(above) {
		within := folder
		if above != "." {
			within = strings.TrimPrefix(strings.TrimPrefix(folder, above), "/")
		}
		module, ok := t.modules[above]
		switch {
		case ok && module == "std": // its packages are imported without the name of their module
			return within
		case ok:
			return path.Join(module, within)
		case above == ".":
			return folder
		}
	}
}
