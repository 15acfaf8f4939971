package flightz

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"iter"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-737f55c4/singleflight"
)

// get returns the answer to a request.
func get(r *registry, method, target string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, httptest.NewRequest(method, target, nil))
	return answer
}

func pageOf(t *testing.T, r *registry) string {
	t.Helper()
	answer := get(r, "GET", "/debug/flights")
	if answer.Code != 200 {
		t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

var (
	rowPattern  = regexp.MustCompile(`(?s)<tr><td .*?</tr>`)
	tagPattern  = regexp.MustCompile(`<[^>]*>`)
	cellPattern = regexp.MustCompile(`(?s)<td class="(\w+)[^>]*>(.*?)</td>`)
	tilePattern = regexp.MustCompile(`<dt>([^<]*)</dt><dd>([^<]*)</dd>`)
)

// rows returns the text of the flights on a page.
func rows(page string) (list []string) {
	for _, row := range rowPattern.FindAllString(page, -1) {
		var cells []string
		for _, cell := range cellPattern.FindAllStringSubmatch(row, -1) {
			cells = append(cells, html.UnescapeString(tagPattern.ReplaceAllString(cell[2], "")))
		}
		list = append(list, strings.Join(cells, " | "))
	}
	return list
}

// tiles returns the counters on a page with one group.
func tiles(page string) map[string]string {
	all := make(map[string]string)
	for _, tile := range tilePattern.FindAllStringSubmatch(page, -1) {
		all[tile[1]] = html.UnescapeString(tile[2])
	}
	return all
}

// A load is a group in a bubble with flights that end when the test says so.
type load struct {
	group *singleflight.Group[string, int]
	end   map[string]chan bool
}

func newLoad(opts singleflight.Options[string, int]) *load {
	return &load{singleflight.New(opts), make(map[string]chan bool)}
}

func (l *load) call(ctx context.Context, key string) {
	if l.end[key] == nil {
		l.end[key] = make(chan bool)
	}
	end := l.end[key]
	l.group.DoChanContext(ctx, key, func(context.Context) (int, error) { <-end; return 0, nil })
	synctest.Wait()
}

func (l *load) land(key string) {
	l.end[key] <- true
	synctest.Wait()
}

func TestPageShowsGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(registry)
		l := newLoad(singleflight.Options[string, int]{CancelAbandoned: true})
		register(r, "users", l.group, nil)
		for range 4 {
			l.call(t.Context(), "oldest")
		}
		time.Sleep(65 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		for range 2 {
			l.call(ctx, "cancelled")
		}
		cancel()
		synctest.Wait()
		l.group.Forget("cancelled")
		time.Sleep(1500 * time.Millisecond)
		l.call(t.Context(), "youngest")
		page := pageOf(t, r)
		want := []string{
			"1 min 06 s | oldest | 4 callers | Running",
			"1.5 s | cancelled | 0 callers | Cancelled Forgotten",
			"0 ms | youngest | 1 caller | Running",
		}
		if diff := cmp.Diff(want, rows(page)); diff != "" {
			t.Errorf("flights (-want +got):\n%s", diff)
		}
		counters := map[string]string{
			"Dedup ratio": "57.1 %", "In flight": "3", "Calls": "7", "Flights": "3", "Joined": "4", "Detached": "2",
			"Abandoned": "1", "Dropped": "0", "Panics": "0",
		}
		if diff := cmp.Diff(counters, tiles(page)); diff != "" {
			t.Errorf("counters (-want +got):\n%s", diff)
		}
		if !strings.Contains(page, "<title>3 flights in the air</title>") {
			t.Error("the title doesn't count the flights")
		}
		l.land("oldest")
		l.land("cancelled")
		l.land("youngest")
		page = pageOf(t, r)
		if list := rows(page); len(list) > 0 || !strings.Contains(page, "Nothing in the air") {
			t.Errorf("after the landings the page shows %q", list)
		}
	})
}

