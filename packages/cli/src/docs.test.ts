import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { analyzeInput, readAnalysisInput } from '@outrigger/analysis';
import {
  createValidator,
  GATEWAY_NAME_LABEL,
  type GrpcApiRouteSpec,
  type HttpApiRouteSpec,
  type HttpMatchRequest,
  isKind,
  ofKind,
  type ParentReference,
  type Resource,
  readResources,
  refOf,
  refText,
  type VirtualServiceSpec,
} from '@outrigger/resources';
import { describe, expect, test } from 'vitest';
import { readWorkloads } from './node/workloads-file.ts';
import { patchTypes } from './simulate/envoy-filters.ts';
import { proxyNode } from './simulate/node.ts';
import { fromWorkload } from './simulate/outbound.ts';
import type { Outcome } from './simulate/outcome.ts';
import { parseRequest } from './simulate/parse-request.ts';
import { atGateway } from './simulate/simulate.ts';
import { clusterAddresses, type World, worldOf } from './simulate/world.ts';

const root = join(import.meta.dirname, '../../..');
const validator = createValidator();

interface Block {
  readonly where: string;
  readonly text: string;
}

/** Every page that ships, and what in it is fenced as YAML. */
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md'].map((name) => join(root, name)),
  ...['docs', 'examples'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(root, folder, name)),
  ),
];
const blocks = pages.flatMap(blocksOf);
/** These show what is wrong; which code each has is a test of theirs. */
const ofCodes = (block: Block): boolean => block.where.startsWith('docs/analysis/');

function blocksOf(page: string): Block[] {
  const text = readFileSync(page, 'utf8');
  return [...text.matchAll(/^( *)```ya?ml\n([\s\S]*?)^\1```$/gm)].map((match) => ({
    where: `${relative(root, page)}:${text.slice(0, match.index).split('\n').length + 1}`,
    text: match[2]!.replaceAll(new RegExp(`^${match[1]}`, 'gm'), ''),
  }));
}

/** What the pages speak of: the shop, each service in two versions. */
const mesh = `apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {istio-injection: enabled}}
`;
const services = ['web', 'order-service', 'order-service-v2', 'payment-service', 'fraud-service', 'ledger', 'greeter']
  .flatMap((name) => [
    `apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: default}
spec: {selector: {app: ${name}}, ports: [{name: ${name === 'greeter' ? 'grpc' : 'http'}, port: 8080}]}
`,
    ...['v1', 'v2'].map(
      (version) => `apiVersion: v1
kind: Pod
metadata: {name: ${name}-${version}, namespace: default, labels: {app: ${name}, version: ${version}}}
spec: {containers: [{name: a, ports: [{containerPort: 8080}]}]}
`,
    ),
  ])
  .join('---\n');
const shop = `${mesh}---\n${services}`;

describe('YAML of the pages', () => {
  const resources = blocks.filter(({ text }) => /^apiVersion:/m.test(text));

  test('is found', () => {
    expect(resources.length).toBeGreaterThan(20);
  });

  test.each(resources.filter((block) => !ofCodes(block)))('has nothing wrong with it: $where', async ({ where, text }) => {
    const input = await readAnalysisInput(
      [
        { file: 'shop.yaml', text: shop },
        { file: where, text },
      ],
      { validator },
    );
    const messages = analyzeInput(input).filter(({ file, level }) => file === where && level !== 'Info');
    expect(messages.map(({ code, line, message }) => `${code} line ${line}: ${message}`)).toEqual([]);
  });

  test.each(resources.filter(({ text }) => /^kind: (VirtualService|HTTPRoute|GRPCRoute)$/m.test(text)))(
    'leads requests where it says: $where',
    async (block) => {
      const read = await readResources(
        [
          { file: 'shop.yaml', text: shop },
          { file: block.where, text: block.text },
        ],
        { validator },
      );
      const world = worldOf(read.resources, read.others, {}, { addressesFor: clusterAddresses(read.others), types: await patchTypes(read.resources) });
      for (const { route, outcome } of read.resources.flatMap((resource) => outcomesOf(world, resource))) {
        // A page about a code may show a route that leads nowhere; it is told all the same.
        if (ofCodes(block)) continue;
        expect(`${route} ${outcome.decision}`).toMatch(/ (route|redirect|direct-response)$/);
        expect(outcome.matched?.resource).toBe(route);
      }
    },
  );

  test.each(blocks.filter(({ text }) => /^- name:/m.test(text) && !/^apiVersion:/m.test(text)))('is a list of workloads: $where', ({ where, text }) => {
    expect(readWorkloads(text, where).problems).toEqual([]);
  });
});

