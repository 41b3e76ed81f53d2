/** What one client may ask of the server; everything that a peer controls has a bound. */
export interface AdsLimits {
  /** Subscribed names, and `initial_resource_versions`, of one type on one stream. */
  readonly maxNames: number;
  /** UTF-16 units of one name. */
  readonly maxNameLength: number;
  /** Streams of all clients together. */
  readonly maxStreams: number;
  /** Streams of one identity, which all instances of a service account share (or of one address, where there is no identity). */
  readonly maxStreamsPerCaller: number;
  /** From the opening of a stream to its first request. */
  readonly firstRequestTimeoutMs: number;
  /** How long a push waits for the answer to one of another type that must be in effect before it. */
  readonly orderWaitMs: number;
}

export const DEFAULT_ADS_LIMITS: AdsLimits = {
  maxNames: 20_000,
  maxNameLength: 1_024,
  maxStreams: 10_000,
  maxStreamsPerCaller: 2_000,
  firstRequestTimeoutMs: 10_000,
  orderWaitMs: 5_000,
};

/** Answers to subscriptions that may be unacknowledged at once, per type of a delta stream; changes wait for all of them. */
export const MAX_OUTSTANDING_ANSWERS = 16;

/** Longer versions than this in `initial_resource_versions` cannot be ours, so they are as good as none. */
export const MAX_VERSION_LENGTH = 256;

/** Bytes kept of a client's reason for a NACK. */
export const MAX_NACK_MESSAGE_LENGTH = 4_096;

/** A client asked for more than its limits. Ends the stream with RESOURCE_EXHAUSTED. */
export class SubscriptionLimitError extends Error {
  readonly code = 'subscription-limit';
}
