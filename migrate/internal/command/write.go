package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// write replaces the files, each whole, and all of them or none.
func write(changes []program.Change) error {
	var staged []stagedFile
	defer func() {
		for _, s := range staged {
			os.Remove(s.temporary)
		}
	}()
	for _, change := range changes {
		s, err := stage(change)
		if err != nil {
			return fmt.Errorf("nothing was written: %w", err)
		}
		staged = append(staged, s)
	}
	for i, s := range staged {
		if err := os.Rename(s.temporary, s.name); err != nil {
			return errors.Join(fmt.Errorf("what was written is taken back: %w", err), undo(staged[:i]))
		}
	}
	return nil
}

type stagedFile struct {
	name, temporary string
	change          program.Change
	mode            os.FileMode
}

// stage writes a change beside its file.
func stage(change program.Change) (stagedFile, error) {
	name, err := filepath.EvalSymlinks(change.Name)
	if errors.Is(err, os.ErrNotExist) && change.Before == nil {
		name, err = change.Name, nil // a go.sum that there wasn't
	}
	if err != nil {
		return stagedFile{}, err
	}
	mode := os.FileMode(0o666)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
		if mode&0o222 == 0 {
			return stagedFile{}, fmt.Errorf("%s is read-only", change.Name)
		}
		now, err := os.ReadFile(name)
		if err != nil {
			return stagedFile{}, err
		}
		if string(now) != string(change.Before) {
			return stagedFile{}, fmt.Errorf("%s has changed meanwhile", change.Name)
		}
	}
	s := stagedFile{name: name, change: change, mode: mode}
	s.temporary, err = writeBeside(name, change.After, mode)
	return s, err
}

func writeBeside(name string, contents []byte, mode os.FileMode) (temporary string, err error) {
	file, err := os.CreateTemp(filepath.Dir(name), ".singleflightmigrate")
	if err != nil {
		return "", err
	}
	_, err = file.Write(contents)
	if chmod := file.Chmod(mode); err == nil {
		err = chmod
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(file.Name())
		return "", err
	}
	return file.Name(), nil
}

// undo puts back what was there.
func undo(written []stagedFile) (err error) {
	for _, s := range written {
		temporary, failed := writeBeside(s.name, s.change.Before, s.mode)
		if failed == nil {
			failed = os.Rename(temporary, s.name)
		}
		err = errors.Join(err, failed)
	}
	return err
}