interface Asked {
  readonly route: string;
  readonly outcome: Outcome;
}

/** One request for each of its rules, at each proxy that it is for. */
function outcomesOf(world: World, resource: Resource): Asked[] {
  const route = refText(refOf(resource));
  const asked = (outcomes: readonly Outcome[]): Asked[] => outcomes.map((outcome) => ({ route, outcome }));
  if (isKind(resource, 'VirtualService')) return asked(ofVirtualService(world, resource));
  if (isKind(resource, 'HTTPRoute')) return asked(ofApiRoute(world, resource, httpRequests(resource.spec)));
  if (isKind(resource, 'GRPCRoute')) return asked(ofApiRoute(world, resource, grpcRequests(resource.spec)));
  return [];
}

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly string[];
}

function ofVirtualService(world: World, { metadata, spec }: Resource<VirtualServiceSpec>): Outcome[] {
  const host = spec.hosts?.find((name) => !name.includes('*')) ?? 'any.example.com';
  const requests = (spec.http ?? []).map(({ match = [] }) => sentFor(match[0]));
  return (spec.gateways ?? ['mesh']).flatMap((name) => {
    if (name === 'mesh') return requests.map((request) => call(world, metadata.namespace, portedHost(world, host, metadata.namespace), request));
    const gateway = ofKind(world.resources, 'Gateway').find((one) => name === one.metadata.name || name === `${one.metadata.namespace}/${one.metadata.name}`);
    const server = gateway?.spec.servers?.find(({ port }) => port?.protocol === 'HTTP');
    if (gateway === undefined || server === undefined) return [];
    return requests.map((request) => callAt(world, metadata.namespace, gateway.spec.selector ?? {}, `${host}:${server.port!.number}`, request));
  });
}

function sentFor(match: HttpMatchRequest | undefined): Sent {
  const names = Object.entries(match?.headers ?? {}).filter(([name]) => !name.startsWith('@'));
  const headers = names.map(([name, value]) => `${name}: ${value.exact ?? value.prefix ?? 'x'}`);
  return { method: match?.method?.exact ?? 'GET', path: match?.uri?.exact ?? match?.uri?.prefix ?? '/', headers };
}

function httpRequests({ rules = [] }: HttpApiRouteSpec): Sent[] {
  return rules.map(({ matches = [] }) => ({
    method: matches[0]?.method ?? 'GET',
    path: matches[0]?.path?.value ?? '/',
    headers: (matches[0]?.headers ?? []).map(({ name, value }) => `${name}: ${value}`),
  }));
}

function grpcRequests({ rules = [] }: GrpcApiRouteSpec): Sent[] {
  return rules.map(({ matches = [] }) => ({
    method: 'POST',
    path: `/${matches[0]?.method?.service ?? 'a.B'}/${matches[0]?.method?.method ?? 'C'}`,
    headers: ['content-type: application/grpc'],
  }));
}

function ofApiRoute(
  world: World,
  { metadata, spec }: Resource<{ readonly parentRefs?: readonly ParentReference[]; readonly hostnames?: readonly string[] }>,
  requests: readonly Sent[],
): Outcome[] {
  return (spec.parentRefs ?? []).flatMap(({ kind = 'Gateway', name }) => {
    if (kind === 'Service') return requests.map((request) => call(world, metadata.namespace, `${name}:8080`, request));
    const gateway = ofKind(world.resources, 'ApiGateway').find((one) => one.metadata.name === name);
    const listener = gateway?.spec.listeners?.find(({ protocol }) => protocol === 'HTTP');
    if (listener === undefined) return [];
    const host = spec.hostnames?.[0] ?? listener.hostname ?? 'any.example.com';
    return requests.map((request) => callAt(world, metadata.namespace, { [GATEWAY_NAME_LABEL]: name }, `${host}:${listener.port}`, request));
  });
}

function portedHost(world: World, host: string, namespace: string): string {
  const full = [host, `${host}.${namespace}.svc.cluster.local`];
  return `${host}:${world.services.find(({ hostname }) => full.includes(hostname))?.ports[0]?.port ?? 80}`;
}

function call(world: World, namespace: string, authority: string, { method, path, headers }: Sent): Outcome {
  return fromWorkload(world, proxyNode({ namespace, workload: 'web', labels: { app: 'web' } }), parseRequest(`${method} http://${authority}${path}`, headers));
}

function callAt(world: World, namespace: string, labels: Readonly<Record<string, string>>, authority: string, { method, path, headers }: Sent): Outcome {
  return atGateway(world, proxyNode({ namespace, workload: 'edge', labels, gatewayPorts: {} }), parseRequest(`${method} http://${authority}${path}`, headers));
}
