package request

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"

	own "github.com/seed-737f55c4/singleflight"
	"golang.org/x/sync/singleflight"
)

var (
	x singleflight.Group
	o own.Group[string, int]
)

func handle(w http.ResponseWriter, r *http.Request, tx *sql.Tx) {
	x.Do("", func() (any, error) {
		fmt.Fprintln(w, "hello") // want `the function uses the writer of a response, w: those who join it have their own \(request\)`
		return nil, nil
	})
	x.Do("", func() (any, error) { return io.ReadAll(r.Body) }) // want `the function uses the body of a request, r`
	x.Do("", func() (any, error) { return tx.Exec("") })        // want `the function uses a transaction, tx`
	o.DoContext(r.Context(), "", func(ctx context.Context) (int, error) {
		return len(r.FormValue("x")), nil // want `the function uses the body of a request`
	})
}

// Nothing to report.

func fine(w http.ResponseWriter, r *http.Request, db *sql.DB) {
	v, _, _ := x.Do(r.URL.Path, func() (any, error) { return r.URL.Path, nil })
	fmt.Fprintln(w, v)
	x.Do("", func() (any, error) {
		tx, err := db.Begin()
		if err != nil {
			return nil, err
		}
		return nil, tx.Commit()
	})
}
