package httpflight

import (
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
)

// mergeable reports whether the package may merge a request at all, whatever
// the options say: a GET or HEAD that announces no body, and whose field
// Connection names no field that whoever forwards the request would remove.
func mergeable(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != "" {
		return false
	}
	if len(r.TransferEncoding) > 0 {
		return false
	}
	for name, values := range r.Header {
		switch http.CanonicalHeaderKey(name) {
		case "Transfer-Encoding":
			return false
		case "Content-Length":
			if slices.ContainsFunc(values, func(v string) bool { return strings.TrimSpace(v) != "0" }) {
				return false
			}
		case "Connection", "Proxy-Connection":
			for member := range members(values) {
				if !strings.EqualFold(member, "close") && !strings.EqualFold(member, "keep-alive") {
					return false
				}
			}
		}
	}
	return true
}

// Eligible reports whether a request can be merged without knowing more about
// it: it carries no credentials (Authorization, Proxy-Authorization, Cookie,
// user information in the URL, a TLS client certificate), asks for nothing that
// depends on what its sender has (Range, If-*, Last-Event-ID), for no other
// protocol (Upgrade, Expect), and doesn't ask for an answer of its own
// (Cache-Control or Pragma with no-cache, or no-store). The case of field names
// doesn't matter.
func Eligible(r *http.Request) bool {
	if r.URL.User != nil || r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return false
	}
	for name, values := range r.Header {
		switch canonical := http.CanonicalHeaderKey(name); canonical {
		case "Authorization", "Proxy-Authorization", "Cookie", "Cookie2",
			"Range", "Upgrade", "Expect", "Last-Event-Id":
			return false
		case "Cache-Control", "Pragma":
			if mentions(values, "no-cache") || mentions(values, "no-store") {
				return false
			}
		default:
			if strings.HasPrefix(canonical, "If-") {
				return false
			}
		}
	}
	return true
}

// ignored are the fields that Identical leaves out: they name the request, or
// concern one hop.
var ignored = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true,
	"Traceparent": true, "Tracestate": true,
	"X-Request-Id": true, "X-Correlation-Id": true,
	"B3": true, "X-B3-Traceid": true, "X-B3-Spanid": true, "X-B3-Parentspanid": true, "X-B3-Sampled": true, "X-B3-Flags": true,
}

// Identical is the default key: all that was asked. Requests have one key if
// they have the same method, scheme, host, TLS server name, target as it was
// sent and as it is now, and the same fields with the same values, but for
// those that name the request or concern one hop: Connection,
// Proxy-Connection, Keep-Alive, Traceparent, Tracestate, X-Request-Id,
// X-Correlation-Id, B3 and X-B3-*. Even those count if a value is longer than
// 256 bytes or has other characters than letters, digits and -_.:=,;/+@, so
// that none of them can carry markup into somebody else's page.
//
// So the answer that a request gets may show the id of another request.
func Identical(r *http.Request) (key string, ok bool) {
	return identical(r, nil), true
}

// AllBut is [Identical] without the given fields. It is for what a load
// balancer adds and differs for each client: X-Forwarded-For, X-Real-Ip,
// Forwarded, Cf-Ray, X-Amzn-Trace-Id. What is named must not influence the
// answer; its value is trusted whatever it is.
func AllBut(fields ...string) func(r *http.Request) (key string, ok bool) {
	without := make(map[string]bool)
	for _, name := range fields {
		without[http.CanonicalHeaderKey(name)] = true
	}
	return func(r *http.Request) (string, bool) { return identical(r, without), true }
}

// KeyFields is a key of method, scheme, host, target and the given fields.
// Every other field is trusted not to change the answer, credentials in fields
// that the package doesn't know, such as X-Api-Key, too. [AllBut] is safer: it
// names what may differ.
func KeyFields(fields ...string) func(r *http.Request) (key string, ok bool) {
	names := make([]string, len(fields))
	for i, name := range fields {
		names[i] = http.CanonicalHeaderKey(name)
	}
	return func(r *http.Request) (string, bool) {
		key := appendTarget(nil, r)
		for _, name := range names {
			key = appendList(key, fieldOf(r.Header, hostOf(r), name))
		}
		return string(key), true
	}
}

func identical(r *http.Request, without map[string]bool) string {
	names := make([]string, 0, 24)
	size := 256
	for name, values := range r.Header {
		canonical := http.CanonicalHeaderKey(name)
		if without[canonical] || ignored[canonical] && !slices.ContainsFunc(values, suspicious) {
			continue
		}
		names = append(names, name)
		size += len(name) + 8
		for _, value := range values {
			size += len(value) + 2
		}
	}
	slices.Sort(names)
	key := appendTarget(make([]byte, 0, size), r)
	for _, name := range names {
		key = appendPart(key, name)
		key = appendList(key, r.Header[name])
	}
	return string(key)
}

// appendTarget appends what is asked for: as it was sent, which a handler may
// look at, and as it is now, which a transport sends.
func appendTarget(key []byte, r *http.Request) []byte {
	flags := byte('0')
	if r.TLS != nil {
		flags |= 1
	}
	if r.URL.ForceQuery {
		flags |= 2
	}
	key = append(key, flags)
	name := ""
	if r.TLS != nil {
		name = r.TLS.ServerName
	}
	for _, part := range [...]string{
		r.Method, r.Host, r.RequestURI, name,
		r.URL.Scheme, r.URL.Host, r.URL.Opaque, r.URL.Path, r.URL.RawPath, r.URL.RawQuery,
	} {
		key = appendPart(key, part)
	}
	return key
}

// appendPart appends a part with its length before it, so that parts can't run
// into one another.
func appendPart(key []byte, part string) []byte {
	key = binary.AppendUvarint(key, uint64(len(part)))
	return append(key, part...)
}

func appendList(key []byte, parts []string) []byte {
	key = binary.AppendUvarint(key, uint64(len(parts)))
	for _, part := range parts {
		key = appendPart(key, part)
	}
	return key
}

// suspicious reports whether a value could be more than an id.
func suspicious(value string) bool {
	if len(value) > 256 {
		return true
	}
	for i := range len(value) {
		switch c := value[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-_.:=,;/+@", c) >= 0:
		default:
			return true
		}
	}
	return false
}

// hostOf returns the host that a request asks for.
func hostOf(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return r.URL.Host
}

// fieldOf returns the values of a field, given by its canonical name: those of
// every spelling of it. Host is where net/http has it.
func fieldOf(h http.Header, host, name string) []string {
	if name == "Host" {
		return []string{host}
	}
	values := h[name]
	var others []string
	for spelling := range h {
		if spelling != name && http.CanonicalHeaderKey(spelling) == name {
			others = append(others, spelling)
		}
	}
	if len(others) == 0 {
		return values
	}
	slices.Sort(others)
	values = slices.Clone(values)
	for _, spelling := range others {
		values = append(values, h[spelling]...)
	}
	return values
}
