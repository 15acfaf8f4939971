package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// save writes a report to a file, for load.
func save(file string, r report) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("saving: %w", err)
	}
	return os.WriteFile(file, append(data, '\n'), 0o666)
}

// load reads a report that save wrote.
func load(file string) (report, error) {
	var r report
	data, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	if err := r.Results.Check(); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// writable reports whether the files that were asked for can be written.
func writable(o options) error {
	if o.docs != "" {
		if err := os.MkdirAll(o.docs, 0o777); err != nil {
			return err
		}
		f, err := os.CreateTemp(o.docs, ".benchmarks-*")
		if err != nil {
			return err
		}
		f.Close()
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
	}
	if o.save != "" {
		f, err := os.OpenFile(o.save, os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return err
		}
		return f.Close()
	}
	return nil
}
