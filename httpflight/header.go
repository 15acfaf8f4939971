package httpflight

import (
	"net/http"
	"slices"
	"strings"
)

// An answer is what a handler said before its body, as it is applied to each
// request that shares it: what it changed of the header that it found.
type answer struct {
	status int
	found  http.Header // what a middleware outside had set for the leader
	header http.Header // what the handler made of it
}

// applyTo makes the handler's changes on a request's own header: a field that it
// set replaces, values that it added are added, one that it deleted is deleted,
// and one that it left alone stays. It reports false if it can't be known what
// the handler would have done with the request's own value.
func (a *answer) applyTo(own http.Header) bool {
	for name, values := range a.header {
		found, had := a.found[name]
		mine, have := own[name]
		switch {
		case had && slices.Equal(values, found):
		case had && len(found) > 0 && len(values) > len(found) && slices.Equal(values[:len(found)], found):
			own[name] = slices.Concat(mine, values[len(found):])
		case !had && have && !slices.Equal(mine, values):
			return false
		default:
			own[name] = slices.Clone(values)
		}
	}
	for name := range a.found {
		if _, kept := a.header[name]; !kept {
			delete(own, name)
		}
	}
	return true
}

// trailers returns what the handler's header has of trailers when it is done:
// those that it announced, and those with http.TrailerPrefix.
func trailers(h http.Header) (t http.Header) {
	set := func(name string, values []string) {
		if t == nil {
			t = make(http.Header)
		}
		t[name] = slices.Clone(values)
	}
	for announced := range members(h["Trailer"]) {
		name := http.CanonicalHeaderKey(announced)
		if values, ok := h[name]; ok {
			set(name, values)
		}
	}
	for name, values := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			set(name, values)
		}
	}
	return t
}

// addTrailers adds trailers to a header: without those that are meant for one
// client, if others gets them.
func addTrailers(h, trailers http.Header, others bool) {
	for name, values := range trailers {
		plain := http.CanonicalHeaderKey(strings.TrimPrefix(name, http.TrailerPrefix))
		if others && personal(plain) {
			delete(h, name)
			continue
		}
		h[name] = slices.Clone(values)
	}
}

// What Cache-Status (RFC 9211) says of a request.
const (
	statusMiss      = "; fwd=miss"
	statusCollapsed = "; fwd=miss; collapsed"
	statusRefused   = "; fwd=miss; collapsed=?0"
	statusBypass    = "; fwd=bypass"
)

// statusName returns a name as Cache-Status has it: a token, or in quotes.
func statusName(name string) string {
	if name == "" {
		return ""
	}
	plain := name[0] == '*' || 'a' <= name[0]|0x20 && name[0]|0x20 <= 'z'
	for i := range len(name) {
		plain = plain && (isTokenByte(name[i]) || name[i] == ':' || name[i] == '/')
	}
	if plain {
		return name
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// addStatus adds this merger's member to Cache-Status, after those of others.
func (m *merger) addStatus(h http.Header, status string) {
	if m.name != "" && h != nil {
		h.Add("Cache-Status", m.name+status)
	}
}
