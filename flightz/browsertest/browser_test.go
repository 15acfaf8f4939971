package browsertest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/seed-737f55c4/singleflight"
	"github.com/seed-737f55c4/singleflight/flightz"
)

var screenshots = flag.String("screenshots", "", "write the screenshots for the documentation to this `folder`")

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

func chromium(t *testing.T) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}
	if name := os.Getenv("CHROMIUM"); name != "" {
		names = []string{name}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("no Chromium, looked for %s: install it (Debian: apt-get install chromium), or name it in CHROMIUM", strings.Join(names, ", "))
	return ""
}

// A tab is a page in a browser of its own.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func newTab(t *testing.T) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, // Chromium has none for root
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.WSURLReadTimeout(patience),
	)
	browser, closeBrowser := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeTab := chromedp.NewContext(browser)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil { // waits until it has ended, and its folder can be removed
			t.Error(err)
		}
		closeTab()
		closeBrowser()
	})
	b := &tab{t, ctx}
	err := chromedp.Listen(ctx, func(event any) {
		switch event := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page's script failed: %v", event.ExceptionDetails)
		case *log.EventEntryAdded:
			if event.Entry.Source != log.EntrySourceNetwork { // a server that is gone is told there
				t.Errorf("the browser complains: %s", event.Entry.Text)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	command(b, log.Enable, cdp.Empty{})
	return b
}

// run lets the browser do something, which has a limit.
func run[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

func command[P, R any](b *tab, c cdp.Command[P, R], params P) {
	b.t.Helper()
	run(b, func(ctx context.Context, target *chromedp.Target) (R, error) { return cdp.Call(ctx, target, c, params) })
}

// open opens a page and waits until it is there.
func (b *tab) open(url string) {
	b.t.Helper()
	run(b, chromedp.Navigate(url))
	b.until("the page comes", `document.readyState`, is("complete"))
}

// value returns the value of a JavaScript expression as a string.
func (b *tab) value(expression string) string {
	b.t.Helper()
	return run(b, chromedp.Evaluate[string]("String("+expression+")"))
}

// until waits until the value of a JavaScript expression is as it should be,
// and returns it.
func (b *tab) until(what, expression string, ok func(value string) bool) (value string) {
	b.t.Helper()
	end := time.Now().Add(patience)
	for value = b.value(expression); !ok(value); value = b.value(expression) {
		if time.Now().After(end) {
			b.t.Fatalf("%s: %s stays %q", what, expression, value)
		}
	}
	return value
}

func is(want string) func(string) bool { return func(got string) bool { return got == want } }

func (b *tab) scheme(value string) {
	b.t.Helper()
	command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}},
	})
}

const (
	rows    = `document.querySelectorAll("tbody tr").length`
	keys    = `Array.from(document.querySelectorAll("td.key"), e => e.innerText).join()`
	oldest  = `document.querySelector("td.age")?.innerText`
	status  = `document.getElementById("status").innerText`
	overlap = `document.documentElement.scrollWidth - document.documentElement.clientWidth`
)

// serve serves the page with a group on it, and returns its address.
func serve(t *testing.T, name string, group *singleflight.Group[string, int]) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/debug/flights", flightz.Handler())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	flightz.Register(name, group)
	return server
}

var names atomic.Int32

// unused returns a name for a group: one can't be registered twice.
func unused(name string) string { return fmt.Sprint(name, " ", names.Add(1)) }

func TestAStuckFlightAgesAndDisappears(t *testing.T) {
	var g singleflight.Group[string, int]
	server := serve(t, unused("stuck"), &g)
	const key = `user:4711 <script>document.title = "owned"</script><img src=x onerror="document.title = 'owned'">`
	land := make(chan bool)
	for range 3 {
		g.DoChan(key, func() (int, error) { <-land; return 0, nil })
	}

	b := newTab(t)
	b.open(server.URL + "/debug/flights")
	if got := b.value(keys); got != key {
		t.Errorf("the page shows the key %q", got)
	}
	if got := b.value(`document.querySelector("td.callers").innerText`); got != "3" {
		t.Errorf("the page shows %s callers", got)
	}
	b.value(`window.opened = "once"`)
	first := b.value(oldest)
	second := b.until("the flight ages", oldest, func(age string) bool { return age != first })
	b.until("the flight ages on", oldest, func(age string) bool { return age != first && age != second })
	b.until("a flight of more than 5 s looks like one", `document.querySelector("td.age").className`, is("age slow"))
	if got := b.value("document.title"); got != "1 flight in the air" {
		t.Errorf("the title is %q", got)
	}
	if got := b.value(status); got != "live" {
		t.Errorf("the status is %q", got)
	}

	close(land)
	b.until("the flight disappears when it has landed", rows, is("0"))
	b.until("the title tells", "document.title", is("0 flights in the air"))
	if got := b.value("window.opened"); got != "once" {
		t.Error("the page was loaded again, rather than refreshed in place")
	}
}

