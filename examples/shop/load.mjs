// A steady load on the shop: RATE requests a second to TARGET, whatever the answers take (open loop), from its first good
// answer on, or after READY_WITHIN_MS without one. Once a second, after the first answer, and at the end, it prints one
// line of JSON: {requests, failures, p50Ms, p99Ms, lastFailure}.
const READY_WITHIN_MS = 10_000;
const { TARGET = 'http://web:8080/', RATE = '40' } = process.env;
let requests = 0;
let failures = 0;
let lastFailure = '';
let latencies = [];
let open = 0;

async function ask() {
  const startedMs = performance.now();
  open++;
  try {
    const response = await fetch(TARGET);
    const body = await response.text();
    if (!response.ok) fail(`${response.status} ${response.headers.get('proxy-status') ?? ''} ${body.slice(0, 200).trim()}`);
  } catch (error) {
    fail(String(error.cause ?? error));
  }
  open--;
  requests++;
  latencies.push(performance.now() - startedMs);
  if (requests === 1) report();
}

function fail(why) {
  failures++;
  lastFailure = why;
}

function report() {
  const sorted = latencies.sort((a, b) => a - b);
  const at = (q) => (sorted.length === 0 ? 0 : Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] * 100) / 100);
  process.stdout.write(`${JSON.stringify({ requests, failures, p50Ms: at(0.5), p99Ms: at(0.99), lastFailure })}\n`);
  if (latencies.length > 20_000) latencies = latencies.slice(-10_000);
}

/** A shop that is being started is asked patiently, as by a readiness probe. */
async function untilReady() {
  const untilMs = performance.now() + READY_WITHIN_MS;
  while (performance.now() < untilMs) {
    try {
      const response = await fetch(TARGET);
      await response.text();
      if (response.ok) return;
    } catch {
      // Asked again.
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

let asking;
let reporting;
process.on('SIGTERM', async () => {
  clearInterval(asking);
  clearInterval(reporting);
  const untilMs = performance.now() + 3000;
  while (open > 0 && performance.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 20));
  report();
  process.exit(0);
});

await untilReady();
const startedMs = performance.now();
let asked = 0;
// By the clock, not by the timer, which is late by a little each time.
asking = setInterval(() => {
  const due = Math.floor(((performance.now() - startedMs) * Number(RATE)) / 1000);
  // After a standstill the missed ones are not asked all at once.
  asked = Math.max(asked, due - 5);
  for (; asked < due; asked++) void ask();
}, 1000 / Number(RATE));
reporting = setInterval(report, 1000);