func TestPageShowsGroupsInTheOrderOfTheirNames(t *testing.T) {
	r := new(registry)
	for _, name := range []string{"b", "c", "", "a"} {
		register(r, name, new(singleflight.Group[int, int]), nil)
	}
	if diff := cmp.Diff([]string{`""`, "a", "b", "c"}, headings(pageOf(t, r))); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

// headings returns the names of the groups on a page, as they are to be seen.
func headings(page string) (names []string) {
	for _, m := range regexp.MustCompile(`(?s)<section aria-label="([^"]*)">\n<h2>(.*?)</h2>`).FindAllStringSubmatch(page, -1) {
		name := html.UnescapeString(m[2])
		if label := html.UnescapeString(m[1]); label != name {
			name += ", labelled " + label
		}
		names = append(names, name)
	}
	return names
}

// Programs find a group by the name that it was registered with.
func TestNamesAreLegible(t *testing.T) {
	long := strings.Repeat("long ", 50) + "name"
	for name, want := range map[string]string{
		"users":                "users",
		"größe/日本":             "größe/日本",
		long:                   long,
		"\x00\x1b[31m":         `"\x00\x1b[31m"`,
		"line\nbreak":          `"line\nbreak"`,
		"bad \xff utf-8":       `"bad \xff utf-8"`,
		"u\u202esresu\u202c":   `"u\u202esresu\u202c"`,
		"\u2066isolated\u2069": `"\u2066isolated\u2069"`,
		"zero\u200bwide":       `"zero\u200bwide"`,
		" users":               `" users"`,
	} {
		r := new(registry)
		register(r, name, new(singleflight.Group[int, int]), nil)
		if diff := cmp.Diff([]string{want}, headings(pageOf(t, r))); diff != "" {
			t.Errorf("%q on the page (-want +got):\n%s", name, diff)
		}
		var v view
		if err := json.Unmarshal(get(r, "GET", "/?format=json").Body.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if got := v.Groups[0].Name; got != strings.ToValidUTF8(name, "\uFFFD") {
			t.Errorf("%q is %q in JSON", name, got)
		}
	}
}

func TestPageWithoutGroups(t *testing.T) {
	if page := pageOf(t, new(registry)); !strings.Contains(page, "No group is registered") {
		t.Errorf("the page doesn't say so:\n%s", page)
	}
	if got := get(new(registry), "GET", "/?format=json").Body.String(); !strings.Contains(got, `"groups": []`) {
		t.Errorf("JSON: %s", got)
	}
}

func TestPageOfAGroupWithoutCalls(t *testing.T) {
	r := new(registry)
	register(r, "idle", new(singleflight.Group[int, int]), nil)
	if got := tiles(pageOf(t, r))["Dedup ratio"]; got != "–" {
		t.Errorf("the dedup ratio is %q", got)
	}
}

func TestPageEscapesKeysAndNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		evil := []string{
			`<script>alert(1)</script>`, `</td></table><img src=x onerror=alert(1)>`, `"><b>`, `' onmouseover='x`,
			`{{.}}`, `</main>`, `<!--`, `&lt;`,
		}
		for _, key := range evil {
			r := new(registry)
			l := newLoad(singleflight.Options[string, int]{})
			register(r, key, l.group, nil)
			clean := pageOf(t, r)
			l.call(t.Context(), key)
			page := pageOf(t, r)
			if got := rows(page); len(got) != 1 || !strings.Contains(got[0], "| "+key+" |") {
				t.Errorf("key %q: the page shows %q", key, got)
			}
			l.land(key)
			for _, tag := range []string{"<script", "</script", "<img", "<b>", "</main", "<!--", "</section"} {
				want := strings.Count(clean, tag)
				if tag == "<b>" {
					want = 1
				}
				if got := strings.Count(page, tag); got != want {
					t.Errorf("key %q: %d times %s, want %d", key, got, tag, want)
				}
			}
		}
	})
}

