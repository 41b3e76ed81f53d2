import { listenerAt } from '@outrigger/proxy/pure';
import { listener, listenerNames, type ProxyNode, parseCaptureListener, VIRTUAL_INBOUND, VIRTUAL_OUTBOUND } from '@outrigger/translate';
import type { Call } from './call.ts';
import { withoutRefused } from './envoy-filters.ts';
import { type Outcome, outcome } from './outcome.ts';
import { resolveHost } from './resolve.ts';
import { throughListener } from './simulate.ts';
import type { World } from './world.ts';

/** Whoever calls one service by an address that stands for it (`--upstream`): whatever host a request names, it is for that service. */
export function throughUpstream(files: World, node: ProxyNode, service: string, call: Call): Outcome {
  const address = { host: '127.0.0.1', port: call.port };
  const asked = { ...node, upstreams: [{ service, port: call.port, address }] };
  return withoutRefused(files, (world) => {
    const found = listener(world.mesh, asked, `upstream_${address.host}_${address.port}`);
    return found.message === undefined
      ? outcome({ decision: 'no-listener', explanation: [`there is no service ${service}`], assumed: world.assumed })
      : throughListener(world, asked, found, call);
  });
}

/** What the proxy beside a workload does with a connection of its application, which the kernel turns round into it. */
export function fromWorkload(files: World, node: ProxyNode, call: Call): Outcome {
  const address = call.address === '' && call.host !== undefined ? resolveHost(files, node, call.host) : call.address;
  return withoutRefused(files, (world) => {
    const found = listener(world.mesh, node, listenerFor(world, node, address, call.port));
    return throughListener(world, node, found, { ...call, address });
  });
}

/** As the proxy hands a connection over, by where it was going; what nobody has stays with the listener that it was turned round to. */
function listenerFor(world: World, node: ProxyNode, address: string, port: number): string {
  const { names } = listenerNames(world.mesh, node);
  return listenerAt(names, (name) => addressesOf(node, name), address, port) ?? VIRTUAL_OUTBOUND;
}

function addressesOf({ capture }: ProxyNode, name: string) {
  if (name === VIRTUAL_OUTBOUND) return [capture!.outbound];
  if (name === VIRTUAL_INBOUND) return [capture!.inbound];
  const place = parseCaptureListener(name);
  return place === undefined ? [] : [{ host: place.address, port: place.port }];
}
