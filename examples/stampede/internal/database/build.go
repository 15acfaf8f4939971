package database

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/corpus"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/progress"
)

// edition changes with everything that decides what a database file contains: the schema below, and how files are read.
const edition = "1"

const schema = `
CREATE TABLE packages (
	id INTEGER PRIMARY KEY, import_path TEXT NOT NULL, name TEXT NOT NULL, doc TEXT NOT NULL
);
CREATE TABLE files (
	id INTEGER PRIMARY KEY, package INTEGER NOT NULL REFERENCES packages, path TEXT NOT NULL, lines INTEGER NOT NULL
);
CREATE TABLE declarations (
	id INTEGER PRIMARY KEY, file INTEGER NOT NULL REFERENCES files, package INTEGER NOT NULL REFERENCES packages,
	kind TEXT NOT NULL, receiver TEXT NOT NULL, name TEXT NOT NULL, signature TEXT NOT NULL, doc TEXT NOT NULL,
	line INTEGER NOT NULL
);
-- how often a file names a declaration of another package
CREATE TABLE uses (
	declaration INTEGER NOT NULL REFERENCES declarations, file INTEGER NOT NULL REFERENCES files, times INTEGER NOT NULL,
	PRIMARY KEY (declaration, file)
) WITHOUT ROWID;
-- the words that names are made of: how many packages have a name with it, how many declarations match it
CREATE TABLE terms (
	term TEXT PRIMARY KEY, packages INTEGER NOT NULL, declarations INTEGER NOT NULL
) WITHOUT ROWID;
CREATE VIRTUAL TABLE text USING fts5(words, signature, doc, content='', tokenize='unicode61');
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(text, row);`

// build writes the database of a tree into file, which must be empty.
func build(ctx context.Context, tree *corpus.Tree, file string, watcher progress.Watcher) (err error) {
	// Nobody reads a file that wasn't finished, so nothing has to survive a crash.
	pool, err := sql.Open("sqlite", address(file, "",
		"journal_mode(off)", "synchronous(off)", "locking_mode(exclusive)", "cache_size(-65536)", "page_size(8192)"))
	if err != nil {
		return err
	}
	defer func() {
		if closing := pool.Close(); err == nil {
			err = closing
		}
	}()
	pool.SetMaxOpenConns(1)
	// A context that can end would cost each of several hundred thousand inserts a goroutine, so the loops ask it instead.
	transaction, err := pool.Begin()
	if err != nil {
		return err
	}
	if _, err := transaction.Exec(schema); err != nil {
		return err
	}
	w := &writer{
		packages: make(map[string]int64),
		exported: make(map[corpus.Name]int64),
		words:    make(map[string]map[int64]bool),
	}
	for statement, text := range map[**sql.Stmt]string{
		&w.insertPackage:     "INSERT INTO packages VALUES (?, ?, ?, ?)",
		&w.documentPackage:   "UPDATE packages SET doc = ?2 WHERE id = ?1 AND doc = ''",
		&w.insertFile:        "INSERT INTO files VALUES (?, ?, ?, ?)",
		&w.insertDeclaration: "INSERT INTO declarations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		&w.insertText:        "INSERT INTO text (rowid, words, signature, doc) VALUES (?, ?, ?, ?)",
		&w.insertUse:         "INSERT INTO uses VALUES (?, ?, ?)",
		&w.insertTerm:        "INSERT INTO terms SELECT ?1, ?2, doc FROM vocabulary WHERE term = ?1",
	} {
		if *statement, err = transaction.Prepare(text); err != nil {
			return err
		}
	}

	bar := watcher.Begin("reading Go files", len(tree.Files))
	err = tree.Read(ctx, func(file *corpus.File) error {
		if err := w.file(file); err != nil {
			return fmt.Errorf("writing %s: %w", file.Path, err)
		}
		bar.Set(len(w.files))
		return nil
	})
	bar.End()
	if err != nil {
		return err
	}
	bar = watcher.Begin("indexing", len(w.files)+len(w.words))
	err = w.finish(ctx, bar)
	bar.End()
	if err != nil {
		return err
	}
	return transaction.Commit()
}

// A writer fills a database. Rows are numbered from 1 in the order of the files.
type writer struct {
	insertPackage, documentPackage, insertFile, insertDeclaration, insertText, insertUse, insertTerm *sql.Stmt

	packages     map[string]int64          // import path and name -> package
	files        []map[corpus.Name]int     // what each file uses
	declarations int64                     // how many there are
	exported     map[corpus.Name]int64     // package-level name -> its first declaration
	words        map[string]map[int64]bool // word of a name -> packages
}

func (w *writer) file(file *corpus.File) error {
	w.files = append(w.files, file.Uses)
	number := int64(len(w.files))
	pack, err := w.pack(file)
	if err != nil {
		return err
	}
	if _, err := w.insertFile.Exec(number, pack, file.Path, file.Lines); err != nil {
		return err
	}
	for _, d := range file.Declarations {
		w.declarations++
		_, err := w.insertDeclaration.Exec(w.declarations, number, pack, d.Kind, d.Receiver, d.Name, d.Signature, d.Doc, d.Line)
		if err != nil {
			return err
		}
		words := corpus.Words(d.Name)
		if _, err := w.insertText.Exec(w.declarations, strings.Join(words, " "), d.Signature, d.Doc); err != nil {
			return err
		}
		name := corpus.Name{ImportPath: file.ImportPath, Name: d.Name}
		if _, again := w.exported[name]; !again && d.Receiver == "" {
			w.exported[name] = w.declarations
		}
		for _, word := range words {
			if len(word) < 4 {
				continue
			}
			if w.words[word] == nil {
				w.words[word] = make(map[int64]bool)
			}
			w.words[word][pack] = true
		}
	}
	return nil
}

func (w *writer) pack(file *corpus.File) (int64, error) {
	key := file.ImportPath + " " + file.Package
	number, known := w.packages[key]
	if known {
		if file.Doc == "" {
			return number, nil
		}
		_, err := w.documentPackage.Exec(number, file.Doc)
		return number, err
	}
	number = int64(len(w.packages) + 1)
	w.packages[key] = number
	_, err := w.insertPackage.Exec(number, file.ImportPath, file.Package, file.Doc)
	return number, err
}

// finish writes what can be told only when all files are known.
func (w *writer) finish(ctx context.Context, bar progress.Bar) error {
	done := 0
	for i, uses := range w.files {
		for name, times := range uses {
			declaration, known := w.exported[name]
			if !known {
				continue
			}
			if _, err := w.insertUse.Exec(declaration, i+1, times); err != nil {
				return err
			}
		}
		done++
		bar.Set(done)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	for _, word := range slices.Sorted(maps.Keys(w.words)) {
		if _, err := w.insertTerm.Exec(word, len(w.words[word])); err != nil {
			return err
		}
		done++
		bar.Set(done)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
