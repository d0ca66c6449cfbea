// Maps, buffers outside of the heap, compression, worker threads, a child process.
const zlib = require('zlib');
const { Worker } = require('worker_threads');
const m = new Map();
for (let i = 0; i < 50000; i++) m.set(String(i), Buffer.alloc(i % 500, 'x'));
for (let i = 0; i < 50000; i += 2) m.delete(String(i));
console.log(m.size, [...m.values()].reduce((n, b) => n + b.length, 0));
console.log(zlib.gunzipSync(zlib.gzipSync(Buffer.concat([...m.values()]))).length);
console.log(require('child_process').execSync('echo a child').toString());
let left = 3;
for (let n = 1; n <= 3; n++) {
	const w = new Worker(`const { parentPort } = require('worker_threads');
		const a = []; for (let i = 0; i < 20000; i++) a.push(new Uint8Array(i % 200));
		parentPort.postMessage(a.reduce((n, b) => n + b.length, 0));`, { eval: true });
	w.on('message', (v) => { if (v !== 1990000) console.log('worker', v); });
	w.on('exit', (code) => { if (code) console.log('exit', code); if (--left === 0) console.log('done'); });
}
