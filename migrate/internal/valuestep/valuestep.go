package valuestep

import "github.com/seed-737f55c4/singleflight/migrate/internal/program"

type Options struct{ Exported bool }

func Run(p *program.Program, opts Options) []program.Finding { return nil }
