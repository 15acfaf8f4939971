package database

import (
	"context"
	"errors"
	"go/doc"
	"strings"
)

// An Answer is what a search found.
type Answer struct {
	Query   string  `json:"query"`
	Matches int     `json:"matches"` // how many names match, in all packages
	Found   []Match `json:"found"`   // the best of them
}

// A Match is a declared name. Declarations of one name for several platforms are one match.
type Match struct {
	ImportPath string  `json:"import_path"`
	Kind       string  `json:"kind"`
	Receiver   string  `json:"receiver,omitempty"`
	Name       string  `json:"name"`
	Signature  string  `json:"signature"`
	Synopsis   string  `json:"synopsis,omitempty"`
	File       string  `json:"file"`
	Line       int     `json:"line"`
	Score      float64 `json:"score"`
	Uses       int     `json:"uses"`       // how often other packages name it
	InPackage  int     `json:"in_package"` // how many names of its package match
}

// ErrNoWords is what Search returns for a query with nothing in it to search for.
var ErrNoWords = errors.New("the query has no words")

// Search finds the declarations that contain all words of the query in their name, their signature or their comment.
// Its error is ErrNoWords, ctx.Err() if ctx ended first, which interrupts the query, or what SQLite said.
func (d *Database) Search(ctx context.Context, query string) (*Answer, error) {
	words := strings.Fields(query)
	if len(words) == 0 {
		return nil, ErrNoWords
	}
	for i, word := range words {
		words[i] = `"` + strings.ReplaceAll(word, `"`, `""`) + `"` // quoted, FTS5 finds no operators in it
	}
	answer, err := d.find(ctx, strings.Join(words, " "))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	answer.Query = query
	return answer, nil
}

func (d *Database) find(ctx context.Context, match string) (*Answer, error) {
	rows, err := d.search.QueryContext(ctx, match)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	answer := &Answer{Found: []Match{}}
	for rows.Next() {
		var m Match
		var comment string
		err := rows.Scan(&m.ImportPath, &m.Kind, &m.Receiver, &m.Name, &m.Signature, &comment, &m.File, &m.Line,
			&m.Score, &m.Uses, &m.InPackage, &answer.Matches)
		if err != nil {
			return nil, err
		}
		m.Synopsis = new(doc.Package).Synopsis(comment)
		answer.Found = append(answer.Found, m)
	}
	return answer, rows.Err()
}

// The work of a query is to rank every match, by its text and by how many files use it, before the best can be told.
const searchQuery = `
WITH hits AS MATERIALIZED (
	SELECT rowid AS declaration, -bm25(text, 8, 2, 1) AS score
	FROM text WHERE text MATCH ?
), names AS (
	SELECT d.package, d.kind, d.receiver, d.name, min(d.id) AS declaration,
		max(hits.score) * ln(2 + count(DISTINCT u.file)) AS score, coalesce(sum(u.times), 0) AS uses
	FROM hits
	JOIN declarations d ON d.id = hits.declaration
	LEFT JOIN uses u ON u.declaration = d.id
	GROUP BY d.package, d.receiver, d.name
), ranked AS (
	SELECT *, count(*) OVER (PARTITION BY package) AS in_package, count(*) OVER () AS matches
	FROM names
	ORDER BY score DESC, declaration
	LIMIT 10
)
SELECT p.import_path, r.kind, r.receiver, r.name, d.signature, d.doc, f.path, d.line, r.score, r.uses, r.in_package, r.matches
FROM ranked r
JOIN packages p ON p.id = r.package
JOIN declarations d ON d.id = r.declaration
JOIN files f ON f.id = d.file
ORDER BY r.score DESC, r.declaration`
