-- Tables, strings, coroutines, the collector.
local t = {}
for i = 1, 100000 do t[i] = {tostring(i), string.rep("x", i % 50)} end
for i = 1, 100000, 2 do t[i] = nil end
collectgarbage()
local n = 0
for _, v in pairs(t) do n = n + #v[2] end
print(n)
local co = {}
for i = 1, 2000 do co[i] = coroutine.wrap(function() for k = 1, 5 do coroutine.yield(i * k) end end) end
local sum = 0
for k = 1, 5 do for i = 1, 2000 do sum = sum + co[i]() end end
print(sum, #table.concat(t[2]), string.format("%q", ("a\n"):rep(3)))
