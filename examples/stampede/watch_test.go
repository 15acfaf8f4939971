package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
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
