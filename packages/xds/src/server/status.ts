import type { Caller, TypeUrl } from '../source.ts';
import type { Push } from './subscriptions.ts';

/** What one stream knows of one type; what CSDS would say. */
export interface TypeStatus {
  readonly typeUrl: TypeUrl;
  /** '*' among them for the wildcard. The stream's own set: copy what you keep. */
  readonly names: ReadonlySet<string>;
  /** Version of the last response, '' before the first. */
  readonly sentVersion: string;
  /** Version of the last response that was ACKed. */
  readonly ackedVersion: string;
  /** The last NACK, until a later response is ACKed. */
  readonly nacked: { readonly version: string; readonly message: string; readonly names: readonly string[]; readonly atMs: number } | undefined;
  readonly sync: 'synced' | 'stale' | 'refused' | 'not-sent';
}

/** What is kept of the client's `Node`. */
export interface StreamNode {
  readonly id: string;
  readonly userAgentName: string;
}

export interface StreamStatus {
  /** Unique in the process. */
  readonly id: number;
  readonly protocol: 'delta' | 'sotw';
  readonly node: StreamNode;
  readonly caller: Caller;
  readonly connectedAtMs: number;
  readonly types: readonly TypeStatus[];
}

/** Told of what happens on the streams; for logs and metrics. */
export interface AdsObserver {
  opened?(stream: StreamStatus): void;
  /** `reason` is '' where the client simply went. */
  closed?(stream: StreamStatus, reason: string): void;
  pushed?(
    stream: { readonly id: number; readonly node: StreamNode },
    pushed: { readonly typeUrl: TypeUrl; readonly version: string; readonly push: Push },
  ): void;
  nacked?(stream: StreamStatus, typeUrl: TypeUrl, message: string): void;
  /** A stream that was refused before it was one. */
  refused?(caller: Caller, reason: string): void;
}
