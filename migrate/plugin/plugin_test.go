package plugin_test

import (
	"testing"

	"github.com/golangci/plugin-module-register/register"

	_ "github.com/seed-737f55c4/singleflight/migrate/plugin"
)

func TestPlugin(t *testing.T) {
	newPlugin, err := register.GetPlugin("singleflight")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		settings any
		want     []string
	}{
		{nil, []string{"singleflightlint"}},
		{map[string]any{"steps": []string{"types", "context"}}, []string{"singleflighttypes", "singleflightcontext"}},
	} {
		p, err := newPlugin(test.settings)
		if err != nil {
			t.Fatal(err)
		}
		analyzers, err := p.BuildAnalyzers()
		if err != nil || len(analyzers) != len(test.want) {
			t.Fatalf("got %v, %v", analyzers, err)
		}
		for i, a := range analyzers {
			if a.Name != test.want[i] {
				t.Errorf("got %s, want %s", a.Name, test.want[i])
			}
		}
		if p.GetLoadMode() != register.LoadModeTypesInfo {
			t.Errorf("the analyzers need types, got %s", p.GetLoadMode())
		}
	}
	for _, settings := range []any{map[string]any{"steps": []string{"x"}}, map[string]any{"unknown": 1}} {
		if _, err := newPlugin(settings); err == nil {
			t.Errorf("%v: no error", settings)
		}
	}
}
