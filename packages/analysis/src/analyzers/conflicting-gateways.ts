import { type GatewayServerSpec, type GatewaySpec, matchesLabels, type Resource } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';
import { selectorText } from '../selector-text.ts';

interface Placed {
  readonly gateway: Resource<GatewaySpec>;
  readonly server: GatewayServerSpec;
}

/** Gateways of one proxy that claim the same host on the same port: the one that comes second is not served. */
export const conflictingGateways: Analyzer = {
  name: 'gateway.ConflictingGatewayAnalyzer',
  codes: ['IST0145'],
  run(context) {
    const gateways = context.ofKind('Gateway');
    const placed = gateways.flatMap((gateway) => (gateway.spec.servers ?? []).map((server): Placed => ({ gateway, server })));
    const byHost = Map.groupBy(
      placed.filter(hasPort).flatMap((claim) => (claim.server.hosts ?? []).map((host) => ({ key: keyOf(claim.server, host), claim }))),
      ({ key }) => key,
    );
    const proxies = new SharedProxies(context);
    for (const gateway of gateways) {
      for (const [index, server] of (gateway.spec.servers ?? []).entries()) {
        const rivals = (server.hosts ?? []).flatMap((host) => byHost.get(keyOf(server, host)) ?? []).map(({ claim }) => claim);
        const conflicting = rivals.filter((rival) => rival.gateway !== gateway && meet(server, rival.server) && proxies.have(gateway, rival.gateway));
        if (conflicting.length === 0) continue;
        const names = new Set(conflicting.map(({ gateway: { metadata } }) => `${metadata.namespace}/${metadata.name}`));
        const selector = selectorText(gateway.spec.selector ?? {});
        const port = String(server.port?.number ?? '');
        context.report(gateway, `spec.servers[${index}]`, 'IST0145', [...names].sort().join(','), selector, port, (server.hosts ?? []).join(','));
      }
    }
  },
};

/** One without a port is refused, and serves nobody. */
function hasPort({ server }: Placed): boolean {
  return server.port?.number !== undefined;
}

function keyOf({ port }: GatewayServerSpec, host: string): string {
  return `${port?.number ?? ''} ${host}`;
}

/** Whether both listen on one address: their own, or all. */
function meet(left: GatewayServerSpec, right: GatewayServerSpec): boolean {
  const binds = [left.bind ?? '', right.bind ?? ''];
  return binds[0] === binds[1] || binds.includes('');
}

/** Whether one proxy serves two Gateways: their selectors are one, or something runs that has the labels of both. */
class SharedProxies {
  readonly #workloads: readonly Readonly<Record<string, string>>[];
  /** By selector: there are few of them. */
  readonly #selected = new Map<string, ReadonlySet<number>>();
  readonly #shared = new Map<string, boolean>();

  constructor(context: Context) {
    this.#workloads = [...context.pods, ...context.instances].map(({ labels }) => labels);
  }

  have({ spec: left }: Resource<GatewaySpec>, { spec: right }: Resource<GatewaySpec>): boolean {
    const [own, other] = [selectorText(left.selector ?? {}), selectorText(right.selector ?? {})];
    if (own === other) return true;
    const key = `${own} ${other}`;
    const shared = this.#shared.get(key) ?? !this.#selectedBy(own, left.selector).isDisjointFrom(this.#selectedBy(other, right.selector));
    this.#shared.set(key, shared);
    return shared;
  }

  #selectedBy(text: string, selector: GatewaySpec['selector']): ReadonlySet<number> {
    const known = this.#selected.get(text);
    if (known !== undefined) return known;
    const selected = new Set(this.#workloads.flatMap((labels, index) => (matchesLabels(selector, labels) ? [index] : [])));
    this.#selected.set(text, selected);
    return selected;
  }
}
