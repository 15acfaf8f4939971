package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/database"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/dress"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/progress"
)

// asCommand, in the environment, makes the test binary the command itself, for tests that send it signals.
const asCommand = "STAMPEDE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// A house has all that a program takes from the machine, but small and empty.
type house struct {
	*program
	out, err bytes.Buffer
	folder   string // of the cache
	input    string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{folder: filepath.Join(t.TempDir(), "cache"), input: tree(t)}
	h.program = &program{
		stdout:  &h.out,
		stderr:  &h.err,
		watcher: progress.On(&h.err),
		cache:   func() (string, error) { return h.folder, nil },
		source:  func(context.Context) (string, error) { return h.input, nil },
		search:  (*database.Database).Search,
		dresses: dress.All(),
		limits:  limits{query: time.Minute, grace: time.Minute, drain: time.Minute},
	}
	return h
}

// small is a load that ends by its count of requests.
var small = []string{"-clients", "6", "-requests", "10", "-pause", "1ms", "-duration", "1m", "-patience", "2ms", "-expiry", "20ms", "-terms", "4"}

// play runs the program with a small load and some more arguments, and fails unless it ends with this status.
func (h *house) play(t *testing.T, status int, arguments ...string) {
	t.Helper()
	h.out.Reset()
	h.err.Reset()
	if got := h.run(t.Context(), append(slices.Clone(small), arguments...)); got != status {
		t.Fatalf("the status is %d, want %d; stderr:\n%s", got, status, &h.err)
	}
}

