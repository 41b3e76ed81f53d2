import { type AdminAddress, askAdmin } from './admin.ts';

const pollMs = 50;
/** Requests and connections under way, but those of the admin interface. */
const active = /^(?!http\.admin\.)(?:http\.\S+\.downstream_rq_active|tcp\.\S+\.downstream_cx_active): ([1-9]\d*)$/m;

/** An Envoy that is told to end ends at once: so it is told to take nothing new first, and waited for while something is under way. */
export async function drainEnvoy(admin: AdminAddress, limitMs: number): Promise<void> {
  const endMs = performance.now() + limitMs;
  if ((await ask(admin, 'POST', '/drain_listeners?graceful&skip_exit')) === undefined) return;
  while (performance.now() < endMs) {
    const stats = await ask(admin, 'GET', '/stats?filter=downstream_(rq|cx)_active$');
    if (stats === undefined || !active.test(stats)) return;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** undefined: no answer. */
async function ask(admin: AdminAddress, method: string, path: string): Promise<string | undefined> {
  return (await askAdmin(admin, method, path).catch(() => undefined))?.body;
}
