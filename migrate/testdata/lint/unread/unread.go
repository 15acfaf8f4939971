package unread

import (
	"log"

	"golang.org/x/sync/singleflight"
)

var x singleflight.Group

func refresh() (any, error) { return nil, nil }

func unread() {
	x.DoChan("", refresh)                                      // want `nobody reads the channel: an error of the function is lost, and a panic in it ends the process \(unread\)`
	_ = x.DoChan("", func() (any, error) { return refresh() }) // want `nobody reads the channel`
}

// Nothing to report.

func fine() {
	<-x.DoChan("", refresh)
	ch := x.DoChan("", refresh)
	<-ch
	x.DoChan("", func() (any, error) {
		defer func() {
			if p := recover(); p != nil {
				log.Print(p)
			}
		}()
		return refresh()
	})
	fn := func() (any, error) {
		defer logPanic()
		return refresh()
	}
	x.DoChan("", fn)
}

func logPanic() { recover() }
