// Caches of Go on the objects, operations and ids of this crate's benchmarks: client-go, controller-runtime, statedb.
//
//	go run .                                   all; a line of JSON for each id
//	go run . write/2-index/100000/             those whose id has this in it
//	go run . -test                             does it work?
//
// "ns" is CPU time of the process for each operation, with what the garbage collector takes meanwhile; "wall_ns" is
// time.
package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

const slice = 4096

func main() {
	o := parseOptions()
	if o.sync {
		syncPeer()
		return
	}
	for _, n := range o.sizes() {
		o.measure(lookups(n))
		o.measure(writes(n, o.test))
		o.measure(relists(n))
	}
	subscribers := []int{1, 10, 1_000}
	if o.test {
		subscribers = subscribers[:2]
	}
	for _, count := range subscribers {
		o.measure(subscribes(count, o.test))
	}
}

// lazily makes a value when it is first asked for.
func lazily[T any](make func() T) func() T { return sync.OnceValue(make) }

// === lookup ===

type readable interface {
	get(namespace, name string) int
	index(provider string) int
}

type objectKey struct{ namespace, name string }

func lookups(n int) []measurement {
	keysOf := func(kind string) func() []objectKey {
		return lazily(func() []objectKey {
			var keys []objectKey
			for _, i := range shuffled(n) {
				namespace, name := key(i, kind)
				keys = append(keys, objectKey{namespace, name})
			}
			return keys
		})
	}
	keys, missing := keysOf("net"), keysOf("not")
	providers := lazily(func() []string {
		var all []string
		for _, group := range shuffled(n / hits) {
			all = append(all, providerOf(group))
		}
		return all
	})
	peers := []struct {
		name string
		fill func() readable
	}{
		{"client-go", lazily(func() readable { return newThreadSafe(newNads(n), 1) })},
		{"controller-runtime", lazily(func() readable { return newReader(newNads(n)) })},
		{"statedb", lazily(func() readable { return newTable(newNads(n), 1) })},
	}
	var all []measurement
	for _, peer := range peers {
		at := 0
		lookup := func(op string, keys func() []objectKey, expected int) {
			all = append(all, measurement{fmt.Sprintf("lookup/%s/%d/%s", op, n, peer.name), func() []figure {
				cache, keys, count := peer.fill(), keys(), 20_000
				clock, sum := startClock(), 0
				for range count {
					k := keys[at%len(keys)]
					read := cache.get(k.namespace, k.name)
					sum += read
					// The next key depends on what was read.
					at += 1 + (read-expected)*len(keys)
				}
				figures := clock.per(count)
				check(sum == count*expected, "look-ups")
				return figures
			}})
		}
		lookup("get_hit", keys, configSize)
		lookup("get_miss", missing, 0)
		all = append(all, measurement{fmt.Sprintf("lookup/index_hit_64/%d/%s", n, peer.name), func() []figure {
			cache, providers, count := peer.fill(), providers(), 1_000
			clock, sum := startClock(), 0
			for range count {
				sum += cache.index(providers[at%len(providers)])
				at++
			}
			figures := clock.per(count)
			check(sum == count*hits*configSize, "index hits")
			return figures
		}})
	}
	return all
}

// === write ===

type writable interface {
	update(nads []*Nad, batch int)
	get(namespace, name string) int
}

func writes(n int, test bool) []measurement {
	var all []measurement
	base := lazily(func() []*Nad { return newNads(n) })
	order := lazily(func() []int { return shuffled(n) })
	for _, count := range []int{0, 1, 2, 4} {
		peers := []struct {
			name string
			fill func() writable
		}{
			{"client-go", lazily(func() writable { return newThreadSafe(base(), count) })},
			{"statedb", lazily(func() writable { return newTable(base(), count) })},
		}
		for _, peer := range peers {
			updates, shifts := 0, make([]int, n)
			for _, batch := range []int{1, 256, 4096} {
				for _, moved := range []bool{false, true} {
					if batch > n || moved && count == 0 {
						continue
					}
					name := fmt.Sprintf("%d-index", count)
					if moved {
						name += "-moved"
					}
					if batch > 1 {
						name += fmt.Sprintf("-%d", batch)
					}
					all = append(all, measurement{fmt.Sprintf("write/%s/%d/%s", name, n, peer.name), func() []figure {
						cache, count := peer.fill(), slice
						if test {
							count = 256
						}
						nads := make([]*Nad, count)
						for at := range nads {
							i := order()[updates%n]
							updates++
							if moved {
								shifts[i]++
							}
							nads[at] = base()[i].deepCopy()
							nads[at].setVersion(1 + updates)
							nads[at].setShift(i, n, shifts[i])
						}
						clock := startClock()
						cache.update(nads, batch)
						return clock.per(count)
					}})
				}
			}
		}
	}
	return all
}

