package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-737f55c4/singleflight/httpflight"
)

// The program starts itself as origin and as proxy.
const (
	roleVariable   = "HTTPFLIGHT_ROLE"
	originVariable = "HTTPFLIGHT_ORIGIN"
)

// serveRole serves at a free port of loopback, which it prints, until its input ends.
func serveRole(role string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: handlerOf(role, os.Getenv(originVariable)), ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(listener)
	fmt.Println(listener.Addr())
	io.Copy(io.Discard, os.Stdin)
}

func handlerOf(role, origin string) http.Handler {
	switch role {
	case "origin":
		return newOrigin()
	case "pages":
		return pages()
	case "plain":
		return proxyTo(origin, backend())
	case "handler":
		return withStats(httpflight.NewHandler(proxyTo(origin, backend()), options(nil)))
	case "transport":
		// The proxy tells the origin who asks, so this belongs to what the key leaves out.
		transport := httpflight.NewTransport(backend(), options(httpflight.AllBut("X-Forwarded-For")))
		mux := http.NewServeMux()
		mux.HandleFunc("/stats", statsOf(transport))
		mux.Handle("/", proxyTo(origin, transport))
		return mux
	}
	log.Fatalf("no such role: %s", role)
	return nil
}

// windowSize is MaxBuffer in the measurement of the body that outgrows it.
const windowSize = 1 << 20

func options(key func(*http.Request) (string, bool)) httpflight.Options {
	o := httpflight.Options{Name: "bench", Key: key}
	if os.Getenv("HTTPFLIGHT_WINDOW") != "" {
		o.MaxBuffer, o.MaxStall = windowSize, 200*time.Millisecond
	}
	return o
}

func withStats(h *httpflight.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/stats", statsOf(h))
	mux.Handle("/", h)
	return mux
}

func statsOf(s interface{ Stats() httpflight.Stats }) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(s.Stats()) }
}

func backend() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 2000, DisableCompression: true}
}

func proxyTo(origin string, transport http.RoundTripper) *httputil.ReverseProxy {
	target := &url.URL{Scheme: "http", Host: origin}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		},
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0),
	}
}

// newOrigin has a page of any size, without a length, that takes half a second, and a private one that takes 0.2 s. It
// counts requests.
func newOrigin() http.Handler {
	var total, now, most atomic.Int64
	counted := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			total.Add(1)
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			h(w, r)
		}
	}
	piece := bytes.Repeat([]byte("0123456789abcdef"), 2048)
	mux := http.NewServeMux()
	mux.HandleFunc("/page", counted(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(500 * time.Millisecond)
		w.Header().Set("Cache-Control", "max-age=60")
		size, _ := strconv.Atoi(r.FormValue("size"))
		for size > 0 {
			n, err := w.Write(piece[:min(size, len(piece))])
			if err != nil {
				return
			}
			size -= n
		}
	}))
	mux.HandleFunc("/private", counted(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(200 * time.Millisecond)
		w.Header().Set("Cache-Control", "private")
		io.WriteString(w, "private")
	}))
	mux.HandleFunc("/count", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, total.Swap(0), most.Swap(0))
	})
	return mux
}

// pages has pages for requests alone: with the package at /handler, and without it at /plain.
func pages() http.Handler {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.URL.RawQuery)
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		w.Write(zeros[:size])
	})
	mux := http.NewServeMux()
	mux.Handle("/plain", page)
	mux.Handle("/handler", httpflight.NewHandler(page, httpflight.Options{}))
	return mux
}

var zeros = make([]byte, 1<<20)

// A process is one that the program has started.
type process struct {
	address string
	cmd     *exec.Cmd
	stop    func()
}

// start starts the program in a role.
func start(ctx context.Context, role, origin string, environment ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(append(os.Environ(), roleVariable+"="+role, originVariable+"="+origin), environment...)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s doesn't start", role), err, cmd.Wait())
	}
	return &process{strings.TrimSpace(line), cmd, func() {
		input.Close()
		cmd.Wait()
	}}, nil
}
