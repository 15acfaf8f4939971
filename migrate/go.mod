module github.com/seed-737f55c4/singleflight/migrate

go 1.26.0

replace github.com/seed-737f55c4/singleflight => ..

require (
	github.com/golang/groupcache v0.0.0-20241129210726-2c02b8208cf8
	github.com/golangci/plugin-module-register v0.1.2
	github.com/seed-737f55c4/singleflight v0.0.0-00010101000000-000000000000
	golang.org/x/sync v0.24.0
	golang.org/x/tools v0.51.0
	resenje.org/singleflight v0.4.3
	tailscale.com v1.84.0
)

require golang.org/x/mod v0.42.0