// tree is a folder with a few packages in it.
func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for i, word := range []string{"reader", "writer", "buffer", "parser", "server"} {
		var b strings.Builder
		fmt.Fprintf(&b, "// Package %s has a %[1]s.\npackage %[1]s\n\nimport \"fmt\"\n", word)
		for j := range 20 {
			fmt.Fprintf(&b, "\n// Make_%d_%s makes a %[2]s, and tells the reader.\nfunc Make_%[1]d_%[2]s() { fmt.Println(%[3]d) }\n", j, word, i)
		}
		put(t, filepath.Join(root, word, word+".go"), b.String())
	}
	return root
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// cached are the names of the files in the cache.
func (h *house) cached(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(h.folder)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestTable(t *testing.T) {
	h := newHouse(t)
	h.play(t, success)
	table, findings, _ := strings.Cut(h.out.String(), "┘\n\n")
	header := strings.Split(table, "\n")[1]
	for _, d := range dress.All() {
		if !strings.Contains(header, d.Name) {
			t.Errorf("the header is %q, without %s", header, d.Name)
		}
	}
	for _, row := range []string{
		"requests", "answered", "hung up", "failed by somebody else's hang-up", "queries that reached the database",
		"most at once", "most at once for one key", "p50", "p95", "p99",
	} {
		if !strings.Contains(table, row) {
			t.Errorf("the table has no row %q:\n%s", row, table)
		}
	}
	if lines := strings.Count(findings, "\n"); lines != 2 {
		t.Errorf("below the table are %d lines, want 2:\n%s", lines, findings)
	}
	if strings.Contains(h.err.String(), "\r") {
		t.Errorf("bars were drawn where no terminal is: %q", &h.err)
	}
}

func TestJSON(t *testing.T) {
	h := newHouse(t)
	h.play(t, success, "-json")
	var got struct {
		Input    struct{ Packages, Declarations int }
		Settings struct{ Queries []string }
		Dresses  []struct {
			Name      string
			Requests  int
			Answered  int
			HungUp    int `json:"hung_up"`
			Patient   int `json:"patient_failed_by_another"`
			Impatient int `json:"impatient_failed_by_another"`
			Otherwise int `json:"failed_otherwise"`
			Queries   int
			ForOneKey int `json:"most_queries_at_once_for_one_key"`
			Line      []struct {
				Running int
			} `json:"queries_running"`
		}
		Faults []string
	}
	if err := json.Unmarshal(h.out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Input.Packages != 5 || got.Input.Declarations != 100 {
		t.Errorf("the input is %+v, want 5 packages and 100 declarations", got.Input)
	}
	if want := []string{"make", "reader", "buffer", "parser"}; !slices.Equal(got.Settings.Queries, want) {
		t.Errorf("the queries are %q, want %q", got.Settings.Queries, want)
	}
	if len(got.Dresses) != 4 || len(got.Faults) != 0 {
		t.Fatalf("there are %d dresses and the faults %q, want 4 and none", len(got.Dresses), got.Faults)
	}
	for _, d := range got.Dresses {
		if d.Requests != 6*10 {
			t.Errorf("%s: %d requests, want %d", d.Name, d.Requests, 6*10)
		}
		if sum := d.Answered + d.HungUp + d.Patient + d.Impatient + d.Otherwise; sum != d.Requests {
			t.Errorf("%s: the outcomes of %d requests are %+v", d.Name, d.Requests, d)
		}
		if d.Queries == 0 || d.Otherwise != 0 || len(d.Line) < d.Queries {
			t.Errorf("%s: %d queries, %d failures, %d points", d.Name, d.Queries, d.Otherwise, len(d.Line))
		}
		if d.Name == "this package" && (d.Patient != 0 || d.Impatient != 0 || d.ForOneKey != 1) {
			t.Errorf("%+v", d)
		}
	}
}

func TestSVG(t *testing.T) {
	h := newHouse(t)
	file := filepath.Join(t.TempDir(), "chart.svg")
	h.play(t, success, "-svg", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(text, new(struct {
		XMLName xml.Name `xml:"svg"`
	})); err != nil {
		t.Error(err)
	}
	for _, d := range dress.All() {
		if !bytes.Contains(text, []byte(">"+d.Name+"<")) {
			t.Errorf("the chart doesn't name %s", d.Name)
		}
	}
}

// To find out whether a file can be written changes nothing.
func TestWritableChangesNothing(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "old.svg")
	put(t, file, "old")
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(folder, "link.svg")
	links := os.Symlink(filepath.Join(folder, "target.svg"), link) == nil // not on every system
	for _, name := range []string{file, link, filepath.Join(folder, "new.svg"), os.DevNull} {
		if err := writable(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != "old" {
		t.Errorf("the file has %q, %v; want what it had", text, err)
	}
	if after, err := os.Stat(file); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the file was written at %v, %v; want %v", after.ModTime(), err, before.ModTime())
	}
	want := []string{file}
	if links {
		want = []string{link, file}
	}
	if got, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || !slices.Equal(got, want) {
		t.Errorf("the folder has %q, %v; want %q", got, err, want)
	}
}

func TestWritableSeesAReadOnlyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.svg")
	put(t, file, "old")
	if err := os.Chmod(file, 0o444); err != nil {
		t.Fatal(err)
	}
	if open, err := os.OpenFile(file, os.O_WRONLY, 0); err == nil {
		open.Close()
		t.Skip("this user may write it nevertheless")
	}
	if err := writable(file); !errors.Is(err, os.ErrPermission) {
		t.Errorf("the error is %v, want %v", err, os.ErrPermission)
	}
}

func TestDatabaseIsBuiltOnceAndRebuiltWhenItHasTo(t *testing.T) {
	h := newHouse(t)
	for _, step := range []struct {
		spoil func()
		want  database.Origin
	}{
		{func() {}, database.Built},
		{func() {}, database.Found},
		{func() { put(t, filepath.Join(h.input, "new.go"), "package fresh\n\nfunc Fresh() {}\n") }, database.Changed},
		{func() {}, database.Found},
		{func() { put(t, filepath.Join(h.folder, h.cached(t)[0]), "something else") }, database.Broken},
		{func() {}, database.Found},
	} {
		step.spoil()
		h.play(t, success, "-clients", "1", "-requests", "1")
		if !strings.Contains(h.err.String(), "database "+string(step.want)+"\n") {
			t.Fatalf("the database was not %s; stderr:\n%s", step.want, &h.err)
		}
		if files := h.cached(t); len(files) != 1 {
			t.Errorf("the cache has %q, want one file", files)
		}
	}
}

func TestBadInput(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	empty := t.TempDir()
	missing := filepath.Join(empty, "missing")
	wordless := t.TempDir()
	put(t, filepath.Join(wordless, "a.go"), "package a\n\nvar X int\n")
	file := filepath.Join(wordless, "a.go")

	for _, test := range []struct {
		arguments string
		status    int
		want      string
	}{
		{"-input " + missing, failure, missing + ": no such folder"},
		{"-input " + file, failure, file + ": not a folder"},
		{"-input " + empty, failure, empty + ": no Go files in it"},
		{"-input " + wordless, failure, "nothing to search for"},
		{"-addr " + taken.Addr().String(), failure, "port in use: " + taken.Addr().String()},
		{"-svg " + filepath.Join(missing, "a.svg"), failure, missing + ": no such folder"},
		{"-svg " + empty, failure, "-svg: " + empty + " is a folder"},
		{"-svg " + filepath.Join(file, "a.svg"), failure, "-svg: " + file + " is no folder"},
		{"-svg " + strings.Repeat("a", 1000), failure, "-svg: "},
		{"-svg /proc/a.svg", failure, "-svg: "}, // there or not, nobody can write it
		{"-addr 192.0.2.1:80", misuse, `-addr: "192.0.2.1" is not a loopback address`},
		{"-addr here", misuse, "-addr: address here: missing port"},
		{"-addr localhost:99999", misuse, "-addr: address 99999: invalid port"},
		{"-addr localhost:-1", misuse, "-addr: address -1: invalid port"},
		{"-addr localhost:here", misuse, "-addr: "},
		{"-clients -1", misuse, "-clients: -1 is not between 1 and 1000"},
		{"-clients 0", misuse, "-clients: 0 is not between 1 and 1000"},
		{"-requests -1", misuse, "-requests: -1 is negative"},
		{"-terms -1", misuse, "-terms: -1 is not positive"},
		{"-clients many", misuse, `invalid value "many" for flag -clients`},
		{"-duration -1s", misuse, "-duration: -1s is not positive"},
		{"-impatient 1.5", misuse, "-impatient: 1.5 is not between 0 and 1"},
		{"-patience 0", misuse, "-patience: 0s is not positive"},
		{"-pause -1s", misuse, "-pause: -1s is negative"},
		{"-pause 8s", misuse, "-pause: 8s is more than the duration, 7s"},
		{"-pause 2562047h", misuse, "-pause: 2562047h0m0s is more than the duration, 7s"},
		{"-expiry 0", misuse, "-expiry: 0s is not positive"},
		{"-skew 1", misuse, "-skew: 1 is not more than 1"},
		{"-skew +Inf", misuse, "-skew: +Inf is not a finite number"},
		{"-skew NaN", misuse, "-skew: NaN is not a finite number"},
		{"-whatever", misuse, "flag provided but not defined: -whatever"},
		{"extra", misuse, "unexpected argument: extra"},
	} {
		t.Run(test.arguments, func(t *testing.T) {
			h := newHouse(t)
			if got := h.run(t.Context(), strings.Fields(test.arguments)); got != test.status {
				t.Errorf("the status is %d, want %d", got, test.status)
			}
			if !strings.Contains(h.err.String(), "stampede: ") || !strings.Contains(h.err.String(), test.want) {
				t.Errorf("stderr is %q, want %q in it", &h.err, test.want)
			}
			if h.out.Len() != 0 {
				t.Errorf("stdout is %q, want nothing", &h.out)
			}
		})
	}
}

func TestNoPlaceForTheCache(t *testing.T) {
	h := newHouse(t)
	put(t, h.folder, "a file where the folder should be")
	h.play(t, failure)
	if !strings.Contains(h.err.String(), "no folder for the cache") {
		t.Errorf("stderr is %q", &h.err)
	}
}

func TestHelp(t *testing.T) {
	h := newHouse(t)
	if got := h.run(t.Context(), []string{"-h"}); got != success {
		t.Errorf("the status is %d, want 0", got)
	}
	for _, flag := range []string{"-input DIR", "-json", "-svg FILE", "-addr ADDR", "-clients int", "-impatient float"} {
		if !strings.Contains(h.out.String(), flag) {
			t.Errorf("the help doesn't name %s:\n%s", flag, &h.out)
		}
	}
	if h.err.Len() != 0 {
		t.Errorf("stderr is %q, want nothing", &h.err)
	}
}

// wrapped is the dress of this package alone, with something broken in it.
func wrapped(answer func(front dress.Front, load dress.Load, ctx context.Context, key string) ([]byte, error)) []dress.Dress {
	all := dress.All()
	mine := &all[len(all)-1]
	whole := mine.New
	mine.New = func(load dress.Load, limit time.Duration) dress.Front {
		return broken{whole(load, limit), load, answer}
	}
	return all[len(all)-1:]
}

type broken struct {
	dress.Front
	load   dress.Load
	answer func(dress.Front, dress.Load, context.Context, string) ([]byte, error)
}

func (b broken) Answer(ctx context.Context, key string) ([]byte, error) {
	return b.answer(b.Front, b.load, ctx, key)
}

func TestSelfCheckSeesAHangUpThatFailsOthers(t *testing.T) {
	h := newHouse(t)
	// Each request fares as if somebody else had hung up.
	h.dresses = wrapped(func(_ dress.Front, load dress.Load, ctx context.Context, key string) ([]byte, error) {
		left, hangUp := context.WithCancel(ctx)
		hangUp()
		return load(left, key)
	})
	h.play(t, failure, "-impatient", "0")
	if want := "this must not happen: this package: 60 patient requests failed through somebody else's hang-up\n"; !strings.Contains(h.err.String(), want) {
		t.Errorf("stderr is\n%s\nwithout %q", &h.err, want)
	}
}

func TestSelfCheckSeesTwoQueriesForOneKey(t *testing.T) {
	h := newHouse(t)
	// Of the first two queries for a key, neither ends before both have begun.
	var mu sync.Mutex
	met := make(map[string]chan bool)
	h.search = func(d *database.Database, ctx context.Context, query string) (*database.Answer, error) {
		mu.Lock()
		both, second := met[query]
		if !second {
			both = make(chan bool)
			met[query] = both
		} else if both != nil {
			close(both)
			met[query], both = nil, nil
		}
		mu.Unlock()
		if both != nil {
			<-both
		}
		return d.Search(ctx, query)
	}
	h.dresses = wrapped(func(_ dress.Front, load dress.Load, ctx context.Context, key string) ([]byte, error) {
		var again sync.WaitGroup
		defer again.Wait()
		again.Go(func() { _, _ = load(ctx, key) })
		return load(ctx, key)
	})
	h.play(t, failure, "-impatient", "0")
	if !strings.Contains(h.err.String(), "this must not happen: this package: ") ||
		!strings.Contains(h.err.String(), "queries for the one key") {
		t.Errorf("stderr is\n%s", &h.err)
	}
}

// A database that doesn't answer at all must neither hang the program nor be closed under its queries.
func TestWedgedDatabase(t *testing.T) {
	for _, d := range dress.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel() // they only wait
			h := newHouse(t)
			release := make(chan bool)
			ended := make(chan error, 1)
			h.dresses = []dress.Dress{d}
			h.limits = limits{query: 10 * time.Millisecond, grace: 10 * time.Millisecond, drain: 10 * time.Millisecond}
			h.search = func(db *database.Database, ctx context.Context, query string) (*database.Answer, error) {
				<-release
				answer, err := db.Search(context.WithoutCancel(ctx), query)
				select {
				case ended <- err:
				default:
				}
				return answer, err
			}
			h.play(t, failure, "-duration", "1s")
			if want := "queries still run after 10ms, so the database was left open\n"; !strings.Contains(h.err.String(), want) {
				t.Errorf("stderr is\n%s\nwithout %q", &h.err, want)
			}
			close(release)
			if err := <-ended; err != nil {
				t.Errorf("a query that ran on gives %v: was the database closed?", err)
			}
		})
	}
}

