// Package browsertest looks at the page of package flightz in Chromium, as a
// person would. It is a module of its own, so that the library doesn't depend
// on what drives the browser.
//
// The tests need Chromium (on Debian apt-get install chromium) and fail
// without it; the environment variable CHROMIUM names one that isn't found by
// its usual names. To take the screenshots of the documentation again:
//
//	go test -run TestScreenshots -screenshots ../../docs
package browsertest
