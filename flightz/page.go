package flightz

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// Handler returns the page. It answers GET and HEAD.
//
// Of each group it shows the counters, the dedup ratio, which is Joined /
// Calls, and up to a hundred flights in the air, longest known first: what is
// stuck is at the top. It says how many more there are. An age is counted from
// [singleflight.Flight].Since, so a flight that runs on its leader's goroutine
// is at least that old, and may be older. A look takes memory for what is shown,
// and holds up calls no longer than [singleflight.Group.Flights] does. Keys are
// shortened to a hundred characters, and quoted as Go does if they hold what
// can't be seen, as the names of groups are. The page asks for itself again
// every second; it loads nothing from elsewhere.
//
// With ?format=json the answer is this object, with the same flights and keys;
// the names are as they were registered. Times are in RFC 3339, ages in seconds,
// and the dedup ratio of a group without calls is 0:
//
//	{
//	  "time": "2026-01-02T15:04:05.678Z",
//	  "groups": [{
//	    "name": "users",
//	    "stats": {"calls": 12, "flights": 2, "joined": 10, "detached": 1,
//	      "abandoned": 0, "dropped": 0, "panics": 0, "inFlight": 1},
//	    "dedupRatio": 0.8333333333333334,
//	    "flights": [{"key": "42", "callers": 6, "state": "Running",
//	      "forgotten": false, "since": "2026-01-02T15:04:02.178Z", "age": 3.5}],
//	    "more": 0
//	  }]
//	}
func Handler() http.Handler { return &registered }

// ServeHTTP answers with the page or its JSON.
func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "flights are looked at with GET", http.StatusMethodNotAllowed)
		return
	}
	var body bytes.Buffer
	var kind string
	var err error
	switch format := req.URL.Query().Get("format"); format {
	case "", "html":
		kind, err = "text/html; charset=utf-8", page.Execute(&body, r.look())
	case "json":
		kind = "application/json"
		encoder := json.NewEncoder(&body)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(r.look())
	default:
		http.Error(w, fmt.Sprintf("no such format: %q; there are html and json", format), http.StatusBadRequest)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(body.Bytes())
}

// policy lets the page's own style and script work, and nothing else: should a
// key ever get out of its place, it does nothing.
var policy = "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; style-src " +
	source(pageCSS) + "; script-src " + source(pageJS)

// source names a text in a policy.
func source(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"css":      func() template.CSS { return template.CSS(pageCSS) },
	"js":       func() template.JS { return template.JS(pageJS) },
	"number":   number,
	"percent":  percent,
	"age":      age,
	"urgency":  urgency,
	"inFlight": inFlight,
	"lower":    strings.ToLower,
	"legible":  legible,
}).Parse(pageHTML))

// number writes a counter with its thousands apart.
func number(n any) string {
	digits := fmt.Sprint(n)
	var parts []string
	for len(digits) > 3 {
		parts = append([]string{digits[len(digits)-3:]}, parts...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, parts...), ",")
}

// percent writes a ratio. Only all is 100 %, and only none is 0 %.
func percent(ratio float64) string {
	switch {
	case ratio > 0.999 && ratio < 1:
		return "> 99.9 %"
	case ratio > 0 && ratio < 0.001:
		return "< 0.1 %"
	}
	return fmt.Sprintf("%.1f %%", 100*ratio)
}

// age writes seconds in as much detail as anybody wants.
func age(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d d %02d h", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// urgency is how the age of a flight looks.
func urgency(seconds float64) string {
	switch {
	case seconds >= 60:
		return "stuck"
	case seconds >= 5:
		return "slow"
	default:
		return "young"
	}
}

// inFlight says how many flights are in the air in all.
func inFlight(v view) string {
	n := 0
	for _, g := range v.Groups {
		n += len(g.Flights) + g.More
	}
	if n == 1 {
		return "1 flight in the air"
	}
	return number(n) + " flights in the air"
}
