import { ofKind, type Resource, type SrvEndpoint, srvNamesOf } from '@outrigger/resources';
import { listed } from './listed.ts';

type Resolved = Readonly<Record<string, readonly SrvEndpoint[]>>;

/** What is to be said of services whose endpoints are SRV records that nobody has looked up here: no query is made for what may never be applied. */
export function unresolvedSrv(resources: readonly Resource[], resolved: Resolved = {}): readonly string[] {
  const hosts = ofKind(resources, 'ServiceEntry')
    .filter((entry) => srvNamesOf(entry).some(({ name }) => resolved[name] === undefined))
    .flatMap(({ spec }) => spec.hosts);
  return hosts.length === 0 ? [] : [`endpoints of ${listed(hosts)} are there: they are SRV records, which the control plane looks up and this does not`];
}
