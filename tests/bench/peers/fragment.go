// fragment in Go, the same work as workloads/wl_fragment.c: the same objects, layouts and random numbers, and so the same
// ops (objects made) and the same bytes held at each step.
//
//	fragment LIVE DROP STEPS SETTLE_MS [give]
//
// Prints "name value" lines. Behind each step a collection runs, which with `give` returns what it can to the system
// (debug.FreeOSMemory); then resident memory since the first object is set against what is held.
package main

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

const bands, sizes, layouts = 4, 7, 4

type work struct {
	types        [bands][sizes][layouts]reflect.Type
	table        []unsafe.Pointer
	n            int
	target, live uint64
	made, drop   uint64
	random       *rng
}

func sizeOf(band, size int) int {
	least := 16 << (2 * band)
	return least + size*least/2
}

func isPointer(layout, word, words int) bool {
	switch layout {
	case 1:
		return word == 0
	case 2:
		return word%2 == 0
	case 3:
		return word == 0 || (word > 1 && word == words-1)
	}
	return false
}

// A run of words of a kind is a field.
func typeOf(layout, words int) reflect.Type {
	var fields []reflect.StructField
	for w := 0; w < words; {
		end, kind := w, reflect.TypeOf(uint64(0))
		for end < words && isPointer(layout, end, words) == isPointer(layout, w, words) {
			end++
		}
		if isPointer(layout, w, words) {
			kind = reflect.TypeOf(unsafe.Pointer(nil))
		}
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", w), Type: reflect.ArrayOf(end-w, kind)})
		w = end
	}
	return reflect.StructOf(fields)
}

func (f *work) makeTypes() {
	for b := 0; b < bands; b++ {
		for s := 0; s < sizes; s++ {
			for l := 0; l < layouts; l++ {
				f.types[b][s][l] = typeOf(l, sizeOf(b, s)/8)
			}
		}
	}
}

func (f *work) make(band int) unsafe.Pointer {
	s, layout := int(f.random.below(sizes)), int(f.random.below(layouts))
	words := sizeOf(band, s) / 8
	p := reflect.New(f.types[band][s][layout]).UnsafePointer()
	tag := f.made<<16 | uint64(words)<<2 | uint64(layout)
	for w := 0; w < words; w++ {
		at := unsafe.Add(p, w*8)
		if isPointer(layout, w, words) {
			*(*unsafe.Pointer)(at) = p
		} else {
			*(*uint64)(at) = tag
		}
	}
	return p
}

// The second word is a tag, as in wl_fragment.c.
func bytesOf(p unsafe.Pointer) uint64 { return *(*uint64)(unsafe.Add(p, 8)) & 0xffff >> 2 << 3 }

func (f *work) grow(band int) {
	for f.live < f.target && f.n < len(f.table) {
		p := f.make(band)
		f.live += bytesOf(p)
		f.made++
		f.table[f.n] = p
		f.n++
	}
}

func (f *work) shrink() {
	kept := 0
	for i := 0; i < f.n; i++ {
		p := f.table[i]
		f.table[i] = nil
		if f.random.below(100) < f.drop {
			f.live -= bytesOf(p)
		} else {
			f.table[kept] = p
			kept++
		}
	}
	f.n = kept
}

func rss() uint64 {
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		fmt.Fprintln(os.Stderr, "fragment:", err)
		os.Exit(1)
	}
	for s := bufio.NewScanner(strings.NewReader(string(text))); s.Scan(); {
		if w := strings.Fields(s.Text()); len(w) > 1 && w[0] == "Rss:" {
			kib, _ := strconv.ParseUint(w[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

func main() {
	var a [4]int
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: fragment LIVE DROP STEPS SETTLE_MS [give]")
		os.Exit(2)
	}
	for i := range a {
		a[i], _ = strconv.Atoi(os.Args[i+1])
	}
	f := &work{target: uint64(a[0]), drop: uint64(a[1]), random: newRng(1, 0)}
	f.makeTypes()
	f.table = make([]unsafe.Pointer, a[0]/32+4096)
	for i := 0; i < len(f.table); i += 512 {
		f.table[i] = nil
	}
	runtime.GC()
	base := rss()
	for step := 1; step <= a[2]; step++ {
		if step%2 == 1 {
			f.grow(step / 2 % bands)
		} else {
			f.shrink()
		}
		if runtime.GC(); len(os.Args) > 5 {
			debug.FreeOSMemory()
		}
		time.Sleep(time.Duration(a[3]) * time.Millisecond)
		fmt.Printf("rss_over_live_%d %.4f\n", step, (float64(rss())-float64(base))/float64(f.live))
	}
	fmt.Printf("ops %d\n", f.made)
	runtime.KeepAlive(f)
}
