package httpflight

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// header makes a header of lines, whose names stay as they are.
func header(lines ...string) http.Header {
	h := make(http.Header)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h[name] = append(h[name], value)
	}
	return h
}

func judged(status int, lines ...string) verdict {
	return judge(newRequest("GET", "/"), status, header(lines...), nil, 1<<20)
}

// Responses that must not be shared.
func TestNotShared(t *testing.T) {
	for _, status := range []int{101, 199, 206, 302, 303, 304, 307, 401, 403, 407, 408, 416, 421, 425, 428, 429, 431, 511, 600, 999} {
		if judged(status).share {
			t.Errorf("status %d is shared", status)
		}
	}
	for _, status := range []int{206, 401, 429} {
		if judged(status, "Cache-Control: public, max-age=60").share {
			t.Errorf("status %d is shared if public", status)
		}
	}
	for _, lines := range [][]string{
		{"Set-Cookie: a=b"}, {"set-cookie: a=b"}, {"SET-COOKIE: a=b"}, {"Set-Cookie2: a=b"},
		{"Authorization: Bearer x"}, {"Www-Authenticate: Basic"}, {"WWW-Authenticate: Basic"}, {"Proxy-Authenticate: Basic"},
		{"Authentication-Info: x"}, {"Proxy-Authentication-Info: x"}, {"Clear-Site-Data: *"},
		{"DPoP-Nonce: x"}, {"Replay-Nonce: x"},
		{"Trailer: X-Sum, Set-Cookie"}, {"trailer: set-cookie"},
		{"Cache-Control: private"}, {"Cache-Control: PRIVATE"}, {"Cache-Control: private=\"x\""}, {"Cache-Control: public, no-store"},
		{"Cache-Control: public", "Cache-Control: no-store"}, {"Cache-Control: no-cache"}, {"Cache-Control: no-cache=\"Set-Cookie\""},
		{"cache-control: no-store"}, {"Cache-Control: private; max-age=0"}, {"Cache-Control: no-store no-cache"},
		{"Cache-Control: \"private\""}, {"Cache-Control: x=\"y, private"}, {"Cache-Control: ext=\"a,no-store\""},
		{"CDN-Cache-Control: no-store"}, {"Cloudflare-CDN-Cache-Control: no-store"}, {"Surrogate-Control: no-store"}, {"Edge-Control: no-store"},
		{"Cache-Control: max-age=60", "CDN-Cache-Control: max-age=0"},
		{"Pragma: no-cache"}, {"pragma: No-Cache"},
		{"X-Accel-Expires: 0"}, {"X-Accel-Expires: -1"}, {"X-Accel-Expires: @1"}, {"X-Accel-Expires: off"},
		{"Cache-Control: max-age=0"}, {"Cache-Control: max-age=0, must-revalidate"}, {"Cache-Control: max-age=0, max-age=600"},
		{"Cache-Control: max-age=600, max-age=0"}, {"Cache-Control: s-maxage=0, max-age=600"}, {"Cache-Control: max-age=-1"},
		{"Cache-Control: max-age=x"}, {"Cache-Control: max-age"}, {"Cache-Control: max-age=1.5"}, {"Cache-Control: max-age=60; public"},
		{"Cache-Control: max-age=60", "Age: 60"}, {"Cache-Control: max-age=60", "Age: x"}, {"Cache-Control: max-age=60", "age: 61"},
		{"Cache-Control: max-age=600", "cache-control: max-age=0"},
		{"Expires: 0"}, {"Expires: -1"}, {"Expires: Thu, 01 Jan 1970 00:00:00 GMT"}, {"Expires: "},
		{"Expires: Sat, 01 Jan 2050 00:00:00 GMT", "Expires: 0"},
		{"Expires: Sat, 01 Jan 2050 00:00:00 GMT", "Date: Sat, 01 Jan 2050 00:00:00 GMT"}, {"Expires: Sat, 01 Jan 2050 00:00:00 GMT", "Date: x"},
		{"Vary: *"}, {"Vary: Accept, *"}, {"Vary: Accept *"}, {"vary: *"}, {"Vary: Accept-Language, Ünknown"},
		{"Content-Type: text/event-stream"}, {"Content-Type: Text/Event-Stream; charset=utf-8"}, {"Content-Type: multipart/x-mixed-replace; boundary=x"},
		{"Content-Length: 1048577"}, {"Content-Length: x"}, {"Content-Length: 99999999999999999999"},
	} {
		if judged(200, lines...).share {
			t.Errorf("shared: %q", lines)
		}
	}
}

