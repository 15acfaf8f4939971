package difftest

import "time"

// The encoding of scripts as bytes, for fuzzing. Every string of bytes decodes
// into a script. The first byte tells how many groups follow, a byte of options
// each; after them come the steps, three bytes each:
//
//	op and flags | caller, or kind of context, or seconds | ending, or leader
//
// The caller of a call isn't encoded: it is the next one.
const (
	opMask      = 0x0f
	groupFlag   = 0x10
	nilFuncFlag = 0x20
	keyFlag     = 0x40

	maxGroups = 2
	maxSteps  = 64
)

// Options as bits.
const (
	cancelAbandonedBit = 1 << iota
	recoverBit
	cloneBit
	flightTimeoutBit
)

// Encode returns bytes that Decode makes the script of, provided its callers are
// numbered in order, its keys are "a" and "b", and its time goes by in seconds.
func Encode(s Script) []byte {
	data := []byte{byte(len(s.Groups))}
	for _, o := range s.Groups {
		data = append(data, encodeOptions(o))
	}
	for _, step := range s.Steps {
		data = append(data, encodeStep(step)...)
	}
	return data
}

func encodeOptions(o Options) byte {
	var bits byte
	for bit, set := range map[byte]bool{
		cancelAbandonedBit: o.CancelAbandoned,
		recoverBit:         o.Recover,
		cloneBit:           o.Clone,
		flightTimeoutBit:   o.FlightTimeout != 0,
	} {
		if set {
			bits |= bit
		}
	}
	return bits
}

func decodeOptions(bits byte) Options {
	o := Options{
		CancelAbandoned: bits&cancelAbandonedBit != 0,
		Recover:         bits&recoverBit != 0,
		Clone:           bits&cloneBit != 0,
	}
	if bits&flightTimeoutBit != 0 {
		o.FlightTimeout = FlightTimeout
	}
	return o
}

func encodeStep(step Step) []byte {
	data := []byte{byte(step.Op), 0, 0}
	if step.Group == 1 {
		data[0] |= groupFlag
	}
	if step.NilFunc {
		data[0] |= nilFuncFlag
	}
	if step.Key == "b" {
		data[0] |= keyFlag
	}
	switch step.Op {
	case OpEnd:
		data[1], data[2] = byte(step.Caller), byte(step.Ending)
	case OpCancel:
		data[1] = byte(step.Caller)
	case OpSleep:
		data[1] = byte(step.Duration/time.Second) - 1
	default:
		data[1], data[2] = byte(step.Context.Kind), byte(step.Context.Flight)
	}
	return data
}

// Decode makes a script of any bytes. Its steps need not apply.
func Decode(data []byte) Script {
	var d decoder
	if len(data) > 0 {
		groups := min(int(data[0])%(maxGroups+1), len(data)-1)
		for _, bits := range data[1 : 1+groups] {
			d.script.Groups = append(d.script.Groups, decodeOptions(bits))
		}
		data = data[1+groups:]
	}
	for len(data) >= 3 && len(d.script.Steps) < maxSteps {
		d.step(data[0], data[1], data[2])
		data = data[3:]
	}
	return d.script
}

// A decoder is the state of Decode.
type decoder struct {
	script  Script
	callers int
}

func (d *decoder) step(flags, first, second byte) {
	step := Step{Op: Op(flags&opMask) % opCount}
	if flags&groupFlag != 0 && len(d.script.Groups) > 1 {
		step.Group = 1
	}
	switch {
	case step.Op.call() || step.Op == OpWait:
		step = d.call(step, flags, first, second)
	case d.callers == 0 && (step.Op == OpEnd || step.Op == OpCancel):
		return // there is nobody
	case step.Op == OpEnd:
		step = End(int(first)%d.callers, Ending(second)%endingCount)
	case step.Op == OpCancel:
		step = Cancel(int(first) % d.callers)
	case step.Op == OpSleep:
		step = Sleep(time.Duration(first%3+1) * time.Second)
	default:
		step.Key = decodeKey(flags)
	}
	d.script.Steps = append(d.script.Steps, step)
}

func (d *decoder) call(step Step, flags, first, second byte) Step {
	step.Caller = d.callers
	if step.Op.takesContext() {
		step.Context.Kind = ContextKind(first) % kindCount
	}
	if step.Context.derives() && d.callers > 0 {
		step.Context.Flight = int(second) % d.callers
	}
	d.callers++
	if step.Op != OpWait {
		step.Key = decodeKey(flags)
		step.NilFunc = flags&nilFuncFlag != 0
	}
	return step
}

func decodeKey(flags byte) string {
	if flags&keyFlag != 0 {
		return "b"
	}
	return "a"
}

// DecodeBoth makes a script of any bytes that x/sync can run: of other ops and
// endings it takes those of that number that x/sync has.
func DecodeBoth(data []byte) Script {
	s := Decode(data)
	both := Script{}
	for _, step := range s.Steps {
		step.Group, step.Context = 0, Context{}
		step.Ending %= WithReturnedErrGoexit
		switch {
		case step.Op == OpWait || step.Op == OpCancel || step.Op == OpSleep:
			continue
		case step.Op == OpForgetUnshared:
			step.Op = OpForget
		case step.Op.call():
			step.Op %= 2 // Do or DoChan
		}
		both.Steps = append(both.Steps, step)
	}
	return both
}
