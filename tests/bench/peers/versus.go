// gcbench, lru-cache, young-garbage and layouts in Go, the same work as workloads/wl_gcbench.c, wl_lru_cache.c,
// wl_young_garbage.c and wl_layouts.c: the same objects, operations and random numbers, and so the same check, hit_share
// and followed.
//
//	versus gcbench STRETCH LONG_LIVED ARRAY LONGEST | lru-cache SIZE LIVE OPS |
//	       young-garbage LIVE BURST OPS KEEP | layouts TYPES OBJECTS ROUNDS
//
// Prints "name value" lines; timing is inside, as in spanmark. versus.py writes the types of layouts beside it (`shapes`,
// a nil pointer to each).
package main

import (
	"bufio"
	"fmt"
	"math/bits"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

func fail(what string) {
	fmt.Fprintln(os.Stderr, "versus: "+what)
	os.Exit(1)
}

// ---- gcbench ----------------------------------------------------------------------------------

type node struct {
	left, right *node
	i, j        uint64
}

func populate(depth int, n *node) {
	if depth <= 0 {
		return
	}
	n.left = &node{}
	n.right = &node{}
	populate(depth-1, n.left)
	populate(depth-1, n.right)
}

func makeUp(depth int) *node {
	var left, right *node
	if depth > 0 {
		left = makeUp(depth - 1)
		right = makeUp(depth - 1)
	}
	return &node{left: left, right: right}
}

func makeDown(depth int) *node {
	n := &node{}
	populate(depth, n)
	return n
}

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return 1 + n.left.count() + n.right.count()
}

func nodesOf(depth int) int { return 2<<depth - 1 }

var dropped *node // what is made must be made: the last tree that was dropped

func gcbench(stretch, longLived, array, longest int) {
	begin := time.Now()
	dropped = makeUp(stretch)
	dropped = nil
	stays := makeDown(longLived)
	numbers := make([]float64, array)
	for i := 0; i < array/2; i++ {
		numbers[i] = 1 / float64(i+1)
	}
	check := 0
	for d := 4; d <= longest; d += 2 {
		trees := 2 * nodesOf(stretch) / nodesOf(d)
		for i := 0; i < trees; i++ {
			dropped = makeDown(d)
			dropped = nil
		}
		for i := 0; i < trees; i++ {
			dropped = makeUp(d)
			dropped = nil
		}
		check += 2 * trees * nodesOf(d)
	}
	wall := time.Since(begin).Seconds()
	if stays.count() != nodesOf(longLived) || numbers[array/2-1] != 1/float64(array/2) {
		fail("the tree or the array that stays was damaged")
	}
	fmt.Printf("wall_s %.6f\ncheck %d\n", wall, check)
}

// ---- lru-cache --------------------------------------------------------------------------------

// As large as C's: the key is a pointer to its bytes, the value one to its words.
type entry struct {
	chain, newer, older *entry
	key                 *byte
	value               *uint64
	number              uint64
}

type cache struct {
	newest, oldest *entry
	buckets        []*entry
	n, mask        uint64
}

func hashOf(number uint64) uint64 { return splitmix64(&number) }

func (c *cache) unlinkUse(e *entry) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		c.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		c.oldest = e.newer
	}
}

func (c *cache) use(e *entry) {
	e.newer = nil
	e.older = c.newest
	if c.newest != nil {
		c.newest.newer = e
	} else {
		c.oldest = e
	}
	c.newest = e
}

func (c *cache) evict() {
	e := c.oldest
	at := &c.buckets[hashOf(e.number)&c.mask]
	for *at != e {
		at = &(*at).chain
	}
	*at = e.chain
	c.unlinkUse(e)
	c.n--
}

func (c *cache) insert(number uint64, size int) {
	e := &entry{number: number}
	bucket := &c.buckets[hashOf(number)&c.mask]
	var text [32]byte
	key := append(strconv.AppendUint(append(text[:0], "user:"...), number, 10), 0)
	bytes := make([]byte, len(key))
	copy(bytes, key)
	e.key = &bytes[0]
	value := make([]uint64, size/8)
	value[0], value[size/8-1] = number, number
	e.value = &value[0]
	e.chain = *bucket
	*bucket = e
	c.use(e)
	c.n++
}

func lru(size, live, ops int) {
	begin := time.Now()
	r := newRng(1, 0)
	c := &cache{}
	nbuckets := 1
	for nbuckets < live {
		nbuckets *= 2
	}
	c.mask = uint64(nbuckets - 1)
	c.buckets = make([]*entry, nbuckets)
	keys, hits := float64(4*live), 0
	for i := 0; i < ops; i++ {
		u := float64(r.next()>>11) / 9007199254740992
		number := uint64(keys * u * u * u)
		e := c.buckets[hashOf(number)&c.mask]
		for e != nil && e.number != number {
			e = e.chain
		}
		if e == nil {
			if c.n == uint64(live) {
				c.evict()
			}
			c.insert(number, size)
			continue
		}
		hits++
		value := unsafe.Slice(e.value, size/8)
		if value[0] != number || value[size/8-1] != number {
			fail("a cached value was overwritten")
		}
		c.unlinkUse(e)
		c.use(e)
	}
	fmt.Printf("wall_s %.6f\nhit_share %.6f\n", time.Since(begin).Seconds(), 100*float64(hits)/float64(ops))
}

// ---- young-garbage ----------------------------------------------------------------------------

type young struct {
	next   *young
	number uint64
	_      [6]uint64
}

func numberOf(list, place uint64) uint64 { return list<<20 | place }