func TestKeysAreLegible(t *testing.T) {
	long := strings.Repeat("x", 60) + strings.Repeat("ü", 1e6) + "the end"
	for key, want := range map[string]string{
		"key":                       "key",
		"with space":                "with space",
		"größe/日本":                  "größe/日本",
		"":                          `""`,
		" ":                         `" "`,
		"trailing ":                 `"trailing "`,
		"tab\tline\n":               `"tab\tline\n"`,
		"\x00\x1b[31m":              `"\x00\x1b[31m"`,
		"bad \xff utf-8":            `"bad \xff utf-8"`,
		"txt.\u202eexe":             `"txt.\u202eexe"`, // would run from right to left
		"zero\u200bwide":            `"zero\u200bwide"`,
		strings.Repeat("é", 100):    strings.Repeat("é", 100),
		strings.Repeat("a", 101):    strings.Repeat("a", 66) + "…" + strings.Repeat("a", 33),
		long:                        strings.Repeat("x", 60) + strings.Repeat("ü", 6) + "…" + strings.Repeat("ü", 26) + "the end",
		strings.Repeat("\xff", 300): `"` + strings.Repeat(`\xff`, 66) + "…" + strings.Repeat(`\xff`, 33) + `"`,
	} {
		if got := legible(shortened(key)); got != want {
			t.Errorf("%.40q…: got %s, want %s", key, got, want)
		}
	}
}

func TestKeysOfOtherTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type point struct {
			X    int
			Name string
		}
		var g singleflight.Group[any, int]
		r := new(registry)
		register(r, "any", &g, nil)
		end := make(chan bool)
		for _, key := range []any{strings.Repeat("z", 200), "", nil, 4711, point{1, "<here>"}, broken{}} {
			g.DoChan(key, func() (int, error) { <-end; return 0, nil })
			synctest.Wait()
			g.InFlight() // makes it known now
			time.Sleep(time.Second)
		}
		want := []string{
			"6.0 s | " + strings.Repeat("z", 66) + "…" + strings.Repeat("z", 33) + " | 1 caller | Running",
			"5.0 s | \"\" | 1 caller | Running",
			"4.0 s | <nil> | 1 caller | Running",
			"3.0 s | 4711 | 1 caller | Running",
			"2.0 s | {1 <here>} | 1 caller | Running",
			"1.0 s | %!v(PANIC=String method: boom) | 1 caller | Running",
		}
		if diff := cmp.Diff(want, rows(pageOf(t, r))); diff != "" {
			t.Errorf("flights (-want +got):\n%s", diff)
		}
		close(end)
	})
}

type broken struct{}

func (broken) String() string { panic("boom") }

func TestFormatHidesKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoad(singleflight.Options[string, int]{})
		r := new(registry)
		register(r, "tokens", l.group, func(key string) string { return "<" + key[:2] + ">" })
		l.call(t.Context(), "secret")
		for _, target := range []string{"/", "/?format=json"} {
			if text := get(r, "GET", target).Body.String(); strings.Contains(text, "secret") {
				t.Errorf("%s shows the key:\n%s", target, text)
			}
		}
		if got := rows(pageOf(t, r)); len(got) != 1 || !strings.Contains(got[0], "| <se> |") {
			t.Errorf("the page shows %q", got)
		}
		l.land("secret")
	})
}

func TestFormatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoad(singleflight.Options[string, int]{})
		r := new(registry)
		register(r, "tokens", l.group, func(key string) string { panic("secret") })
		l.call(t.Context(), "key")
		page := pageOf(t, r)
		if got := rows(page); len(got) != 1 || !strings.Contains(got[0], "| (its format function panicked) |") || strings.Contains(page, "secret") {
			t.Errorf("the page shows %q", got)
		}
		l.land("key")
	})
}

func TestPageAsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoad(singleflight.Options[string, int]{})
		r := new(registry)
		register(r, "users", l.group, nil)
		start := time.Now().UTC().Format(time.RFC3339Nano)
		for range 4 {
			l.call(t.Context(), "<key>")
		}
		time.Sleep(3500 * time.Millisecond)
		answer := get(r, "GET", "/debug/flights?format=json")
		if kind := answer.Header().Get("Content-Type"); answer.Code != 200 || kind != "application/json" {
			t.Errorf("status %d, type %q", answer.Code, kind)
		}
		var got any
		if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		utc := func(key string, v any) any { // the zone is that of the machine
			if at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(v)); err == nil && (key == "time" || key == "since") {
				return at.UTC().Format(time.RFC3339Nano)
			}
			return v
		}
		inUTC(got, utc)
		want := map[string]any{
			"time": time.Now().UTC().Format(time.RFC3339Nano),
			"groups": []any{map[string]any{
				"name": "users",
				"stats": map[string]any{
					"calls": 4.0, "flights": 1.0, "joined": 3.0, "detached": 0.0,
					"abandoned": 0.0, "dropped": 0.0, "panics": 0.0, "inFlight": 1.0,
				},
				"dedupRatio": 0.75,
				"flights": []any{map[string]any{
					"key": "<key>", "callers": 4.0, "state": "Running", "forgotten": false, "since": start, "age": 3.5,
				}},
				"more": 0.0,
			}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("JSON (-want +got):\n%s", diff)
		}
		l.land("<key>")
	})
}

