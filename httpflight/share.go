package httpflight

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// A verdict says whether a response may be shared.
type verdict struct {
	share  bool
	fresh  time.Duration // how long it is fresh by its own words; 0: it doesn't say that it is
	public bool          // it says that it is public
	vary   []string      // canonical names of the fields that chose it
}

// judge decides by the header as it would be sent. trailer has the names of
// trailers that the header doesn't announce.
func judge(r *http.Request, status int, h http.Header, trailer http.Header, maxBuffer int64) (v verdict) {
	if !shareableStatus(status) {
		return v
	}
	for name := range trailer {
		if personal(name) {
			return v
		}
	}
	var expires, date []string
	control := controls{lifetime: -1}
	for name, values := range h {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case personal(canonical):
			return v
		case canonical == "Cache-Control" || canonical == "Surrogate-Control" || canonical == "Edge-Control" ||
			strings.HasSuffix(canonical, "-Cache-Control"):
			if !control.read(canonical, values) {
				return v
			}
		case canonical == "Pragma" && mentions(values, "no-cache"),
			canonical == "X-Accel-Expires" && !allPositive(values),
			canonical == "Content-Type" && (mentions(values, "text/event-stream") || mentions(values, "multipart/x-mixed-replace")),
			canonical == "Content-Length" && r.Method != http.MethodHead && tooLong(values, maxBuffer):
			return v
		case canonical == "Trailer":
			for member := range members(values) {
				if personal(http.CanonicalHeaderKey(member)) {
					return v
				}
			}
		case canonical == "Vary":
			for member := range members(values) {
				if member == "*" || !isToken(member) {
					return v
				}
				v.vary = append(v.vary, http.CanonicalHeaderKey(member))
			}
		case canonical == "Expires":
			expires = append(expires, values...)
		case canonical == "Date":
			date = append(date, values...)
		}
	}
	if control.lifetime < 0 && len(expires) > 0 && !after(expires, date) {
		return v
	}
	if control.lifetime > 0 {
		age, ok := ageOf(h)
		if !ok || age >= control.lifetime {
			return v
		}
		v.fresh = time.Duration(control.lifetime-age) * time.Second
	}
	v.public = control.public
	switch status {
	case http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect:
		v.share = v.fresh > 0 || v.public
	default:
		v.share = true
	}
	return v
}

// shareableStatus reports whether responses with a status concern everybody who
// asks the same. Redirects that are meant for once are judged further by judge.
func shareableStatus(status int) bool {
	switch status {
	case http.StatusPartialContent, http.StatusNotModified,
		http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired,
		http.StatusRequestTimeout, http.StatusRequestedRangeNotSatisfiable, http.StatusMisdirectedRequest,
		http.StatusTooEarly, http.StatusPreconditionRequired, http.StatusTooManyRequests,
		http.StatusRequestHeaderFieldsTooLarge, http.StatusNetworkAuthenticationRequired:
		return false
	}
	return status >= 200 && status <= 599
}

// personal reports whether a field, given by its canonical name, is meant for
// one client: credentials, and what is used once.
func personal(canonical string) bool {
	switch canonical {
	case "Set-Cookie", "Set-Cookie2", "Authorization",
		"Www-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Proxy-Authentication-Info",
		"Clear-Site-Data", "Dpop-Nonce", "Replay-Nonce":
		return true
	}
	return false
}

// controls sum up Cache-Control and the fields like it.
type controls struct {
	lifetime int64 // of Cache-Control, in seconds; -1: it doesn't say
	public   bool
}

// read reads one of the fields. It reports false if that forbids sharing, or
// says that the response is stale, or can't be read.
func (c *controls) read(name string, values []string) bool {
	if mentions(values, "private") || mentions(values, "no-store") || mentions(values, "no-cache") {
		return false
	}
	list, ok := directives(values)
	if !ok {
		return false
	}
	lifetime := int64(-1)
	for _, lasts := range [...]string{"max-age", "s-maxage"} { // the second goes before the first
		smallest := int64(-1)
		for _, d := range list {
			if d.name != lasts {
				continue
			}
			n, ok := seconds(d.value)
			if !ok {
				n = 0
			}
			if smallest < 0 || n < smallest {
				smallest = n
			}
		}
		if smallest >= 0 {
			lifetime = smallest
		}
	}
	if lifetime == 0 {
		return false
	}
	if name == "Cache-Control" {
		if c.lifetime < 0 || lifetime >= 0 && lifetime < c.lifetime { // in two spellings, perhaps
			c.lifetime = lifetime
		}
		c.public = c.public || slices.ContainsFunc(list, func(d directive) bool { return d == directive{name: "public"} })
	}
	return true
}

// allPositive reports whether all values are numbers of seconds above 0.
func allPositive(values []string) bool {
	return !slices.ContainsFunc(values, func(value string) bool {
		n, ok := seconds(strings.TrimSpace(value))
		return !ok || n == 0
	})
}

// tooLong reports whether a declared length is above the limit, or none.
func tooLong(values []string, limit int64) bool {
	return slices.ContainsFunc(values, func(value string) bool {
		n, ok := length(value)
		return !ok || n > limit
	})
}

// length reads the value of Content-Length.
func length(value string) (n int64, ok bool) {
	value = strings.TrimSpace(value)
	const most = 1 << 62
	for i := range len(value) {
		if value[i] < '0' || value[i] > '9' {
			return 0, false
		}
		if n > most/10-1 {
			return most, true
		}
		n = n*10 + int64(value[i]-'0')
	}
	return n, value != ""
}

// after reports whether all that the response says about when it expires is
// after its date, which is now if it has none.
func after(expires, date []string) bool {
	from := time.Now()
	if len(date) > 0 {
		parsed, err := http.ParseTime(date[0])
		if err != nil || len(date) > 1 {
			return false
		}
		from = parsed
	}
	return !slices.ContainsFunc(expires, func(value string) bool {
		at, err := http.ParseTime(value)
		return err != nil || !at.After(from)
	})
}

// ageOf returns the greatest age in seconds that a header tells, 0 if it tells
// none. It reports false if it can't be read.
func ageOf(h http.Header) (greatest int64, ok bool) {
	for _, value := range fieldOf(h, "", "Age") {
		age, ok := seconds(strings.TrimSpace(value))
		if !ok {
			return 0, false
		}
		greatest = max(greatest, age)
	}
	return greatest, true
}

// Implicit is a Forbid for [Options]: it forbids to share what doesn't itself
// say that it is fresh (s-maxage, or else max-age, less Age) or public.
func Implicit(r *http.Request, status int, header http.Header) bool {
	v := judge(r, status, header, nil, 1<<62)
	return !v.share || v.fresh == 0 && !v.public
}
