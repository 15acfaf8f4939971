// Package plugin gives the analyzers of package migrate to golangci-lint, as a
// plugin of its module system. docs/migrating.md of the repository tells how to
// build a golangci-lint that has it.
package plugin

import (
	"fmt"

	"github.com/golangci/plugin-module-register/register"
	"golang.org/x/tools/go/analysis"

	"github.com/seed-737f55c4/singleflight/migrate"
)

func init() { register.Plugin("singleflight", New) }

// Settings are those of the plugin in golangci-lint's configuration. Without
// any, mistakes are looked for.
type Settings struct {
	Steps []string `json:"steps"` // of types, values, context, lint
}

// New returns the plugin. It fails if the settings name an unknown step.
func New(settings any) (register.LinterPlugin, error) {
	s, err := register.DecodeSettings[Settings](settings)
	if err != nil {
		return nil, err
	}
	if len(s.Steps) == 0 {
		s.Steps = []string{"lint"}
	}
	var p plugin
	for _, step := range s.Steps {
		a := map[string]*analysis.Analyzer{"types": migrate.Types, "values": migrate.Values, "context": migrate.Context, "lint": migrate.Lint}[step]
		if a == nil {
			return nil, fmt.Errorf("no step %q: there are types, values, context and lint", step)
		}
		p.analyzers = append(p.analyzers, a)
	}
	return p, nil
}

type plugin struct{ analyzers []*analysis.Analyzer }

func (p plugin) BuildAnalyzers() ([]*analysis.Analyzer, error) { return p.analyzers, nil }

func (plugin) GetLoadMode() string { return register.LoadModeTypesInfo }