func TestSelectionIsLeftAlone(t *testing.T) {
	var g singleflight.Group[string, int]
	server := serve(t, unused("selected"), &g)
	land := make(chan bool)
	g.DoChan("key", func() (int, error) { <-land; return 0, nil })
	b := newTab(t)
	b.open(server.URL + "/debug/flights")
	b.value(`getSelection().selectAllChildren(document.querySelector("td.key"))`)
	close(land)
	b.until("the page says that it waits", status, is("paused while text is selected"))
	if got := b.value("getSelection().toString().trim()"); got != "key" {
		t.Errorf("the selection is %q", got)
	}
	b.value("getSelection().removeAllRanges()")
	b.until("the page goes on", rows, is("0"))
	b.until("the page says so", status, is("live"))
}

func TestServerGoesAndComesBack(t *testing.T) {
	var g singleflight.Group[string, int]
	server := serve(t, unused("gone"), &g)
	var gone atomic.Bool
	handler := server.Config.Handler
	flaky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gone.Load() {
			panic(http.ErrAbortHandler)
		}
		handler.ServeHTTP(w, r)
	}))
	defer flaky.Close()
	b := newTab(t)
	b.open(flaky.URL + "/debug/flights")
	b.until("the page lives", status, is("live"))
	gone.Store(true)
	b.until("the page says that what it shows is old", status, func(s string) bool { return strings.HasPrefix(s, "no answer since ") })
	gone.Store(false)
	b.until("the page goes on", status, is("live"))
}

