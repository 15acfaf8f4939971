package httpflight

import (
	"iter"
	"strings"
)

// members yields the members of a field that is a list of tokens: what is
// between the commas of all its values, trimmed, without empty ones.
func members(values []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, value := range values {
			for member := range strings.SplitSeq(value, ",") {
				if member = strings.Trim(member, " \t"); member != "" && !yield(member) {
					return
				}
			}
		}
	}
}

// mentions reports whether a word, given in lower case, occurs anywhere in the
// values, in any case and whatever is around it.
func mentions(values []string, word string) bool {
	for _, value := range values {
		for i := 0; i+len(word) <= len(value); i++ {
			if strings.EqualFold(value[i:i+len(word)], word) {
				return true
			}
		}
	}
	return false
}

// A directive is a member of Cache-Control or a field like it. Its name is in
// lower case, and its value without quotes.
type directive struct {
	name, value string
}

// directives reads the directives of all values of a field (RFC 9111, section
// 5.2: lists of token [ "=" ( token / quoted-string ) ]). It reports false if
// one of them is malformed.
func directives(values []string) (list []directive, ok bool) {
	for _, rest := range values {
		for rest != "" {
			rest = strings.TrimLeft(rest, " \t,")
			if rest == "" {
				break
			}
			var d directive
			d.name, rest = token(rest)
			if d.name == "" {
				return nil, false
			}
			d.name = strings.ToLower(d.name)
			if argument, has := strings.CutPrefix(rest, "="); has {
				if strings.HasPrefix(argument, `"`) {
					d.value, rest, ok = quoted(argument)
				} else {
					d.value, rest = token(argument)
					ok = d.value != ""
				}
				if !ok {
					return nil, false
				}
			}
			rest = strings.TrimLeft(rest, " \t")
			if rest != "" && rest[0] != ',' {
				return nil, false
			}
			list = append(list, d)
		}
	}
	return list, true
}

// token cuts a token off the beginning of s.
func token(s string) (token, rest string) {
	n := 0
	for n < len(s) && isTokenByte(s[n]) {
		n++
	}
	return s[:n], s[n:]
}

func isToken(s string) bool {
	_, rest := token(s)
	return s != "" && rest == ""
}

func isTokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// quoted cuts a quoted string off the beginning of s, which starts with a quote.
func quoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\':
			if i++; i == len(s) {
				return "", "", false
			}
			b.WriteByte(s[i])
		case c < ' ' && c != '\t' || c == 0x7f:
			return "", "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// seconds reads a number of seconds. One that is too large for any use is a
// large one.
func seconds(s string) (n int64, ok bool) {
	const most = 1 << 31
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), most)
	}
	return n, s != ""
}
