// Who asks: one pinned load, whatever it is, as {requests, requestsPerSecond, p50Ms, p99Ms, errors}.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadCore } from './measure.mjs';

/** `programs`: {wrk, h2load}; `target`: {url, tls?: {address, certificate, key}}. */
export function load(programs, row, target, seconds, rate) {
  switch (row.load) {
    case 'open':
      return openLoop(target.url, { connections: row.connections, seconds, rate });
    case 'h2load':
      return h2load(programs.h2load, target.url, { ...row, seconds });
    case 'handshakes':
      return handshakes(target.tls, { connections: row.connections, seconds });
    default:
      return wrk(programs.wrk, target.url, { ...row, seconds, close: row.load === 'close' });
  }
}

function run(what, command, args) {
  return new Promise((resolve, reject) => {
    execFile('taskset', ['-c', loadCore, command, ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${what}: ${stderr || error.message}`));
      else resolve(stdout);
    });
  });
}

/** `close`: a connection for each request. */
async function wrk(program, url, { connections, seconds, close, headers = [] }) {
  const own = [...(close ? ['Connection: close'] : []), ...headers].flatMap((header) => ['-H', header]);
  const stdout = await run('wrk', program, ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...own, url]);
  const latency = (percent) => toMs(new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s)`, 'm').exec(stdout));
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout);
  const status = /Non-2xx or 3xx responses: (\d+)/.exec(stdout);
  return {
    requests: Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0),
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? 0),
    p50Ms: latency(50),
    p99Ms: latency(99),
    errors: (sockets ? sockets.slice(1).reduce((sum, text) => sum + Number(text), 0) : 0) + Number(status?.[1] ?? 0),
  };
}

function toMs(match) {
  if (!match) return Number.NaN;
  return Number(match[1]) * { us: 0.001, ms: 1, s: 1000 }[match[2]];
}

/** At a fixed rate, by an open loop. */
async function openLoop(url, { connections, seconds, rate }) {
  const program = fileURLToPath(new URL('load/open-loop.mjs', import.meta.url));
  return JSON.parse(await run('open loop', process.execPath, [program, url, String(rate), String(seconds), String(connections)]));
}

/** gRPC as h2c: the latencies come from its log, one line a request. */
async function h2load(program, url, { connections, streams, seconds, path }) {
  const directory = mkdtempSync(join(tmpdir(), 'rig-h2load-'));
  try {
    const body = join(directory, 'message');
    const log = join(directory, 'log');
    writeFileSync(body, grpcMessage(path));
    const own = ['content-type: application/grpc', 'te: trailers'].flatMap((header) => ['-H', header]);
    await run('h2load', program, ['-t1', `-c${connections}`, `-m${streams}`, `-D${seconds}`, `--log-file=${log}`, '-d', body, ...own, url]);
    const lines = readFileSync(log, 'latin1').trim().split('\n');
    const latenciesUs = [];
    let errors = 0;
    for (const line of lines) {
      const [, status, us] = line.split('\t');
      if (status !== '200') errors++;
      else latenciesUs.push(Number(us));
    }
    latenciesUs.sort((a, b) => a - b);
    const at = (share) => (latenciesUs[Math.min(latenciesUs.length - 1, Math.floor(latenciesUs.length * share))] ?? Number.NaN) / 1000;
    return { requests: latenciesUs.length, requestsPerSecond: latenciesUs.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99), errors };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** grpc.testing.SimpleRequest for an answer of 1 KiB; StreamingOutputCallRequest for 100 of them. */
export function grpcMessage(path) {
  const content = path.endsWith('/UnaryCall')
    ? Buffer.from([0x10, 0x80, 0x08, 0x1a, 0x00])
    : Buffer.concat(Array.from({ length: 100 }, () => Buffer.from([0x12, 0x03, 0x08, 0x80, 0x08])));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}

/** New connections with a client certificate, by `connections` lanes. */
async function handshakes({ address, certificate, key }, { connections, seconds }) {
  const program = fileURLToPath(new URL('load/handshakes.mjs', import.meta.url));
  return JSON.parse(await run('handshakes', process.execPath, [program, address, certificate, key, String(seconds), String(connections)]));
}
