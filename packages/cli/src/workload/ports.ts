import { createServer } from 'node:net';

/** Ports of loopback that are free now, all different. Held open together, so that none is given twice. */
export async function freePorts(count: number, preferred: readonly number[] = []): Promise<number[]> {
  const servers = [];
  try {
    for (let index = 0; index < count; index++) {
      const wanted = preferred[index] ?? 0;
      servers.push(await listen(wanted).catch(() => listen(0)));
    }
    return servers.map((server) => (server.address() as { port: number }).port);
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

function listen(port: number): Promise<ReturnType<typeof createServer>> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1' }, () => resolve(server));
  });
}
