package main

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Options and rounds, as in benches/rounds.rs.

type options struct {
	test    bool
	million bool
	sync    bool
	rounds  int
	filters []string
}

func parseOptions() options {
	var o options
	flag.BoolVar(&o.test, "test", false, "only whether it works: one round, 1,000 objects")
	flag.BoolVar(&o.million, "million", false, "also 1,000,000 objects")
	flag.BoolVar(&o.sync, "sync", false, "be a peer of benches/sync")
	flag.IntVar(&o.rounds, "rounds", 15, "the number of rounds")
	flag.Parse()
	o.filters = flag.Args()
	if o.test {
		o.rounds = 1
	}
	return o
}

func (o options) sizes() []int {
	switch {
	case o.test:
		return []int{1_000}
	case o.million:
		return []int{1_000, 10_000, 100_000, 1_000_000}
	default:
		return []int{1_000, 10_000, 100_000}
	}
}

func (o options) wants(id string) bool {
	return len(o.filters) == 0 || slices.ContainsFunc(o.filters, func(f string) bool { return strings.Contains(id, f) })
}

// A figure by name. The first of a sample is the one that ratios are made of.
type figure struct {
	name  string
	value float64
}

type measurement struct {
	id  string
	run func() []figure
}

// measure runs all that are wanted in turn, in many rounds, and prints a line of JSON for each.
func (o options) measure(all []measurement) {
	all = slices.DeleteFunc(all, func(m measurement) bool { return !o.wants(m.id) })
	samples := make([][][]figure, len(all))
	warmUp := 1
	if o.test {
		warmUp = 0
	}
	for round := range o.rounds + warmUp {
		for turn := range all {
			at := turn
			if round%2 == 1 {
				at = len(all) - 1 - turn
			}
			sample := all[at].run()
			if round >= warmUp {
				samples[at] = append(samples[at], sample)
			}
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	for at, m := range all {
		line := map[string]any{"id": m.id}
		for i, f := range samples[at][0] {
			values := make([]float64, len(samples[at]))
			for round, sample := range samples[at] {
				values[round] = sample[i].value
			}
			if i == 0 {
				line["rounds"] = slices.Clone(values)
			}
			slices.Sort(values)
			line[f.name] = values[len(values)/2]
		}
		if err := encoder.Encode(line); err != nil {
			panic(err)
		}
	}
}

// A clock measures CPU time of the process, with that of the garbage collector, and time.
type clock struct {
	cpu   time.Duration
	began time.Time
}

// startClock collects what was there before.
func startClock() clock {
	runtime.GC()
	return clock{cpuTime(), time.Now()}
}

// per returns the nanoseconds for each of count.
func (c clock) per(count int) []figure {
	cpu, took := cpuTime()-c.cpu, time.Since(c.began)
	return []figure{
		{"ns", float64(cpu.Nanoseconds()) / float64(count)},
		{"wall_ns", float64(took.Nanoseconds()) / float64(count)},
	}
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(math.Min(float64(len(sorted)-1), q*float64(len(sorted))))]
}
