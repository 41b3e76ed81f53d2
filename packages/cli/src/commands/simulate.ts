import { GATEWAY_NAME_LABEL, ofKind, type Resource, readResources } from '@outrigger/resources';
import { CliError, ExitCode } from '../error.ts';
import { readConfigFiles } from '../files.ts';
import { meshConfigFor } from '../mesh-config-file.ts';
import { outboundPolicyOf } from '../outbound-policy.ts';
import { type OutputFormat, printJson } from '../output.ts';
import { assumedServices } from '../simulate/assumed-services.ts';
import type { Call } from '../simulate/call.ts';
import { patchTypes } from '../simulate/envoy-filters.ts';
import { explain } from '../simulate/explain.ts';
import { inboundPorts, labelsOf, toWorkload } from '../simulate/inbound.ts';
import { meshConfigOf } from '../simulate/mesh-config.ts';
import { proxyNode } from '../simulate/node.ts';
import { fromWorkload } from '../simulate/outbound.ts';
import type { Outcome } from '../simulate/outcome.ts';
import { parseRequest } from '../simulate/parse-request.ts';
import { atGateway } from '../simulate/simulate.ts';
import { clusterAddresses, type World, workloadAccount, worldOf } from '../simulate/world.ts';

export interface SimulateOptions {
  readonly files: readonly string[];
  readonly namespace: string;
  readonly from?: string;
  readonly gateway?: string;
  readonly to?: string;
  readonly request?: string;
  readonly header: readonly string[];
  readonly mtls?: boolean;
  readonly plaintext?: boolean;
  readonly outboundPolicy?: string;
  readonly meshConfig?: string;
  readonly output: OutputFormat;
}

/** What would become of one request, with no mesh running: the translation and the tables that the proxy runs. */
export async function simulate(options: SimulateOptions): Promise<void> {
  // With --to, --from says who calls.
  const asked = [options.to === undefined ? options.from : undefined, options.gateway, options.to].filter((one) => one !== undefined);
  if (asked.length !== 1) throw usage('say who is asked', 'one of --from NS/WORKLOAD, --gateway NS/NAME or --to NS/WORKLOAD:PORT');
  if (options.to === undefined && (options.mtls === true || options.plaintext === true))
    throw usage('--mtls and --plaintext are about a connection to a workload', 'give --to NS/WORKLOAD:PORT');
  if (options.plaintext === true && options.from !== undefined) throw usage('in plain text nobody says who calls', 'leave out --from or --plaintext');
  if (options.mtls === true && options.plaintext === true) throw usage('a connection is of --mtls or of --plaintext, not both', 'leave one out');
  const policy = outboundPolicyOf(options.outboundPolicy);
  const call = parseRequest(options.request ?? (options.to === undefined ? '' : 'GET /'), options.header, options.to !== undefined);
  const read = await readResources(readConfigFiles(options.files), { defaultNamespace: options.namespace });
  const problems = read.problems.filter(({ level }) => level === 'Error');
  const registered = assumedServices(read.resources, read.others, call.port);
  const others = [...read.others, ...registered.services];
  const written = meshConfigFor(options.meshConfig, read.others);
  const world = worldOf(read.resources, others, policy, {
    addressesFor: clusterAddresses(others),
    meshConfig: meshConfigOf(written.settings.value),
    types: await patchTypes(read.resources),
  });
  const outcome = simulated(world, options, call);
  const assumed = [
    ...outcome.assumed,
    ...(registered.told === '' ? [] : [registered.told]),
    ...[...problems, ...written.problems].map(({ file, line, message }) => `what ${file}:${line} says is left out: ${message}`),
  ];
  const told = { ...outcome, assumed };
  if (options.output === 'json') printJson(told);
  else console.log(explain(told));
  process.exitCode = ExitCode.ok;
}

function simulated(world: World, { from, gateway, to, mtls, plaintext }: SimulateOptions, call: Call): Outcome {
  if (from !== undefined && to === undefined) {
    const { namespace, workload } = workloadNamed(from);
    return fromWorkload(world, proxyNode({ namespace, workload, labels: labelsOf(world, namespace, workload) }), call);
  }
  if (gateway !== undefined) {
    const [namespace, name] = pair('--gateway', gateway);
    return atGateway(world, proxyNode({ namespace, workload: name, labels: gatewayLabels(world.resources, namespace, name), gatewayPorts: {} }), call);
  }
  const match = /^([^/]+)\/([^/:]+):(\d{1,5})$/.exec(to!);
  if (match === null) throw usage(`--to ${to}: no workload and port`, 'as in --to default/orders:8080');
  const [, namespace = '', workload = '', port = ''] = match;
  const labels = labelsOf(world, namespace, workload);
  const addresses = world.instances.filter((instance) => instance.namespace === namespace && instance.workload === workload).map(({ address }) => address);
  const inbound = inboundPorts(world, { namespace, workload, labels, addresses });
  const caller = from === undefined ? { namespace, workload: '' } : workloadNamed(from);
  const peer = `spiffe://${world.mesh.settings.trustDomain}/ns/${caller.namespace}/sa/${workloadAccount(world.others, caller.namespace, caller.workload)}`;
  const secure = mtls === true || (plaintext !== true && call.tls === undefined);
  const tls = secure ? { sni: '', alpn: [call.request === undefined ? 'istio' : 'istio-http/1.1'], certificate: 'mesh' as const, peer } : call.tls;
  return toWorkload(world, proxyNode({ namespace, workload, labels, inbound, addresses }), { ...call, port: Number(port), tls });
}

function workloadNamed(from: string): { readonly namespace: string; readonly workload: string } {
  const [namespace, workload] = pair('--from', from);
  return { namespace, workload };
}

/** Of Istio's Gateways those with one selector are one proxy. */
function gatewayLabels(resources: readonly Resource[], namespace: string, name: string): Readonly<Record<string, string>> {
  const here = resources.filter(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  const istio = ofKind(here, 'Gateway').find(({ apiVersion }) => apiVersion.startsWith('networking.istio.io/'));
  if (istio !== undefined) return istio.spec.selector ?? {};
  const set = ofKind(here, 'ListenerSet')[0];
  if (set === undefined && !here.some(({ kind }) => kind === 'Gateway'))
    throw usage(`--gateway ${namespace}/${name}: the files have no such Gateway or ListenerSet`, `Gateways there are: ${gatewaysOf(resources) || 'none'}`);
  return { [GATEWAY_NAME_LABEL]: set?.spec.parentRef.name ?? name };
}

function gatewaysOf(resources: readonly Resource[]): string {
  return resources
    .filter(({ kind }) => kind === 'Gateway')
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
    .join(', ');
}

function pair(option: string, text: string): readonly [string, string] {
  const [namespace, name, more] = text.split('/');
  if (!namespace || !name || more !== undefined) throw usage(`${option} ${text}: no namespace and name`, `as in ${option} default/orders`);
  return [namespace, name];
}

function usage(what: string, next: string): CliError {
  return new CliError(what, { next, exitCode: ExitCode.usage });
}
