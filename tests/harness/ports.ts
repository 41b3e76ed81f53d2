import { createServer } from 'node:net';

/** Below the sidecars' ports, and so below those that the system takes for outgoing connections: nobody gets one between here and its use. */
const firstPort = 8_000;
const lastPort = 15_999;
/** Of the test workers that run side by side each has its own share. */
const shares = 2;
const share = Math.floor((lastPort + 1 - firstPort) / shares);
const shareStart = firstPort + (Number(process.env['VITEST_POOL_ID'] ?? 0) % shares) * share;
let nextPort = shareStart + Math.floor(Math.random() * share);

/** Ports that nobody listens on, none given twice by one process. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = nextPort;
    nextPort = nextPort === shareStart + share - 1 ? shareStart : nextPort + 1;
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port!;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
