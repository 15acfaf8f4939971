package report

import "fmt"

// Judge fills in what the numbers show, and what they show that must not be: a dress that is held to what it promises let a
// patient client fail through another's hang-up, ran two queries for one key at once, or failed in another way.
func (r *Report) Judge() {
	r.Findings, r.Faults = []string{}, []string{}
	for i := range r.Dresses {
		if r.Dresses[i].Mine {
			r.Faults = append(r.Faults, r.Dresses[i].faults()...)
		}
	}
	if len(r.Dresses) < 2 {
		return
	}
	first, last := &r.Dresses[0], &r.Dresses[len(r.Dresses)-1]
	r.Findings = append(r.Findings, fmt.Sprintf("With %s: %s. With %s: %s.", first.Name, first.work(), last.Name, last.work()))
	victims := ""
	for i := range r.Dresses {
		if d := &r.Dresses[i]; d.PatientFailedByAnother > 0 {
			if victims != "" {
				victims += ", and "
			}
			victims += fmt.Sprintf("%s under %s", counted(d.PatientFailedByAnother, "patient request"), d.Name)
		}
	}
	if victims != "" {
		r.Findings = append(r.Findings, "Somebody else's hang-up failed "+victims+"; elsewhere it failed none.")
	} else {
		r.Findings = append(r.Findings, "Nobody's hang-up failed a patient request this time.")
	}
	for i := range r.Dresses {
		if d := &r.Dresses[i]; d.FailedOtherwise > 0 {
			r.Findings = append(r.Findings, fmt.Sprintf("With %s, %s failed in another way, one with: %s.",
				d.Name, counted(d.FailedOtherwise, "request"), d.FirstFailure))
		}
	}
}

func (d *Dress) work() string {
	crowd := "never two at once for one key"
	if d.MostForOneKey > 1 {
		crowd = fmt.Sprintf("up to %d of them at once for one key", d.MostForOneKey)
	}
	return fmt.Sprintf("%s for %s, %s", counted(d.Queries, "query"), counted(d.Answered, "answer"), crowd)
}

func (d *Dress) faults() []string {
	var faults []string
	if d.PatientFailedByAnother > 0 {
		faults = append(faults, fmt.Sprintf("%s: %s failed through somebody else's hang-up",
			d.Name, counted(d.PatientFailedByAnother, "patient request")))
	}
	if d.ImpatientFailedByAnother > 0 {
		faults = append(faults, fmt.Sprintf("%s: %s failed through somebody else's hang-up before hanging up",
			d.Name, counted(d.ImpatientFailedByAnother, "impatient request")))
	}
	if d.MostForOneKey > 1 {
		faults = append(faults, fmt.Sprintf("%s: %s for the one key %q ran at once",
			d.Name, counted(d.MostForOneKey, "query"), d.CrowdedKey))
	}
	if d.FailedOtherwise > 0 {
		faults = append(faults, fmt.Sprintf("%s: %s failed, one with: %s",
			d.Name, counted(d.FailedOtherwise, "request"), d.FirstFailure))
	}
	return faults
}

func counted(n int, thing string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case thing == "query":
		return fmt.Sprintf("%d queries", n)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
