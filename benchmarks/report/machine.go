package main

import (
	"runtime"
	"runtime/debug"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/mem"
)

// machine is where the figures come from. What the system doesn't tell is
// empty.
type machine struct {
	Processor  string
	Processors int
	Memory     uint64 // bytes
	System     string
	Go         string
}

func thisMachine() machine {
	m := machine{
		Processors: runtime.NumCPU(),
		System:     runtime.GOOS + "/" + runtime.GOARCH,
		Go:         runtime.Version(),
	}
	if infos, err := cpu.Info(); err == nil && len(infos) > 0 {
		m.Processor = infos[0].ModelName
	}
	if memory, err := mem.VirtualMemory(); err == nil {
		m.Memory = memory.Total
	}
	return m
}

// versions returns the versions of the modules that this command is built from.
func versions() map[string]string {
	all := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			all[m.Path] = m.Version
		}
	}
	return all
}
