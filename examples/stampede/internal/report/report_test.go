package report_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/load"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/report"
)

// sound is a report with nothing wrong in it.
func sound() *report.Report {
	return &report.Report{Dresses: []report.Dress{
		{
			Name:    "bare",
			Count:   load.Count{Requests: 120, Answered: 100, HungUp: 9, PatientFailedByAnother: 7, ImpatientFailedByAnother: 4},
			Queries: 40, MostAtOnce: 30, MostForOneKey: 20,
			Latency: report.Latency{P50: new(1.25), P95: new(20.0), P99: new(1300.0)},
		},
		{
			Name: "ours", Mine: true,
			Count:   load.Count{Requests: 140, Answered: 130, HungUp: 10},
			Queries: 1, MostAtOnce: 1, MostForOneKey: 1,
		},
	}}
}

func TestTable(t *testing.T) {
	r := sound()
	r.Judge()
	var b bytes.Buffer
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	want := `
┌────────────────────────────────────────────┬───────────┬──────┐
│                                            │      bare │ ours │
├────────────────────────────────────────────┼───────────┼──────┤
│ requests                                   │       120 │  140 │
│ answered                                   │       100 │  130 │
│ hung up (impatient clients)                │         9 │   10 │
│ failed by somebody else's hang-up: patient │         7 │    0 │
│   and impatient, while they still waited   │         4 │    0 │
├────────────────────────────────────────────┼───────────┼──────┤
│ queries that reached the database          │        40 │    1 │
│   most at once                             │        30 │    1 │
│   most at once for one key                 │        20 │    1 │
├────────────────────────────────────────────┼───────────┼──────┤
│ answer to a patient client: p50            │    1.2 ms │    - │
│   p95                                      │   20.0 ms │    - │
│   p99                                      │ 1300.0 ms │    - │
└────────────────────────────────────────────┴───────────┴──────┘

With bare: 40 queries for 100 answers, up to 20 of them at once for one key. With ours: 1 query for 130 answers, never two at once for one key.
Somebody else's hang-up failed 7 patient requests under bare; elsewhere it failed none.
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("the text is%s\nwant%s", got, want)
	}
}

func TestTableShowsOtherFailuresWhereThereAreSome(t *testing.T) {
	r := sound()
	r.Dresses[0].FailedOtherwise, r.Dresses[0].FirstFailure = 3, "504 Gateway Timeout"
	r.Judge()
	var b bytes.Buffer
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "│ failed in another way") ||
		!strings.Contains(b.String(), "With bare, 3 requests failed in another way, one with: 504 Gateway Timeout.\n") {
		t.Errorf("the text is\n%s", b.String())
	}
}

func TestJSON(t *testing.T) {
	r := sound()
	r.Judge()
	var b bytes.Buffer
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Dresses []map[string]any
		Faults  []string
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"name": "bare", "requests": 120.0, "answered": 100.0, "hung_up": 9.0, "patient_failed_by_another": 7.0,
		"impatient_failed_by_another": 4.0, "queries": 40.0, "most_queries_at_once": 30.0,
		"most_queries_at_once_for_one_key": 20.0,
	} {
		if got.Dresses[0][name] != want {
			t.Errorf("%s is %v, want %v", name, got.Dresses[0][name], want)
		}
	}
	if latency := got.Dresses[1]["patient_latency_ms"].(map[string]any); latency["p50"] != nil {
		t.Errorf("the latency without answers is %v", latency)
	}
	if got.Faults == nil || len(got.Faults) != 0 {
		t.Errorf("faults are %v, want an empty list", got.Faults)
	}
}

func TestFaults(t *testing.T) {
	for _, test := range []struct {
		spoil func(*report.Dress)
		want  string
	}{
		{func(d *report.Dress) { d.PatientFailedByAnother = 1 }, "ours: 1 patient request failed through somebody else's hang-up"},
		{func(d *report.Dress) { d.ImpatientFailedByAnother = 2 },
			"ours: 2 impatient requests failed through somebody else's hang-up before hanging up"},
		{func(d *report.Dress) { d.MostForOneKey, d.CrowdedKey = 2, "name" }, `ours: 2 queries for the one key "name" ran at once`},
		{func(d *report.Dress) { d.FailedOtherwise, d.FirstFailure = 3, "504" }, "ours: 3 requests failed, one with: 504"},
	} {
		r := sound()
		test.spoil(&r.Dresses[1])
		r.Judge()
		if !slices.Equal(r.Faults, []string{test.want}) {
			t.Errorf("faults are %q, want %q", r.Faults, test.want)
		}
		// The other dresses promise nothing.
		r = sound()
		test.spoil(&r.Dresses[0])
		r.Judge()
		if len(r.Faults) != 0 {
			t.Errorf("faults of another dress: %q", r.Faults)
		}
	}
}

func TestFindingsFollowTheNumbers(t *testing.T) {
	r := sound()
	r.Dresses[0].PatientFailedByAnother = 0
	r.Dresses[1].MostForOneKey = 2
	r.Judge()
	want := []string{
		"With bare: 40 queries for 100 answers, up to 20 of them at once for one key. With ours: 1 query for 130 answers, up to 2 of them at once for one key.",
		"Nobody's hang-up failed a patient request this time.",
	}
	if !slices.Equal(r.Findings, want) {
		t.Errorf("findings are %q, want %q", r.Findings, want)
	}
}
