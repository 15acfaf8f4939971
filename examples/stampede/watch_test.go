package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/load"
)

// A watchedGroup is what the page's JSON says of a group.
type watchedGroup struct {
	Name  string
	Stats struct{ Calls, Flights, Joined uint64 }
}

func TestWatch(t *testing.T) {
	// A process of its own, since it ends by a signal, and groups can't leave the page.
	command := exec.CommandContext(t.Context(), os.Args[0], "-input", tree(t), "-listen", "127.0.0.1:0",
		"-clients", "8", "-pause", "1ms", "-duration", "50ms", "-expiry", "10ms")
	home := t.TempDir()
	command.Env = append(os.Environ(), asCommand+"=1", "HOME="+home, "XDG_CACHE_HOME="+home)
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Process.Kill()
	lines := bufio.NewScanner(stderr)
	url := ""
	for url == "" && lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "the flights are on "); ok {
			url, _, _ = strings.Cut(rest, " ")
		}
	}
	if url == "" {
		t.Fatal("the program doesn't say where the page is")
	}
	client := &http.Client{Transport: &http.Transport{Proxy: nil}}
	get := func(url string) string {
		answer, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", url, answer.Status, err)
		}
		return string(text)
	}
	if page := get(strings.TrimSuffix(url, pagePath)); !strings.Contains(page, "<h2>searches</h2>") {
		t.Errorf("the page doesn't show the group:\n%s", page)
	}
	// The load goes on beyond the duration of one.
	deadline := time.Now().Add(time.Minute)
	var first, last watchedGroup
	for round := 0; last.Stats.Calls < first.Stats.Calls+200; round++ {
		var view struct{ Groups []watchedGroup }
		if err := json.Unmarshal([]byte(get(url+"?format=json")), &view); err != nil || len(view.Groups) != 1 {
			t.Fatalf("%+v, %v", view, err)
		}
		if last = view.Groups[0]; round == 0 {
			first = last
		}
		if time.Now().After(deadline) {
			t.Fatalf("the load doesn't go on: first %+v, last %+v", first, last)
		}
	}
	if last.Name != "searches" || last.Stats.Flights == 0 {
		t.Errorf("the group is %+v", last)
	}

	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Skip(err) // not on every system
	}
	for lines.Scan() {
		t.Errorf("after Ctrl-C it says %q", lines.Text())
	}
	if err := command.Wait(); err != nil {
		t.Errorf("after Ctrl-C it ends with %v", err)
	}
}

func TestWatchArguments(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		arguments []string
		status    int
		says      string
	}{
		{[]string{"-listen", "nowhere"}, misuse, "-listen: "},
		{[]string{"-listen", "localhost:99999"}, misuse, "-listen: address 99999: invalid port"},
		{[]string{"-listen", "192.0.2.1:80"}, failure, "-listen: "}, // no address of this machine
		{[]string{"-listen", "127.0.0.1:0", "-pause", "100000h"}, misuse, "-pause: 100000h0m0s is more than the duration, 1m0s"},
		{[]string{"-listen", "127.0.0.1:0", "-json"}, misuse, "-listen: "},
		{[]string{"-listen", "127.0.0.1:0", "-svg", "chart.svg"}, misuse, "-listen: "},
		{[]string{"-listen", taken.Addr().String()}, failure, "-listen names another"},
	} {
		h := newHouse(t)
		h.play(t, test.status, test.arguments...)
		if !strings.Contains(h.err.String(), test.says) || h.out.Len() != 0 {
			t.Errorf("%q: stdout is %q, stderr is %q", test.arguments, &h.out, &h.err)
		}
	}
}

// emptyPlan is the plan of a load without requests. What it asks for fails at a base URL that is none, without a network.
func emptyPlan(t *testing.T) load.Plan {
	t.Helper()
	plan := load.Plan{Clients: 1, Requests: 1, Duration: time.Millisecond, Pause: time.Millisecond,
		Patience: time.Hour, Skew: 2, Grace: time.Hour, Queries: []string{"query"}}
	for ; ; plan.Seed++ {
		tally, err := load.Run(t.Context(), plan, "")
		if err != nil {
			t.Fatal(err)
		}
		if tally.Count().Requests == 0 {
			return plan
		}
	}
}

// A writerFunc is called with what is written.
type writerFunc func(text string)

func (f writerFunc) Write(text []byte) (int, error) {
	f(string(text))
	return len(text), nil
}

func TestALoadWithoutRequestsIsFollowedByARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := emptyPlan(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		// It says that the first request failed, of a load after the empty one.
		p := &program{stderr: writerFunc(func(string) { stop() })}
		start := time.Now()
		p.loadUntil(ctx, "", plan)
		if took := time.Since(start); took < rest {
			t.Errorf("the first request was sent after %v, want %v at least", took, rest)
		}
	})
}

func TestTheRestEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), rest/2)
		defer stop()
		p := &program{stderr: writerFunc(func(string) { stop() })}
		start := time.Now()
		p.loadUntil(ctx, "", emptyPlan(t))
		if took := time.Since(start); took != rest/2 {
			t.Errorf("it ended after %v, want %v", took, rest/2)
		}
	})
}
