package database

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/corpus"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/progress"
)

// An Origin says where a Database came from.
type Origin string

// Where a Database can come from.
const (
	Found   Origin = "found as it was written"
	Built   Origin = "built, since there was none for this folder"
	Changed Origin = "built anew, since the input or the Go version changed"
	Broken  Origin = "built anew, since the file in the cache was not as it had been written"
)

// Open gives the database of a tree: the one in the cache folder if it was built from this very tree and is intact,
// otherwise a new one, which it leaves there. So many connections are opened in advance.
//
// A file in the cache carries in its name what it was built from and the hash of its own content, so a file that is cut
// off, damaged or not ours is never taken for a good one. It gets that name only when it is complete.
func Open(ctx context.Context, tree *corpus.Tree, folder string, connections int, watcher progress.Watcher) (*Database, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("no folder for the cache: %w", err)
	}
	place := digest(tree.Root)
	prefix := place + "-" + digest(edition, tree.Fingerprint) + "-"
	before, err := filepath.Glob(filepath.Join(escape(folder), place+"-*.sqlite"))
	if err != nil {
		return nil, err
	}

	origin := Built
	for _, file := range before {
		if !strings.HasPrefix(filepath.Base(file), prefix) {
			origin = Changed
		}
	}
	for _, file := range before {
		if !strings.HasPrefix(filepath.Base(file), prefix) {
			continue
		}
		sum, err := checksum(ctx, file)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil && filepath.Base(file) == prefix+sum+".sqlite" {
			d, err := open(ctx, file, connections)
			if err == nil {
				d.Origin = Found
				return d, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
		origin = Broken
		_ = os.Remove(file) // it may be in the way of the new one
	}

	file, err := create(ctx, tree, folder, prefix, watcher)
	if err != nil {
		return nil, err
	}
	d, err := open(ctx, file, connections)
	if err != nil {
		return nil, err
	}
	d.Origin = origin
	sweep(folder, before, file)
	return d, nil
}

// create builds a database under a name that nobody looks for, and renames it when it is complete.
func create(ctx context.Context, tree *corpus.Tree, folder, prefix string, watcher progress.Watcher) (string, error) {
	unfinished, err := os.CreateTemp(folder, "unfinished-*")
	if err != nil {
		return "", fmt.Errorf("no room for the database: %w", err)
	}
	defer os.Remove(unfinished.Name()) // fails once it has been renamed
	if err := unfinished.Close(); err != nil {
		return "", err
	}
	if err := build(ctx, tree, unfinished.Name(), watcher); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("building the database: %w", err)
	}
	sum, err := checksum(ctx, unfinished.Name())
	if err != nil {
		return "", err
	}
	file := filepath.Join(folder, prefix+sum+".sqlite")
	return file, os.Rename(unfinished.Name(), file)
}

// sweep removes the databases that this one replaces, and what builds that were killed left behind.
// What can't be removed stays, and harms nobody.
func sweep(folder string, before []string, kept string) {
	for _, file := range before {
		if file != kept {
			_ = os.Remove(file)
		}
	}
	unfinished, _ := filepath.Glob(filepath.Join(escape(folder), "unfinished-*"))
	for _, file := range unfinished {
		// A young one may belong to a build that goes on.
		if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(file)
		}
	}
}

func checksum(ctx context.Context, name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	for {
		_, err := io.CopyN(sum, file, 1<<20)
		if err == io.EOF {
			return hex.EncodeToString(sum.Sum(nil)), nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return "", err
		}
	}
}

// digest shortens what a file is named after.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:8])
}

// escape makes a folder's name match itself in a pattern.
func escape(folder string) string {
	if os.PathSeparator == '\\' { // where it can't be escaped
		return folder
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(folder)
}
