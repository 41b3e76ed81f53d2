import { X509Certificate } from 'node:crypto';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { refText } from '@outrigger/resources';
import { cluster, credentialNames, outboundCluster, type ProxyNode, parseSecretName } from '@outrigger/translate';
import type { Cluster } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { SubjectAltNameMatcher_SanType } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/common';
import { type UpstreamTlsContext, UpstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { authoritiesOf } from './client-certificate.ts';
import { appliedPatches, patchNotes, withPatches } from './envoy-filters.ts';
import type { AppliedPatch, DestinationTls, Outcome, SimulatedDestination } from './outcome.ts';
import { untrustedServer } from './server-certificate.ts';
import type { World } from './world.ts';

/** How each destination is connected to; one whose authorities are not there is trusted by nobody. */
export function withDestinationTls(world: World, node: ProxyNode, outcome: Outcome): Outcome {
  if (outcome.decision !== 'route') return outcome;
  const refusals: string[] = [];
  const patches: AppliedPatch[] = [];
  const notes: string[] = [];
  const destinations = outcome.destinations.map((destination) => {
    const { host, port, subset } = destination;
    const own = outcome.xds.clusters.find((name) => name.startsWith('inbound|'));
    // One that an EnvoyFilter names is none of a service.
    const name = own ?? (port === 0 ? host : outboundCluster(port, subset, host));
    // Of the application beside the proxy nothing is asked.
    if (own !== undefined && world.mesh.types === undefined) return destination;
    const translated = cluster(world.mesh, node, name);
    const { message } = translated;
    if (message !== undefined) patches.push(...appliedPatches(world.resources, translated.patches.get(message), `cluster ${name}`));
    notes.push(...patchNotes(world.resources, translated.notes));
    const taker = message === undefined ? translated.sources.find(({ kind }) => kind === 'EnvoyFilter') : undefined;
    if (message === undefined && (port === 0 || taker !== undefined)) {
      refusals.push(`there is no cluster ${name}${taker === undefined ? '' : `: ${refText(taker)} takes it away`}`);
      return destination;
    }
    if (own !== undefined) return destination;
    const { tls, refusal } = tlsOf(world, destination, message);
    if (refusal !== undefined) refusals.push(refusal);
    return { ...destination, ...(port === 0 ? endpointOf(message!) : {}), tls };
  });
  const patched = withPatches(outcome, patches, [...refusals, ...notes]);
  if (refusals.length === 0 || refusals.length < destinations.length) return { ...patched, destinations };
  return { ...patched, decision: 'invalid-backend', status: 503, destinations: [], response: { status: 503, headers: {} } };
}

/** Of a cluster that says itself where it leads. */
function endpointOf({ name, loadAssignment }: Cluster): Pick<SimulatedDestination, 'host' | 'port'> {
  const found = loadAssignment?.endpoints[0]?.lbEndpoints[0]?.hostIdentifier;
  const socket = found?.case === 'endpoint' ? found.value.address?.address : undefined;
  if (socket?.case !== 'socketAddress') return { host: name, port: 0 };
  const { address, portSpecifier } = socket.value;
  return { host: address, port: portSpecifier.case === 'portValue' ? portSpecifier.value : 0 };
}

function tlsOf(world: World, { host, port }: SimulatedDestination, message: Cluster | undefined): { readonly tls: DestinationTls; readonly refusal?: string } {
  if (message !== undefined && message.transportSocketMatches.length > 0) return { tls: { mode: 'mesh', sni: '', clientCertificate: '' } };
  const config = message?.transportSocket?.configType;
  const context = config?.case === 'typedConfig' ? anyUnpack(config.value, UpstreamTlsContextSchema) : undefined;
  if (context === undefined) return { tls: { mode: 'none', sni: '', clientCertificate: '' } };
  const certificate = context.commonTlsContext?.tlsCertificateSdsSecretConfigs[0]?.name ?? '';
  const shown = parseSecretName(certificate);
  const mutual = certificate !== '' || (context.commonTlsContext?.tlsCertificates.length ?? 0) > 0;
  const tls: DestinationTls = { mode: mutual ? 'mutual' : 'simple', sni: context.sni, clientCertificate: shown?.kind === 'credential' ? shown.name : '' };
  const refusal = missingAuthorities(world, context) ?? untrusted(world, context, host);
  return refusal === undefined ? { tls } : { tls, refusal: `${host}:${port} is not trusted: ${refusal}` };
}

/** By the certificates of its pods, where authorities are told that a gateway asks for by name. */
function untrusted(world: World, context: UpstreamTlsContext, host: string): string | undefined {
  const validation = context.commonTlsContext?.validationContextType;
  const asked = validation?.case === 'combinedValidationContext' ? parseSecretName(validation.value.validationContextSdsSecretConfig?.name ?? '') : undefined;
  if (validation?.case !== 'combinedValidationContext' || asked?.kind !== 'credential') return undefined;
  const names = (validation.value.defaultValidationContext?.matchTypedSubjectAltNames ?? []).map(({ sanType, matcher }) => ({
    kind: sanType === SubjectAltNameMatcher_SanType.URI ? ('uri' as const) : ('dns' as const),
    name: String(matcher?.matchPattern.value ?? ''),
  }));
  return untrustedServer(world.others, host, { authorities: authoritiesOf(world.others, asked.name), names });
}

/** undefined: they are there, or are not of the files. */
function missingAuthorities(world: World, context: UpstreamTlsContext): string | undefined {
  const validation = context.commonTlsContext?.validationContextType;
  const name = validation?.case === 'combinedValidationContext' ? (validation.value.validationContextSdsSecretConfig?.name ?? '') : '';
  const asked = parseSecretName(name);
  if (asked?.kind !== 'credential') return undefined;
  const pem = authoritiesOf(world.others, asked.name);
  if (pem === undefined) return `the files have no authorities ${namesText(asked.name)}`;
  try {
    new X509Certificate(pem);
    return undefined;
  } catch {
    return `what ${namesText(asked.name)} has is no certificate`;
  }
}

function namesText(name: string): string {
  return credentialNames(name)
    .map((one) => one.replace(/-cacert$/, ''))
    .join(' and ');
}
