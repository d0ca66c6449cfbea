// scale.c's work as a Go program would have it; see there.
//
//	scale mutators THREADS LIVE_MIB OBJECTS | sawtooth LIVE_MIB ROUNDS LAYOUTS
//
// Layouts of the sawtooth are sizes only: slices of bytes behind a header of one pointer.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func kib(key string) float64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if w := strings.Fields(s.Text()); len(w) > 1 && w[0] == key {
			v, _ := strconv.ParseFloat(w[1], 64)
			return v
		}
	}
	return 0
}

func cpu() float64 {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
}

func next(x *uint64) uint64 {
	*x ^= *x << 13
	*x ^= *x >> 7
	*x ^= *x << 17
	return *x
}

type o32 struct {
	a, b *o32
	n    [2]uint64
}
type o64 struct {
	o32
	_ [4]uint64
}
type o128 struct {
	o32
	_ [12]uint64
}
type o256 struct {
	o32
	_ [28]uint64
}

var sizes = [4]uint64{32, 64, 128, 256}

func mutate(id, slots, ops int, filled func()) uint64 {
	x := 88172645463325252 + uint64(id)*7919
	table := make([]*o32, slots)
	size := make([]uint8, slots)
	for i := 0; i < slots+ops; i++ {
		at := i
		if i >= slots {
			at = int(next(&x) % uint64(slots))
		}
		s := next(&x) >> 40 & 3
		var p *o32
		switch s {
		case 0:
			p = new(o32)
		case 1:
			p = &new(o64).o32
		case 2:
			p = &new(o128).o32
		default:
			p = &new(o256).o32
		}
		p.a = table[0]
		p.n[0] = uint64(i)*2 + 1
		p.a = nil
		table[at] = p
		size[at] = uint8(s)
		if i == slots {
			filled()
		}
	}
	live := uint64(slots * 8)
	for _, s := range size {
		live += sizes[s]
	}
	filled()
	runtime.KeepAlive(table)
	return live
}

type barrier struct {
	sync.Mutex
	*sync.Cond
	in, n, turn int
}

func (b *barrier) wait() {
	b.Lock()
	turn := b.turn
	if b.in++; b.in == b.n {
		b.in = 0
		b.turn++
		b.Broadcast()
	}
	for turn == b.turn {
		b.Wait()
	}
	b.Unlock()
}

func mutators(threads, mib, objects int) {
	slots, ops := mib<<20/120/threads, objects/threads
	live := make([]uint64, threads)
	b := &barrier{n: threads}
	b.Cond = sync.NewCond(&b.Mutex)
	var wg sync.WaitGroup
	begin, c := time.Now(), cpu()
	for i := 0; i < threads; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			runtime.LockOSThread()
			live[i] = mutate(i, slots, ops, b.wait)
		}(i)
	}
	wg.Wait()
	c = cpu() - c
	var all float64
	for _, l := range live {
		all += float64(l)
	}
	fmt.Printf("wall_s %.3f\ncpu_s %.3f\n", time.Since(begin).Seconds(), c)
	fmt.Printf("cpu_ns_per_object %.1f\n", c*1e9/float64(objects+threads*slots))
	fmt.Printf("peak_over_live %.2f\n", kib("VmHWM:")*1024/all)
}

type record struct {
	body []byte
	next *record
}

func sawtooth(mib, rounds, layouts int) {
	bytes := make([]uint64, layouts)
	for i := range bytes {
		bytes[i] = 24
		if i > 0 {
			bytes[i] = bytes[i-1] + (bytes[i-1]/8+7)/8*8
		}
	}
	x, have, want := uint64(88172645463325252), uint64(0), uint64(mib)<<20
	table := make([]*record, mib<<20/128)
	kind := make([]uint16, len(table))
	used := 0
	begin, c := time.Now(), cpu()
	for r := 0; r < rounds; r++ {
		for have < want {
			k := (int(next(&x)%uint64(layouts/2)) + r*layouts/4) % layouts
			n := bytes[k]
			if n > 32 {
				n -= 32
			} else {
				n = 0
			}
			p := &record{body: make([]byte, n)}
			for i := range p.body {
				p.body[i] = 1
			}
			table[used] = p
			kind[used] = uint16(k)
			used++
			have += bytes[k]
		}
		fmt.Printf("full_%d %.2f\n", r, kib("VmRSS:")*1024/float64(have))
		seen, goes, to, n := uint64(0), true, 0, used
		for i := 0; i < n; i++ {
			b := bytes[kind[i]]
			if seen>>20 != (seen+b)>>20 {
				goes = next(&x)>>33&3 != 0
			}
			seen += b
			if goes {
				have -= b
				used--
			} else {
				kind[to], table[to] = kind[i], table[i]
				to++
			}
		}
		for i := to; i < len(table); i++ {
			table[i] = nil
		}
		runtime.GC()
		fmt.Printf("dropped_0s_%d %.2f\n", r, kib("VmRSS:")*1024/float64(have))
		time.Sleep(5 * time.Second)
		fmt.Printf("dropped_5s_%d %.2f\n", r, kib("VmRSS:")*1024/float64(have))
	}
	fmt.Printf("wall_s %.3f\ncpu_s %.3f\n", time.Since(begin).Seconds()-5*float64(rounds), cpu()-c)
}

func main() {
	var n [3]int
	for i := 2; i < len(os.Args) && i < 5; i++ {
		n[i-2], _ = strconv.Atoi(os.Args[i])
	}
	switch {
	case len(os.Args) > 4 && os.Args[1] == "mutators":
		mutators(n[0], n[1], n[2])
	case len(os.Args) > 4 && os.Args[1] == "sawtooth":
		sawtooth(n[0], n[1], n[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: see the head of scale.go")
		os.Exit(2)
	}
	fmt.Printf("peak_mib %.1f\n", kib("VmHWM:")/1024)
}
