import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { namespaceOf } from '@outrigger/resources';
import { listenerNames, type ProxyNode, VIRTUAL_INBOUND, VIRTUAL_OUTBOUND } from '@outrigger/translate';
import { secretText } from '../../packages/cli/src/simulate/client-certificate.ts';
import { toWorkload } from '../../packages/cli/src/simulate/inbound.ts';
import { fromWorkload, throughUpstream } from '../../packages/cli/src/simulate/outbound.ts';
import { atGateway } from '../../packages/cli/src/simulate/simulate.ts';
import type { World } from '../../packages/cli/src/simulate/world.ts';
import { type ApiCase, type ApiSuite, askedProxy, suiteWorld } from '../conformance/gateway-api-cases.ts';
import { bound, callOf, type IstioSimulation, prepare } from '../conformance/istio-simulation.ts';
import type { Round, Trial } from './duel.ts';
import type { KeyAndCertificate } from './secrets.ts';

/** Rounds of one suite each, or more where its calls are not all at one proxy. */
export async function* istioRounds(corpus: string): AsyncIterableIterator<Round> {
  const folder = join(corpus, 'istio-simulation');
  for (const path of globSync(join(folder, '*.json')).sort()) {
    const simulation = JSON.parse(readFileSync(path, 'utf8')) as IstioSimulation;
    const prepared = await prepare(folder, simulation);
    const { world } = prepared;
    yield* rounds(
      world,
      simulation.calls.map((one) => {
        const call = callOf(one.Call);
        const node = one.Call.CallMode === 'gateway' ? bound(prepared, call.port) : prepared.node;
        const told =
          one.Call.CallMode === 'gateway' ? atGateway(world, node, call) : (one.Call.CallMode === 'outbound' ? fromWorkload : toWorkload)(world, node, call);
        const listener = { gateway: gatewayListenerOf(world, node, call.port), outbound: VIRTUAL_OUTBOUND, inbound: VIRTUAL_INBOUND }[one.Call.CallMode];
        return { node, trial: { name: `${simulation.name}: ${one.Name}`, call, listener, told, http2: one.Call.Protocol === 'http2' } };
      }),
    );
  }
}

export async function* apiRounds(corpus: string): AsyncIterableIterator<Round> {
  const folder = join(corpus, 'gateway-api-cases');
  for (const path of globSync(join(folder, '*.json')).sort()) {
    const suite = JSON.parse(readFileSync(path, 'utf8')) as ApiSuite;
    const world = await suiteWorld(folder, suite);
    yield* rounds(
      world,
      suite.cases.map((one, index) => apiTrial(world, suite, one, index)),
    );
  }
}

function apiTrial(world: World, suite: ApiSuite, one: ApiCase, index: number): Asked {
  const { node: asked, call, service } = askedProxy(world, one);
  const address = { host: '127.0.0.1', port: call.port };
  const node = service === undefined ? asked : { ...asked, upstreams: [{ service, port: call.port, address }] };
  const certificate = one.Request?.ClientCertificate;
  const headers = one.BackendBehavior?.ResponseHeaders;
  const shown = certificate === undefined ? undefined : certificateOf(world, certificate);
  return {
    node,
    trial: {
      name: `${suite.name}: ${one.Name ?? `${one.Request?.Method ?? one.Scheme} ${one.Request?.Host ?? ''}${one.Request?.Path ?? ''}`} [${index}]`,
      call,
      listener: service === undefined ? gatewayListenerOf(world, node, call.port) : `upstream_${address.host}_${address.port}`,
      told: service === undefined ? atGateway(world, node, call) : throughUpstream(world, node, service, call),
      http2: one.Scheme === 'grpc' || one.Request?.Protocol === 'h2',
      ...(headers === undefined ? {} : { behavior: { headers } }),
      ...(shown === undefined ? {} : { certificate: shown }),
    },
  };
}

interface Asked {
  readonly node: ProxyNode;
  readonly trial: Trial;
}

function* rounds(world: World, asked: readonly Asked[]): IterableIterator<Round> {
  for (const [, group] of Map.groupBy(asked, ({ node }) => JSON.stringify(node)))
    yield { world, node: group[0]!.node, trials: group.map(({ trial }) => trial) };
}

function gatewayListenerOf(world: World, node: ProxyNode, port: number): string | undefined {
  return node.gateway === undefined ? undefined : listenerNames(world.mesh, node).names.find((name) => name.endsWith(`_${port}`));
}

/** "NAMESPACE/NAME" of a Secret. */
function certificateOf(world: World, secret: string): KeyAndCertificate | undefined {
  const [namespace, name] = secret.split('/');
  const found = world.others.find((one) => one.kind === 'Secret' && one.name === name && namespaceOf(one) === namespace);
  return found === undefined ? undefined : { key: secretText(found, 'tls.key'), cert: secretText(found, 'tls.crt') };
}