// stepper is a Watcher that calls a function when a task gets on.
type stepper func(task string)

func (s stepper) Begin(task string, _ int) progress.Bar { return steps{s, task} }

type steps struct {
	step stepper
	task string
}

func (s steps) Set(int) { s.step(s.task) }
func (s steps) End()    {}

func TestInterruptAtEachPhase(t *testing.T) {
	phases := []string{"reading Go files", "indexing"}
	for _, d := range dress.All() {
		phases = append(phases, d.Name)
	}
	for _, phase := range phases {
		t.Run(phase, func(t *testing.T) {
			h := newHouse(t)
			for i := range h.dresses {
				if h.dresses[i].Name == phase {
					h.dresses = h.dresses[i:] // those before it would take their time
					break
				}
			}
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			h.watcher = stepper(func(task string) {
				if task == phase {
					interrupt()
				}
			})
			var running atomic.Int32
			h.search = func(d *database.Database, ctx context.Context, query string) (*database.Answer, error) {
				running.Add(1)
				defer running.Add(-1)
				return d.Search(ctx, query)
			}
			arguments := []string{"-clients", "8", "-pause", "1ms", "-expiry", "1ms", "-duration", "10m"}
			if got := h.run(ctx, arguments); got != interrupted {
				t.Errorf("the status is %d, want %d; stderr:\n%s", got, interrupted, &h.err)
			}
			if !strings.HasSuffix(h.err.String(), "stampede: interrupted\n") || h.out.Len() != 0 {
				t.Errorf("stdout is %q, stderr is %q", &h.out, &h.err)
			}
			if n := running.Load(); n != 0 {
				t.Errorf("%d queries still run", n)
			}
			for _, file := range h.cached(t) {
				if !strings.HasSuffix(file, ".sqlite") {
					t.Errorf("the cache has %s, which isn't complete", file)
				}
			}
		})
	}
}

// The signal itself, on a process of its own.
func TestSIGINT(t *testing.T) {
	command := exec.CommandContext(t.Context(), os.Args[0], "-input", tree(t), "-duration", "10m")
	home := t.TempDir()
	command.Env = append(os.Environ(), asCommand+"=1", "HOME="+home, "XDG_CACHE_HOME="+home)
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "serving on http://127.0.0.1:") {
	}
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Skip(err) // not on every system
	}
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	_ = command.Wait() // its error is the status
	if got := command.ProcessState.ExitCode(); got != interrupted || last != "stampede: interrupted" {
		t.Errorf("the status is %d, want %d; the last line is %q", got, interrupted, last)
	}
}
