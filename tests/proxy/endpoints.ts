import type { JsonObject } from '@bufbuild/protobuf';
import { listenerJson } from '../../packages/proxy/src/testing/messages.ts';
import { type AnswerOverHttp, ask } from '../../packages/proxy/src/testing/test-proxy.ts';
import type { DataPlane } from './data-plane.ts';

/** A listener whose requests go to the cluster that x-cluster names. */
export function anyCluster(action: JsonObject = {}): JsonObject {
  return listenerJson('web', { routes: [{ match: { prefix: '/' }, route: { clusterHeader: 'x-cluster', timeout: '5s', ...action } }] });
}

export function askCluster(proxy: DataPlane, cluster: string, headers: Record<string, string> = {}): Promise<AnswerOverHttp> {
  return ask(`127.0.0.1:${proxy.port('web')}`, { headers: { 'x-cluster': cluster, ...headers } });
}

/** How often each answer came, one call after another; for answers other than 200 the status. */
export async function spread(
  proxy: DataPlane,
  cluster: string,
  calls: number,
  headers: (call: number) => Record<string, string> = () => ({}),
): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (let call = 0; call < calls; call++) {
    const { status, body } = await askCluster(proxy, cluster, headers(call));
    const key = status === 200 ? body : String(status);
    found[key] = (found[key] ?? 0) + 1;
  }
  return found;
}

/** A field of /clusters by endpoint. */
export async function hostField(proxy: DataPlane, cluster: string, field: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const mark = `::${field}::`;
  for (const line of (await proxy.admin('/clusters')).split('\n')) {
    if (!line.startsWith(`${cluster}::`) || !line.includes(mark)) continue;
    const [at, value] = line.slice(cluster.length + 2).split(mark);
    found[at!] = value!;
  }
  return found;
}
