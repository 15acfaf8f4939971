package contextstep

import "github.com/seed-737f55c4/singleflight/migrate/internal/program"

func Run(p *program.Program) []program.Finding { return nil }
