// The workloads in Go, as a Go program would have them.
//
//	peer trees DEPTH THREADS | churn SIZE OPS THREADS | ring LIVE SIZE OPS | graph OBJECTS EDGES COLLECTIONS
//
// Prints "name value" lines; timing is inside, as in spanmark.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type node struct{ left, right *node }

func grow(d int) *node {
	n := &node{}
	if d > 0 {
		n.left = grow(d - 1)
		n.right = grow(d - 1)
	}
	return n
}

func (n *node) count() int {
	if n.left == nil {
		return 1
	}
	return 1 + n.left.count() + n.right.count()
}

func parallel(threads int, f func(i int)) {
	var wg sync.WaitGroup
	for i := 0; i < threads; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			f(i)
		}(i)
	}
	wg.Wait()
}

func trees(depth, threads int) {
	begin := time.Now()
	longLived := grow(depth)
	counts := make([]int, threads*64)
	parallel(threads, func(t int) {
		nodes := 0
		for d := 4; d <= depth; d += 4 {
			n := 1 << (depth - d + 4)
			for i := n * t / threads; i < n*(t+1)/threads; i++ {
				nodes += grow(d).count()
			}
		}
		counts[t*64] = nodes
	})
	check := 0
	for t := 0; t < threads; t++ {
		check += counts[t*64]
	}
	kept := longLived.count()
	fmt.Printf("wall_s %.6f\ncheck %d\nlong_lived %d\n", time.Since(begin).Seconds(), check, kept)
}

func churn(size, ops, threads int) {
	begin := time.Now()
	parallel(threads, func(int) {
		table := make([][]byte, 256)
		for i := 0; i < ops; i++ {
			p := make([]byte, size)
			p[0] = byte(i)
			table[i&255] = p
		}
	})
	s := time.Since(begin).Seconds()
	fmt.Printf("wall_s %.6f\nns_per_op %.4f\n", s, s*1e9/float64(ops))
}

type message struct {
	next    *message
	payload []byte
}

func ring(live, size, ops int) {
	ns := make([]uint32, ops)
	newest := &message{payload: make([]byte, size)}
	newest.next = newest
	for i := 1; i < live; i++ {
		m := &message{payload: make([]byte, size)}
		m.next = newest.next
		newest.next = m
		newest = m
	}
	begin := time.Now()
	before := begin
	for i := range ns {
		m := &message{payload: make([]byte, size)}
		m.next = newest.next.next
		newest.next = m
		newest = m
		now := time.Now()
		ns[i] = uint32(now.Sub(before))
		before = now
	}
	wall := time.Since(begin).Seconds()
	sort.Slice(ns, func(a, b int) bool { return ns[a] < ns[b] })
	fmt.Printf("wall_s %.6f\n", wall)
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50_us", 0.5}, {"p99_us", 0.99}, {"p999_us", 0.999}, {"p9999_us", 0.9999}} {
		fmt.Printf("%s %.3f\n", q.name, float64(ns[int(q.at*float64(ops))])/1e3)
	}
	fmt.Printf("max_us %.3f\n", float64(ns[ops-1])/1e3)
}

// 64 B, four of the words are pointers.
type vertex struct {
	edges [4]*vertex
	rest  [4]uint64
}

// Of all threads, the kernel's time for them included.
func cpuSeconds() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// runtime.GC marks and sweeps; of this heap sweeping is half a per cent (GODEBUG=gctrace=1).
func graph(objects, edges, collections int) {
	nodes := make([]*vertex, objects)
	for i := range nodes {
		nodes[i] = &vertex{}
	}
	x := uint64(1)
	for i, v := range nodes {
		v.edges[0] = nodes[(i+1)%objects]
		for e := 1; e < 4; e++ {
			x = x*6364136223846793005 + 1442695040888963407
			v.edges[e] = nodes[(x>>32)*uint64(objects)>>32]
		}
	}
	root := nodes[0]
	nodes = nil
	runtime.GC()
	rates := make([]float64, collections)
	cpu := cpuSeconds()
	for i := range rates {
		begin := time.Now()
		runtime.GC()
		rates[i] = float64(objects) / time.Since(begin).Seconds()
	}
	fmt.Printf("user_s %.6f\nops %d\n", cpuSeconds()-cpu, objects*collections)
	sort.Float64s(rates)
	fmt.Printf("mark_objects_per_s %.0f\n", rates[collections/2])
	runtime.KeepAlive(root)
}

func printPeak() {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if w := strings.Fields(s.Text()); len(w) > 1 && w[0] == "VmHWM:" {
			fmt.Printf("peak_rss_kib %s\n", w[1])
		}
	}
}

func main() {
	var a [3]int
	for i := range a {
		if i+2 < len(os.Args) {
			a[i], _ = strconv.Atoi(os.Args[i+2])
		}
	}
	switch os.Args[1] {
	case "trees":
		trees(a[0], a[1])
	case "churn":
		churn(a[0], a[1], a[2])
	case "ring":
		ring(a[0], a[1], a[2])
	case "graph":
		graph(a[0], a[1], a[2])
	}
	printPeak()
}