// === relist ===

type replaceable interface {
	replace(nads []*Nad)
	get(namespace, name string) int
}

func relists(n int) []measurement {
	var all []measurement
	peers := []struct {
		name string
		fill func() replaceable
	}{
		{"client-go", lazily(func() replaceable { return newThreadSafe(newNads(n), 2) })},
		{"statedb", lazily(func() replaceable { return newTable(newNads(n), 2) })},
	}
	for _, peer := range peers {
		version, versions := 1, make([]int, n)
		for i := range versions {
			versions[i] = 1
		}
		for _, changed := range []struct {
			name    string
			percent int
		}{{"unchanged", 0}, {"1-percent", 1}, {"all", 100}} {
			all = append(all, measurement{fmt.Sprintf("relist/%s/%d/%s", changed.name, n, peer.name), func() []figure {
				cache := peer.fill()
				version++
				nads := newNads(n)
				for i, nad := range nads {
					if i%100 < changed.percent {
						versions[i] = version
					}
					nad.setVersion(versions[i])
				}
				// No figure of CPU time: the reader's is the process's, too.
				runtime.GC()
				reads := startReader(cache, nads)
				began := time.Now()
				cache.replace(nads)
				took := time.Since(began)
				latencies := reads()
				return []figure{
					{"ms", float64(took.Microseconds()) / 1e3},
					{"read_p50_ns", float64(quantile(latencies, 0.5).Nanoseconds())},
					{"read_p999_ns", float64(quantile(latencies, 0.999).Nanoseconds())},
					{"read_max_us", float64(latencies[len(latencies)-1].Nanoseconds()) / 1e3},
				}
			}})
		}
	}
	return all
}

// startReader reads one object after another until the result is called, which returns the latencies in order.
func startReader(cache replaceable, nads []*Nad) func() []time.Duration {
	var stop atomic.Bool
	begun, done := make(chan struct{}), make(chan []time.Duration)
	order := shuffled(len(nads))
	go func() {
		latencies := make([]time.Duration, 0, 1<<20)
		for at := 0; !stop.Load(); at++ {
			nad := nads[order[at%len(order)]]
			began := time.Now()
			read := cache.get(nad.Namespace, nad.Name)
			latencies = append(latencies, time.Since(began))
			check(read == configSize, "every object is there all the time")
			if at == 0 {
				close(begun)
			}
		}
		done <- latencies
	}()
	<-begun
	return func() []time.Duration {
		stop.Store(true)
		latencies := <-done
		slices.Sort(latencies)
		return latencies
	}
}

// === subscribe ===

func subscribes(count int, test bool) []measurement {
	const objects = 10_000
	changes := min(max(20_000/count, 600), 5_000)
	if test {
		changes = 20
	}
	return []measurement{{fmt.Sprintf("subscribe/change/%d/client-go", count), func() []figure {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		nads := newNads(objects)
		source, informer := newInformer(nads)
		var seen atomic.Int64
		var sent atomic.Pointer[time.Time]
		all := make(chan struct{}, 1)
		latencies := make([][]time.Duration, count)
		for at := range count {
			handler := toolscache.ResourceEventHandlerFuncs{UpdateFunc: func(_, _ any) {
				latencies[at] = append(latencies[at], time.Since(*sent.Load()))
				if seen.Add(1) == int64(count) {
					all <- struct{}{}
				}
			}}
			if _, err := informer.AddEventHandler(handler); err != nil {
				panic(err)
			}
		}
		go informer.RunWithContext(ctx)
		check(toolscache.WaitForCacheSync(ctx.Done(), informer.HasSynced), "it syncs")
		ready := make([]*Nad, changes)
		for at := range ready {
			ready[at] = nads[at*7%objects].deepCopy()
			ready[at].setVersion(at + 2)
		}
		clock := startClock()
		for _, nad := range ready {
			seen.Store(0)
			now := time.Now()
			sent.Store(&now)
			source.changes <- watch.Event{Type: watch.Modified, Object: nad}
			<-all
		}
		figures := clock.per(changes * count)
		sorted := slices.Concat(latencies...)
		slices.Sort(sorted)
		return append(figures,
			figure{"p50_us", float64(quantile(sorted, 0.5).Nanoseconds()) / 1e3},
			figure{"p99_us", float64(quantile(sorted, 0.99).Nanoseconds()) / 1e3})
	}}}
}

func check(ok bool, what string) {
	if !ok {
		panic("wrong: " + what)
	}
}