// inUTC replaces the values of all objects in v.
func inUTC(v any, replaced func(key string, v any) any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = replaced(key, value)
			inUTC(value, replaced)
		}
	case []any:
		for _, value := range v {
			inUTC(value, replaced)
		}
	}
}

func TestPageOfThousandsOfFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		var g singleflight.Group[int, int]
		r := new(registry)
		formats := 0
		register(r, "burst", &g, func(key int) string { formats++; return fmt.Sprint(key) })
		end := make(chan bool)
		call := func(key int) {
			g.DoChan(key, func() (int, error) { <-end; return 0, nil })
		}
		call(4711)
		g.InFlight() // makes it known now
		time.Sleep(time.Second)
		for key := range n {
			call(key)
		}
		synctest.Wait()
		page := pageOf(t, r)
		list := rows(page)
		if len(list) != 100 || list[0] != "1.0 s | 4711 | 2 callers | Running" {
			t.Errorf("the page shows %d flights, %q the first", len(list), list[0])
		}
		if formats != 100 {
			t.Errorf("%d keys were formatted", formats)
		}
		if !strings.Contains(page, "and 4,900 more") {
			t.Error("the page doesn't say that there are 4,900 more")
		}
		if len(page) > 100_000 {
			t.Errorf("the page has %d bytes", len(page))
		}
		var v view
		if err := json.Unmarshal(get(r, "GET", "/?format=json").Body.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if g := v.Groups[0]; len(g.Flights) != 100 || g.More != 4900 || g.Stats.InFlight != n {
			t.Errorf("JSON lists %d flights and %d more; %d are in flight", len(g.Flights), g.More, g.Stats.InFlight)
		}
		close(end)
	})
}

// A stuckGroup can't be read.
type stuckGroup struct{ asked, release chan bool }

func (g stuckGroup) Stats() singleflight.Stats {
	g.asked <- true
	<-g.release
	return singleflight.Stats{}
}

func (g stuckGroup) Flights() iter.Seq[singleflight.Flight[string]] {
	return func(func(singleflight.Flight[string]) bool) {}
}

func TestNothingOfTheUsersRunsUnderALock(t *testing.T) {
	r := new(registry)
	g := stuckGroup{make(chan bool), make(chan bool)}
	register(r, "stuck", g, nil)
	var wg sync.WaitGroup
	wg.Go(func() { r.look() })
	<-g.asked
	register(r, "another", new(singleflight.Group[int, int]), nil)
	wg.Go(func() { r.counters() })
	<-g.asked
	close(g.release)
	wg.Wait()
}

func TestFormatMayUseThePackage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoad(singleflight.Options[string, int]{})
		r := new(registry)
		register(r, "users", l.group, func(key string) string {
			register(r, fmt.Sprint("made by ", key), new(singleflight.Group[int, int]), nil)
			r.counters()
			return fmt.Sprint(key, l.group.Stats().InFlight)
		})
		l.call(t.Context(), "key")
		if got := rows(pageOf(t, r)); len(got) != 1 || !strings.Contains(got[0], "| key1 |") {
			t.Errorf("the page shows %q", got)
		}
		l.land("key")
	})
}

func TestPageUnderLoad(t *testing.T) {
	var g singleflight.Group[int, int]
	r := new(registry)
	register(r, "busy", &g, nil)
	var callers, viewers sync.WaitGroup
	for i := range 4 {
		callers.Go(func() {
			for n := range 2000 {
				g.Do((i+n)%7, func() (int, error) { return n, nil })
			}
		})
	}
	for i := range 3 {
		viewers.Go(func() {
			for n := range 20 {
				register(r, fmt.Sprint(i, " ", n), &g, nil)
				pageOf(t, r)
				get(r, "GET", "/?format=json")
				r.counters()
			}
		})
	}
	callers.Wait()
	viewers.Wait()
	if s := tiles(pageOf(t, r)); s["Calls"] != "8,000" || s["In flight"] != "0" {
		t.Errorf("at rest the page shows %v", s)
	}
}

