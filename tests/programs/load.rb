# Hashes, threads, the collector with compaction, child processes, extensions.
require 'json'
require 'zlib'
require 'digest'
h = {}
100_000.times { |i| h[i.to_s] = 'x' * (i % 100) }
puts h.size, JSON.parse(JSON.generate(h)).size
h.delete_if { |k, _| k.to_i.odd? }
GC.start
GC.compact if GC.respond_to?(:compact)
puts h.sum { |_, v| v.size }
puts (1..8).map { |n| Thread.new { (1..20_000).sum { |i| (i * n).to_s.size } } }.map(&:value).inspect
puts Zlib::Inflate.inflate(Zlib::Deflate.deflate('abc' * 100_000)).size, Digest::SHA256.hexdigest('abc')
pid = fork { exit((1..10_000).map { |i| "child #{i}" }.size == 10_000 ? 7 : 0) }
Process.wait(pid)
puts $?.exitstatus, `echo a program`
