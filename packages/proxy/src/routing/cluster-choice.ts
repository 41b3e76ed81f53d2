import type { RequestHead } from '../http/message.ts';
import type { SubsetCriteria } from '../lb/subset-criteria.ts';
import type { HeaderMutations } from './header-mutations.ts';
import { headerValue } from './headers.ts';

/** A cluster that a route may take, with what goes with it. */
export class ClusterChoice {
  /** '' where the request names it (cluster_header). */
  readonly name: string;
  /** Lower-case header that names the cluster, or ''. */
  readonly clusterHeader: string;
  readonly weight: number;
  /** Mutations of the weighted cluster, the route, the virtual host and the configuration, in the order in which they run. */
  readonly requestHeaders: HeaderMutations;
  readonly responseHeaders: HeaderMutations;
  /** Host that the weighted cluster sets, or ''. */
  readonly hostRewrite: string;
  /** Endpoints of the cluster that it may go to (metadata_match); null: any. */
  readonly subset: SubsetCriteria | null;

  constructor(
    name: string,
    clusterHeader: string,
    weight: number,
    requestHeaders: HeaderMutations,
    responseHeaders: HeaderMutations,
    hostRewrite: string,
    subset: SubsetCriteria | null,
  ) {
    this.name = name;
    this.clusterHeader = clusterHeader;
    this.weight = weight;
    this.requestHeaders = requestHeaders;
    this.responseHeaders = responseHeaders;
    this.hostRewrite = hostRewrite;
    this.subset = subset;
  }

  /** '' : the request does not carry the header (Envoy: cluster not found). */
  clusterName(head: RequestHead): string {
    return this.clusterHeader === '' ? this.name : (headerValue(head.headers, this.clusterHeader) ?? '');
  }
}
