// Package database keeps the declarations of a tree of Go files in SQLite, and searches them.
package database

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver that sql.Open names
)

// A Database is open for reading. Its methods may be called from many goroutines at once.
type Database struct {
	// Origin says whether the file was there or had to be built, and why.
	Origin Origin

	pool   *sql.DB
	search *sql.Stmt
}

// open opens a database file for reading, with so many connections from the start that opening one is hardly ever part of a
// query.
func open(ctx context.Context, file string, connections int) (*Database, error) {
	pool, err := sql.Open("sqlite", address(file, "mode=ro&immutable=1",
		"query_only(1)", "mmap_size(268435456)", "temp_store(memory)"))
	if err != nil {
		return nil, err
	}
	pool.SetMaxIdleConns(connections)
	d := &Database{pool: pool}
	if err := d.prepare(ctx, connections); err != nil {
		pool.Close()
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	return d, nil
}

func (d *Database) prepare(ctx context.Context, connections int) error {
	held := make([]*sql.Conn, 0, connections)
	defer func() {
		for _, connection := range held {
			connection.Close() // gives it back to the pool
		}
	}()
	for range connections {
		connection, err := d.pool.Conn(ctx)
		if err != nil {
			return err
		}
		held = append(held, connection)
		// The first statement of a connection reads the schema.
		if _, err := connection.ExecContext(ctx, "SELECT count(*) FROM terms"); err != nil {
			return err
		}
	}
	held[0].Close()
	held = held[1:]
	var err error
	d.search, err = d.pool.PrepareContext(ctx, searchQuery)
	return err
}

// Close closes the database. No search may be under way, and none may follow.
func (d *Database) Close() error { return d.pool.Close() }

// Size is how many packages and declarations the database holds.
func (d *Database) Size(ctx context.Context) (packages, declarations int, err error) {
	err = d.pool.QueryRowContext(ctx,
		"SELECT (SELECT count(*) FROM packages), (SELECT count(*) FROM declarations)").Scan(&packages, &declarations)
	return packages, declarations, err
}

// Terms are at most n words to search for, the ones with the most matches first. Each is part of the names that a
// twentieth of the packages declare; words with so many matches that they tell nothing are left out, unless there are no others.
func (d *Database) Terms(ctx context.Context, n int) ([]string, error) {
	rows, err := d.pool.QueryContext(ctx, termsQuery, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var terms []string
	for rows.Next() {
		var term string
		if err := rows.Scan(&term); err != nil {
			return nil, err
		}
		terms = append(terms, term)
	}
	return terms, rows.Err()
}

const termsQuery = `
SELECT term FROM terms
WHERE packages >= (SELECT count(*) FROM packages) / 20
ORDER BY declarations > (SELECT count(*) FROM declarations) / 50, declarations DESC, term
LIMIT ?`

// address is the data source name of a SQLite file.
func address(file, parameters string, pragmas ...string) string {
	name := filepath.ToSlash(file)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	location := url.URL{Scheme: "file", Path: name, RawQuery: parameters}
	for _, pragma := range pragmas {
		location.RawQuery += "&_pragma=" + url.QueryEscape(pragma)
	}
	return location.String()
}