// Responses that are shared, and how fresh they are.
func TestShared(t *testing.T) {
	for _, c := range []struct {
		status int
		lines  []string
		fresh  time.Duration
		public bool
	}{
		{200, nil, 0, false},
		{404, nil, 0, false},
		{410, nil, 0, false},
		{500, nil, 0, false},
		{503, []string{"Retry-After: 1"}, 0, false},
		{301, []string{"Location: /x"}, 0, false},
		{302, []string{"Cache-Control: max-age=60"}, time.Minute, false},
		{307, []string{"Cache-Control: public"}, 0, true},
		{200, []string{"Cache-Control: max-age=60", "Age: 20"}, 40 * time.Second, false},
		{200, []string{"Cache-Control: max-age=60", "Age: 20", "age: 30"}, 30 * time.Second, false},
		{200, []string{"Cache-Control: max-age=0, s-maxage=60"}, time.Minute, false},
		{200, []string{"Cache-Control: MAX-AGE=\"60\", Public"}, time.Minute, true},
		{200, []string{"Cache-Control: max-age=60, max-age=30"}, 30 * time.Second, false},
		{200, []string{"Cache-Control: public", "CDN-Cache-Control: max-age=60"}, 0, true},
		{200, []string{"Cache-Control: x-max-age=60, ,"}, 0, false},
		{200, []string{"Cache-Control: public=x"}, 0, false},
		{200, []string{"Expires: Sat, 01 Jan 2050 00:00:00 GMT"}, 0, false},
		{200, []string{"Expires: 0", "Cache-Control: max-age=5"}, 5 * time.Second, false},
		{200, []string{"X-Accel-Expires: 5", "Vary: Accept", "Content-Length: 1048576", "Trailer: X-Sum", "ETag: \"x\""}, 0, false},
	} {
		v := judged(c.status, c.lines...)
		if !v.share || v.fresh != c.fresh || v.public != c.public {
			t.Errorf("%d %q: %+v", c.status, c.lines, v)
		}
		if explicit := !Implicit(newRequest("GET", "/"), c.status, header(c.lines...)); explicit != (c.fresh > 0 || c.public) {
			t.Errorf("%d %q: explicit is %v", c.status, c.lines, explicit)
		}
	}
	if v := judged(200, "Vary: accept, X-A", "vary: origin"); !slices.Equal(slices.Sorted(slices.Values(v.vary)), []string{"Accept", "Origin", "X-A"}) {
		t.Errorf("Vary is %q", v.vary)
	}
	if v := judge(newRequest("HEAD", "/"), 200, header("Content-Length: 99999999"), nil, 1<<20); !v.share {
		t.Error("a long response to HEAD has no body")
	}
	if v := judge(newRequest("GET", "/"), 200, nil, header("Set-Cookie: "), 1<<20); v.share {
		t.Error("shared with a cookie announced as trailer")
	}
}

// A strict reader of Cache-Control, by the grammar and nothing else: it answers
// whether a shared cache may use the response for another request at once, as
// far as this field says.
func strictlyShareable(values []string) bool {
	maxAge, sMaxAge := "", ""
	for _, value := range values {
		for value != "" {
			var member string
			member, value = cutMember(value)
			name, argument, _ := strings.Cut(strings.Trim(member, " \t"), "=")
			argument = strings.Trim(argument, `"`)
			switch strings.ToLower(name) {
			case "private", "no-store", "no-cache":
				return false
			case "max-age":
				maxAge = smallest(maxAge, argument)
			case "s-maxage":
				sMaxAge = smallest(sMaxAge, argument)
			}
		}
	}
	if sMaxAge != "" {
		maxAge = sMaxAge
	}
	return maxAge != "0"
}

// cutMember cuts what is before the first comma that isn't in quotes.
func cutMember(s string) (member, rest string) {
	quoted, escaped := false, false
	for i, c := range []byte(s) {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// smallest returns the smaller number, "0" for what is none.
func smallest(a, b string) string {
	n, err := strconv.ParseUint(b, 10, 32)
	if err != nil && !strings.HasSuffix(err.Error(), "out of range") {
		return "0"
	}
	if m, err := strconv.ParseUint(a, 10, 32); a != "" && err == nil && m <= n {
		return a
	}
	return strconv.FormatUint(n, 10)
}

// The package never calls a response shareable that the strict reader doesn't.
func FuzzDirectives(f *testing.F) {
	for _, seed := range []string{
		"", "private", "max-age=0", "max-age=60, s-maxage=0", `private="x"`, `ext="a,no-store"`, `ext="a\",private`, "MAX-AGE=00", "max-age=\"0\"",
		"max-age=1,max-age=0", ",,no-cache", "no-store no-cache", "public; private", "x=\"", "max-age", "max-age==0", "\tmax-age=0 \t",
	} {
		f.Add(seed, "")
		f.Add("public", seed)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		values := []string{first, second}
		h := http.Header{"Cache-Control": values}
		v := judge(newRequest("GET", "/"), 200, h, nil, 1<<20)
		if v.share && !strictlyShareable(values) {
			t.Errorf("shared: %q", values)
		}
		for _, word := range []string{"private", "no-store", "no-cache"} {
			if v.share && strings.Contains(strings.ToLower(first+"\n"+second), word) {
				t.Errorf("shared with %s: %q", word, values)
			}
		}
		if v.fresh < 0 || v.fresh > 0 && !v.share {
			t.Errorf("%q is fresh for %v", values, v.fresh)
		}
	})
}
