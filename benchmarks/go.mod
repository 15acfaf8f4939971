module github.com/seed-737f55c4/singleflight/benchmarks

go 1.26.5

replace github.com/seed-737f55c4/singleflight => ..

require (
	github.com/creachadair/msync v0.10.1
	github.com/seed-737f55c4/singleflight v0.0.0-00010101000000-000000000000
	golang.org/x/perf v0.0.0-20260908200009-22c9c6c9d4da
	golang.org/x/sync v0.24.0
	gonum.org/v1/gonum v0.16.0
	resenje.org/singleflight v0.4.3
	tailscale.com v1.98.10
)

require github.com/aclements/go-moremath v0.0.0-20210112150236-f10218a38794 // indirect
