// Package httpflight merges identical HTTP requests that are under way at the
// same time: the first one is forwarded, and the others get its response while
// it comes. It is for servers, as a [Handler], and for clients and gateways, as
// a [Transport]. It stores nothing: when a response has ended, the next request
// is forwarded again.
//
// # What it can't see
//
// Requests are compared by their method, target and fields, and nothing else.
// If the answer depends on something else, requests that look the same may
// get one that is meant for another. Then give a Key that has it, or put this
// package elsewhere:
//
//   - The context: values that a middleware outside of a Handler has put there
//     (a user, a session, a language), the PathValues and the Form that it has
//     set. Put the Handler outside of what sets them.
//   - Who is at the other end: RemoteAddr and what is looked up by it, the
//     listener, what is bound to the connection (NTLM, http.Server.ConnContext).
//   - The protocol's version.
//   - Below a Transport: a RoundTripper that signs requests, or adds credentials
//     that it takes from the context. Put the Transport below it.
//
// # Which requests are merged
//
// GET and HEAD without a body and without credentials: see [Eligible]. They are
// the same if everything in them is, but for a few fields that name the
// request: see [Identical]. So a credential in a field that nobody has heard of
// merges only with itself. All other requests go on as if the package weren't
// there, with their own ResponseWriter, so that hijacking and upgrades work.
//
// While a request with another method than GET, HEAD, OPTIONS or TRACE is under
// way, those with its target run alone, and one that comes after it joins
// nothing that began before.
//
// # Which responses are shared
//
// Those that a shared cache might store (RFC 9111), by the header as each
// request would get it. Not shared are:
//
//   - a status below 200, 206, 304, 401, 403, 407, 408, 416, 421, 425, 428, 429,
//     431, 511 and above 599; 302, 303 and 307 unless fresh or public;
//   - Set-Cookie, Authorization, WWW-Authenticate and other fields that are meant
//     for one client, also as trailers that are announced;
//   - Cache-Control, and fields like it, with private, no-store or no-cache
//     anywhere, or malformed; Pragma: no-cache; what is stale by max-age,
//     s-maxage, Expires or X-Accel-Expires;
//   - Vary: *, or with a field in which the requests differ;
//   - text/event-stream, multipart/x-mixed-replace, and bodies that say they are
//     longer than [Options].MaxBuffer;
//   - what [Options].Forbid forbids.
//
// This is decided when the header is there and before any of it is handed out.
// If it is no, the response is the first request's alone, the others run alone,
// all at once, and so do the next ones for a while.
//
// # Time
//
// A request joins another until that one's header is there. If the response is
// fresh by its own words (max-age or s-maxage, less Age), it is joined as long as
// its body is on its way. Each gets the body at its own pace, and a client that
// leaves doesn't disturb the others. When all have left, the forwarded request
// is cancelled.
//
// A request to a server whose context ends before the header is there is
// answered with 503 and no-store (if its client has gone, that goes nowhere).
// After the header its connection is aborted, as it is when a handler panics or
// a body is cut: a short body never looks whole.
package httpflight