func TestHandlerAnswersGetAndHead(t *testing.T) {
	r := new(registry)
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "DELETE": 405, "OPTIONS": 405} {
		answer := get(r, method, "/debug/flights")
		if answer.Code != want {
			t.Errorf("%s: status %d, want %d", method, answer.Code, want)
		}
		if allow := answer.Header().Get("Allow"); want == 405 && allow != "GET, HEAD" {
			t.Errorf("%s: Allow is %q", method, allow)
		}
	}
	for target, want := range map[string]int{"/": 200, "/?format=html": 200, "/?format=json": 200, "/?format=xml": 400, "/?other=1": 200} {
		if answer := get(r, "GET", target); answer.Code != want {
			t.Errorf("%s: status %d, want %d", target, answer.Code, want)
		}
	}
	if text := get(r, "GET", "/?format=<b>").Body.String(); !strings.Contains(text, "no such format") {
		t.Errorf("an unknown format is answered with %q", text)
	}
}

func TestServedByARealServer(t *testing.T) {
	r := new(registry)
	register(r, "users", new(singleflight.Group[int, int]), nil)
	server := httptest.NewServer(r)
	defer server.Close()
	answer, err := server.Client().Head(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 200 || answer.ContentLength < 1000 || answer.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("HEAD: status %d, %d bytes, %v", answer.StatusCode, answer.ContentLength, answer.Header)
	}
}

func TestPageIsSelfContained(t *testing.T) {
	answer := get(new(registry), "GET", "/debug/flights")
	page := answer.Body.String()
	if outside := regexp.MustCompile(`(?i)(src|href)="?[^"d]|url\(|@import|https?:`).FindAllString(page, -1); outside != nil {
		t.Errorf("the page refers to %q", outside)
	}
	for _, part := range []string{
		`<meta name="viewport" content="width=device-width`, "prefers-color-scheme: dark", `http-equiv="refresh"`, `<html lang=`,
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page has no %s", part)
		}
	}
	// Its policy names the style and the script as they are on the page.
	h := answer.Header()
	for _, tag := range []string{"style", "script"} {
		_, rest, _ := strings.Cut(page, "<"+tag+">")
		text, _, _ := strings.Cut(rest, "</"+tag+">")
		if want := tag + "-src " + source(text); len(text) < 100 || !strings.Contains(h.Get("Content-Security-Policy"), want) {
			t.Errorf("the policy %q doesn't have %q", h.Get("Content-Security-Policy"), want)
		}
	}
	if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers: %v", h)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) is %q, want %q", n, got, want)
		}
	}
	for ratio, want := range map[float64]string{
		0: "0.0 %", 1: "100.0 %", 0.5: "50.0 %", 0.9378: "93.8 %", 0.99951: "> 99.9 %", 0.0004: "< 0.1 %",
	} {
		if got := percent(ratio); got != want {
			t.Errorf("percent(%v) is %q, want %q", ratio, got, want)
		}
	}
	for seconds, want := range map[float64]string{
		0: "0 ms", 0.9999: "999 ms", 1: "1.0 s", 59.99: "59.9 s", 60: "1 min 00 s", 3599: "59 min 59 s",
		3600: "1 h 00 min", 86399: "23 h 59 min", 86400: "1 d 00 h", 10 * 86400: "10 d 00 h",
	} {
		if got := age(seconds); got != want {
			t.Errorf("age(%v) is %q, want %q", seconds, got, want)
		}
	}
	for seconds, want := range map[float64]string{0: "young", 4.9: "young", 5: "slow", 59.9: "slow", 60: "stuck"} {
		if got := urgency(seconds); got != want {
			t.Errorf("urgency(%v) is %q, want %q", seconds, got, want)
		}
	}
	if got := inFlight(view{Groups: []group{{Flights: make([]flight, 1)}}}); got != "1 flight in the air" {
		t.Errorf("got %q", got)
	}
}