func makeList(burst, list uint64) *young {
	var first *young
	for place := burst; place > 0; place-- {
		first = &young{next: first, number: numberOf(list, place-1)}
	}
	return first
}

func checkList(burst uint64, n *young) {
	list := n.number >> 20
	for place := uint64(0); place < burst; place++ {
		if n == nil || n.number != numberOf(list, place) {
			fail("a list was overwritten")
		}
		n = n.next
	}
	if n != nil {
		fail("a list was overwritten")
	}
}

func youngGarbage(live, burst, ops, keep uint64) {
	lists := make([]*young, live)
	for i := range lists {
		lists[i] = makeList(burst, uint64(i))
	}
	r := newRng(1, 0)
	begin := time.Now()
	for i := uint64(0); i < ops; i++ {
		made := makeList(burst, live+i)
		checkList(burst, made)
		if (i+1)%keep == 0 {
			at := r.below(live)
			checkList(burst, lists[at])
			lists[at] = made
		}
	}
	fmt.Printf("wall_s %.6f\n", time.Since(begin).Seconds())
	for _, l := range lists {
		checkList(burst, l)
	}
}

// ---- layouts ----------------------------------------------------------------------------------

// What a type's number is to the compiler's new(): reflect.New without the value around it.
//
//go:linkname unsafeNew reflect.unsafe_New
func unsafeNew(rtype unsafe.Pointer) unsafe.Pointer

func wordsOf(kind uint64) uint64    { return 14 + kind%16 }
func pointersOf(kind uint64) uint64 { return (kind/16 + 1) * 0x9e5 & (1<<13 - 1) << 1 }

type layouts struct {
	kinds    []unsafe.Pointer
	n, round uint64
	slots    []unsafe.Pointer
	followed uint64
}

func (l *layouts) targetOf(i, pointers, word uint64) uint64 {
	h := (i<<8|word)*0x9e3779b97f4a7c15 + l.round
	if pointers&(1<<word-1) == 0 {
		if i > 0 {
			return i - 1
		}
		return 0
	}
	return (h >> 32) * (i + 1) >> 32
}

func (l *layouts) build() {
	l.slots[l.n-1] = nil
	for i := uint64(0); i < l.n; i++ {
		kind := i % uint64(len(l.kinds))
		pointers, words := pointersOf(kind), wordsOf(kind)
		o := unsafeNew(l.kinds[kind])
		*(*uint64)(o) = i
		l.slots[i] = o
		for w := uint64(1); w < words; w++ {
			at := unsafe.Add(o, w*8)
			if pointers>>w&1 != 0 {
				*(*unsafe.Pointer)(at) = l.slots[l.targetOf(i, pointers, w)]
			} else {
				*(*uint64)(at) = i
			}
		}
	}
	clear(l.slots[:l.n-1])
}

func (l *layouts) follow(o unsafe.Pointer, i uint64) uint64 {
	kind := i % uint64(len(l.kinds))
	pointers, followed := pointersOf(kind), uint64(0)
	for w := uint64(0); w < wordsOf(kind); w++ {
		at := unsafe.Add(o, w*8)
		if pointers>>w&1 != 0 {
			if *(*uint64)(*(*unsafe.Pointer)(at)) != l.targetOf(i, pointers, w) {
				return 0
			}
			followed++
		} else if *(*uint64)(at) != i {
			return 0
		}
	}
	return followed
}

func (l *layouts) visit() {
	o := l.slots[l.n-1]
	for i := l.n; i > 0; {
		i--
		followed := l.follow(o, i)
		if followed == 0 {
			fail("an object was lost or overwritten")
		}
		l.followed += followed
		o = *(*unsafe.Pointer)(unsafe.Add(o, 8*bits.TrailingZeros64(pointersOf(i%uint64(len(l.kinds))))))
	}
}

func layoutsMain(kinds, objects, rounds int) {
	if kinds > len(shapes) {
		fail("there are fewer types")
	}
	l := &layouts{n: uint64(kinds * objects), slots: make([]unsafe.Pointer, kinds*objects)}
	for k := 0; k < kinds; k++ {
		t := reflect.TypeOf(shapes[k]).Elem()
		if t.Size() != uintptr(8*wordsOf(uint64(k))) {
			fail("a type has not the size of its definition")
		}
		l.kinds = append(l.kinds, (*[2]unsafe.Pointer)(unsafe.Pointer(&t))[1])
	}
	for i := range l.slots { // their pages are there
		l.slots[i] = nil
	}
	begin := time.Now()
	for ; l.round < uint64(rounds); l.round++ {
		l.build()
		runtime.GC()
		l.visit()
	}
	fmt.Printf("wall_s %.6f\nfollowed %d\n", time.Since(begin).Seconds(), l.followed)
}

func main() {
	var a [4]int
	for i := range a {
		if i+2 < len(os.Args) {
			a[i], _ = strconv.Atoi(os.Args[i+2])
		}
	}
	what := ""
	if len(os.Args) > 1 {
		what = os.Args[1]
	}
	switch what {
	case "gcbench":
		gcbench(a[0], a[1], a[2], a[3])
	case "lru-cache":
		lru(a[0], a[1], a[2])
	case "young-garbage":
		youngGarbage(uint64(a[0]), uint64(a[1]), uint64(a[2]), uint64(a[3]))
	case "layouts":
		layoutsMain(a[0], a[1], a[2])
	default:
		fail("gcbench STRETCH LONG_LIVED ARRAY LONGEST | lru-cache SIZE LIVE OPS | young-garbage LIVE BURST OPS KEEP | layouts TYPES OBJECTS ROUNDS")
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("gc_cycles %d\n", m.NumGC)
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
