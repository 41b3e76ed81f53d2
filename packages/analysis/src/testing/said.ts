import { createValidator, refText } from '@outrigger/resources';
import { analyze } from '../analyze.ts';
import type { Analyzer } from '../analyzer.ts';
import { readAnalysisInput } from '../input.ts';

const validator = createValidator();

/** What an analyzer says of YAML: "IST0101 Gateway default/edge:7", by the order of lines. */
export async function said(
  { name }: Analyzer,
  yaml: string,
  more: { readonly meshConfig?: string; readonly meshNetworks?: string; readonly nowMs?: number } = {},
): Promise<readonly string[]> {
  const { resources, mesh, options, problems } = await readAnalysisInput([{ file: 'a.yaml', text: yaml }], {
    validator,
    ...(more.meshConfig === undefined ? {} : { meshConfig: { file: 'mesh.yaml', text: more.meshConfig } }),
    ...(more.meshNetworks === undefined ? {} : { meshNetworks: { file: 'networks.yaml', text: more.meshNetworks } }),
  });
  if (problems.length > 0) throw new Error(`the case is not valid: ${problems.map(({ message }) => message).join('; ')}`);
  const nowMs = more.nowMs === undefined ? {} : { nowMs: more.nowMs };
  return analyze(resources, mesh, { ...options, ...nowMs, analyzer: name }).map(({ code, resource, line }) => `${code} ${refText(resource)}:${line}`);
}

/** One Kubernetes object in a line, for cases of many. */
export function object(kind: string, name: string, fields: Readonly<Record<string, unknown>> = {}, metadata: Readonly<Record<string, unknown>> = {}): string {
  const apiVersion = apiVersions[kind] ?? 'v1';
  // Two kinds have this name.
  return `${JSON.stringify({ apiVersion, kind: kind === 'ApiGateway' ? 'Gateway' : kind, metadata: { name, ...metadata }, ...fields })}\n---\n`;
}

const apiVersions: Readonly<Record<string, string>> = {
  ApiGateway: 'gateway.networking.k8s.io/v1',
  AuthorizationPolicy: 'security.istio.io/v1',
  CustomResourceDefinition: 'apiextensions.k8s.io/v1',
  Deployment: 'apps/v1',
  DestinationRule: 'networking.istio.io/v1',
  EnvoyFilter: 'networking.istio.io/v1alpha3',
  Gateway: 'networking.istio.io/v1',
  GRPCRoute: 'gateway.networking.k8s.io/v1',
  HTTPRoute: 'gateway.networking.k8s.io/v1',
  MutatingWebhookConfiguration: 'admissionregistration.k8s.io/v1',
  PeerAuthentication: 'security.istio.io/v1',
  ProxyConfig: 'networking.istio.io/v1beta1',
  ReferenceGrant: 'gateway.networking.k8s.io/v1beta1',
  RequestAuthentication: 'security.istio.io/v1',
  ServiceEntry: 'networking.istio.io/v1',
  Sidecar: 'networking.istio.io/v1',
  TCPRoute: 'gateway.networking.k8s.io/v1alpha2',
  Telemetry: 'telemetry.istio.io/v1',
  ValidatingWebhookConfiguration: 'admissionregistration.k8s.io/v1',
  VirtualService: 'networking.istio.io/v1',
  WasmPlugin: 'extensions.istio.io/v1alpha1',
};
