import type { DynamicMetadata } from '../filters/rbac/rule.ts';

/** What a route may ask of a request besides its head. */
export interface RequestFacts {
  /** TLS with a verified certificate of the client. */
  readonly mutual: boolean;
  /** From within, by internal_address_config. */
  readonly internal: boolean;
  readonly dynamicMetadata: DynamicMetadata;
}

export const NO_FACTS: RequestFacts = { mutual: false, internal: false, dynamicMetadata: null };