func TestWithoutScript(t *testing.T) {
	var g singleflight.Group[string, int]
	server := serve(t, unused("scriptless"), &g)
	land := make(chan bool)
	g.DoChan("key", func() (int, error) { <-land; return 0, nil })
	b := newTab(t)
	command(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open(server.URL + "/debug/flights")
	first := b.until("the flight is there", oldest, func(age string) bool { return age != "" && age != "undefined" })
	b.until("the flight ages", oldest, func(age string) bool { return age != first && age != "undefined" })
	close(land)
	b.until("the flight disappears", rows, is("0"))
}

func TestThousandsOfFlights(t *testing.T) {
	const n = 20_000
	var g singleflight.Group[string, int]
	server := serve(t, unused("burst"), &g)
	land := make(chan bool)
	for i := range n {
		g.DoChan(fmt.Sprint("key ", i), func() (int, error) { <-land; return 0, nil })
	}
	b := newTab(t)
	b.open(server.URL + "/debug/flights")
	if got := b.value(rows); got != "100" {
		t.Errorf("the page shows %s flights", got)
	}
	if got := b.value(`document.querySelector(".more").innerText`); got != "and 19,900 more, not as old" {
		t.Errorf("the page says %q", got)
	}
	first := b.value(oldest)
	b.until("the page refreshes", oldest, func(age string) bool { return age != first })
	close(land)
	b.until("the flights disappear", rows, is("0"))
}

// A still is a group as it might be found, with all that the page can show.
type still struct {
	stats   singleflight.Stats
	flights []found
}

// A found flight is as old as it says whenever somebody looks.
type found struct {
	key       string
	callers   int
	state     singleflight.FlightState
	forgotten bool
	age       time.Duration
}

// The stills are registered once, and empty when no test shows them.
var (
	register sync.Once
	shown    atomic.Bool
)

func (s still) Stats() singleflight.Stats {
	if !shown.Load() {
		return singleflight.Stats{}
	}
	return s.stats
}

func (s still) Flights() iter.Seq[singleflight.Flight[string]] {
	return func(yield func(singleflight.Flight[string]) bool) {
		if !shown.Load() {
			return
		}
		for _, f := range s.flights {
			if !yield(singleflight.Flight[string]{
				Key: f.key, Callers: f.callers, State: f.state, Forgotten: f.forgotten, Since: time.Now().Add(-f.age),
			}) {
				return
			}
		}
	}
}

// scene puts groups on the page for the screenshots.
func scene(t *testing.T) {
	register.Do(registerStills)
	shown.Store(true)
	t.Cleanup(func() { shown.Store(false) })
}

func registerStills() {
	flightz.Register("users", still{
		singleflight.Stats{
			Calls: 1_284_917, Flights: 91_204, Joined: 1_193_710, Detached: 3_918, Abandoned: 41, Dropped: 3, Panics: 2, InFlight: 6,
		},
		[]found{
			{"user:4711", 57, singleflight.Running, true, 194 * time.Second},
			{"user:42", 0, singleflight.Cancelled, false, 8300 * time.Millisecond},
			{"user:42", 3, singleflight.Waiting, false, 7900 * time.Millisecond},
			{"team:" + strings.Repeat("a-very-long-name/", 8) + "members", 12, singleflight.Running, false, 1200 * time.Millisecond},
			{"user:1812", 0, singleflight.Abandoned, false, 180 * time.Millisecond},
			{"user:4711", 2, singleflight.Running, false, 35 * time.Millisecond},
		},
	})
	flightz.RegisterFunc("sessions", still{
		singleflight.Stats{Calls: 48_210, Flights: 21_377, Joined: 26_833, Detached: 112, InFlight: 1},
		[]found{{"secret", 4, singleflight.Running, false, 90 * time.Millisecond}},
	}, func(string) string { return "(hidden)" })
	flightz.Register("thumbnails", new(singleflight.Group[string, int]))
}

func TestScreenshots(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/debug/flights", flightz.Handler())
	server := httptest.NewServer(mux)
	defer server.Close()
	scene(t)
	b := newTab(t)
	for _, screen := range []struct {
		name   string
		scheme string
		width  int64
		phone  bool
	}{
		{"flightz.png", "light", 960, false},
		{"flightz-dark.png", "dark", 960, false},
		{"flightz-phone.png", "light", 360, true},
	} {
		var device []chromedp.EmulateViewportOption
		if screen.phone {
			device = append(device, chromedp.EmulateMobile, chromedp.EmulateTouch)
		}
		run(b, chromedp.EmulateViewport(screen.width, 640, device...))
		b.scheme(screen.scheme)
		b.open(server.URL + "/debug/flights")
		if got := b.value(overlap); got != "0" {
			t.Errorf("%s: the page is %s pixels too wide", screen.name, got)
		}
		b.until("the page has room for all keys", `Math.max(...Array.from(document.querySelectorAll("td"), e => e.getBoundingClientRect().right)) <= innerWidth`, is("true"))
		b.until("text can be read", `Math.min(...Array.from(document.querySelectorAll("th, td, dt, dd"), e => parseFloat(getComputedStyle(e).fontSize))) >= 12`, is("true"))
		text := run(b, chromedp.FullScreenshot(100))
		picture, err := png.Decode(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if dark := brightness(picture) < 0.3; dark != (screen.scheme == "dark") {
			t.Errorf("%s: the corner has brightness %.2f", screen.name, brightness(picture))
		}
		if width := int64(picture.Bounds().Dx()); width != screen.width {
			t.Errorf("%s: it has %d pixels across", screen.name, width)
		}
		folder := t.ArtifactDir()
		if *screenshots != "" && !screen.phone {
			folder = *screenshots
		}
		if err := os.WriteFile(filepath.Join(folder, screen.name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// brightness returns that of a picture's corner, 0 to 1.
func brightness(picture image.Image) float64 {
	corner := color.GrayModel.Convert(picture.At(picture.Bounds().Min.X+2, picture.Bounds().Min.Y+2)).(color.Gray)
	return float64(corner.Y) / 255
}
