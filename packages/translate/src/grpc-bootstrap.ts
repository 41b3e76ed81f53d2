import type { ProxyNode } from './node.ts';

export interface GrpcBootstrapOptions {
  readonly node: ProxyNode;
  /** "unix:///path" of the agent's relay, or "host:port". */
  readonly serverUri: string;
  /** Folder with SVID, key and bundle as files, for clients with xDS credentials; absent: plaintext. */
  readonly certificates?: { readonly certificateFile: string; readonly privateKeyFile: string; readonly bundleFile: string };
}

/** The JSON that GRPC_XDS_BOOTSTRAP names. */
export function grpcBootstrap(_options: GrpcBootstrapOptions): string {
  throw new Error('being written');
}
