package httpflight

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// A marked is the ResponseWriter of a request that runs alone, if the merger has
// a name: it adds that to Cache-Status after what the handler says.
type marked struct {
	http.ResponseWriter
	m      *merger
	status string
	done   bool
}

// Unwrap is for [http.ResponseController].
func (w *marked) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *marked) mark() {
	if !w.done {
		w.done = true
		w.m.addStatus(w.Header(), w.status)
	}
}

// WriteHeader implements [http.ResponseWriter].
func (w *marked) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.mark()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *marked) Write(p []byte) (int, error) {
	w.mark()
	return w.ResponseWriter.Write(p)
}

// ReadFrom implements [io.ReaderFrom].
func (w *marked) ReadFrom(src io.Reader) (int64, error) {
	w.mark()
	return io.Copy(w.ResponseWriter, src)
}

// Flush implements [http.Flusher].
func (w *marked) Flush() { w.FlushError() }

// FlushError is what [http.ResponseController] calls for Flush.
func (w *marked) FlushError() error {
	w.mark()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements [http.Hijacker].
func (w *marked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.done = w.done || err == nil
	return conn, rw, err
}
