import { createValidator, GATEWAY_NAME_LABEL, readResources } from '@outrigger/resources';
import { listenerNames, VIRTUAL_OUTBOUND } from '@outrigger/translate';
import { stringify } from 'yaml';
import type { Call } from '../../packages/cli/src/simulate/call.ts';
import { proxyNode } from '../../packages/cli/src/simulate/node.ts';
import { fromWorkload } from '../../packages/cli/src/simulate/outbound.ts';
import { atGateway } from '../../packages/cli/src/simulate/simulate.ts';
import { worldOf } from '../../packages/cli/src/simulate/world.ts';
import type { Difference, Round } from './duel.ts';
import { GATEWAY } from './generate/http-route.ts';
import { CLIENT_LABELS, NAMESPACE } from './generate/vocabulary.ts';
import { type AskedRequest, GATEWAY_SELECTOR, type GeneratedRound } from './generate/world.ts';

const validator = createValidator();

/** What is refused changes nothing: it is left out, as a control plane does. */
export async function roundOf({ who, outboundPolicy, resources: written, requests }: GeneratedRound): Promise<Round> {
  const { resources, others } = await readResources([{ file: 'generated.yaml', text: yamlOf(written) }], { validator });
  const world = worldOf(resources, others, { outboundPolicy });
  const node =
    who === 'sidecar'
      ? proxyNode({ namespace: NAMESPACE, workload: 'client', labels: CLIENT_LABELS })
      : who === 'gateway'
        ? proxyNode({ namespace: NAMESPACE, workload: 'ingress', labels: GATEWAY_SELECTOR, gatewayPorts: {} })
        : proxyNode({ namespace: GATEWAY.namespace, workload: GATEWAY.name, labels: { [GATEWAY_NAME_LABEL]: GATEWAY.name }, gatewayPorts: {} });
  const { names } = who === 'sidecar' ? { names: [] } : listenerNames(world.mesh, node);
  return {
    world,
    node,
    trials: requests.map((request, index) => {
      const call = callOf(request);
      return {
        name: `${index}: ${textOf(request)}`,
        call,
        listener: who === 'sidecar' ? VIRTUAL_OUTBOUND : names.find((name) => name.endsWith(`_${request.port}`)),
        told: who === 'sidecar' ? fromWorkload(world, node, call) : atGateway(world, node, call),
      };
    }),
  };
}

function callOf({ port, authority, address, method, path, headers }: AskedRequest): Call {
  return { address, port, tls: undefined, request: { method, scheme: 'http', authority, path, headers: Object.entries(headers).flat() } };
}

function textOf({ port, authority, address, method, path, headers }: AskedRequest): string {
  return [
    `${method} ${path} to ${address || 'no address'}:${port}`,
    `host: ${authority}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ].join(', ');
}

function yamlOf(written: GeneratedRound['resources']): string {
  return written.map((one) => stringify(one)).join('---\n');
}

/** For a person: what was written, what was asked, and what came of it. */
export function reportOf(round: GeneratedRound, differences: readonly Difference[]): string {
  const [first, ...more] = differences;
  const { trial = '', why = 'no difference when it was looked at again', seen = { outrigger: '', envoy: '' } } = first ?? {};
  return [
    `at ${round.who}, outbound policy ${round.outboundPolicy}, request ${trial}`,
    `  ${why}`,
    `  outrigger: ${JSON.stringify(seen.outrigger)}`,
    `  envoy:     ${JSON.stringify(seen.envoy)}`,
    ...(more.length === 0 ? [] : [`and ${more.length} more of its requests`]),
    yamlOf(round.resources),
  ].join('\n');
}
