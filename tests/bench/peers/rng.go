// The random numbers of workloads/rng.h, for the peers in Go that make the same choices.
package main

import "math/bits"

func splitmix64(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

type rng [4]uint64

func newRng(seed, stream uint64) *rng {
	state := seed ^ (stream*0xd1342543de82ef95 + 0x2545f4914f6cdd1d)
	r := &rng{}
	for i := range r {
		r[i] = splitmix64(&state)
	}
	return r
}

func (s *rng) next() uint64 {
	result := bits.RotateLeft64(s[0]+s[3], 23) + s[0]
	t := s[1] << 17
	s[2] ^= s[0]
	s[3] ^= s[1]
	s[1] ^= s[2]
	s[0] ^= s[3]
	s[2] ^= t
	s[3] = bits.RotateLeft64(s[3], 45)
	return result
}

func (s *rng) below(n uint64) uint64 { return s.next() >> 32 * n >> 32 }
