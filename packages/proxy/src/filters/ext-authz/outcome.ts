import type { HeaderList } from '../../http/message.ts';

export interface HeaderChange {
  readonly name: string;
  readonly value: string;
  readonly append: boolean;
}

/** What an authorization service has said of a request. */
export type Outcome =
  | {
      readonly kind: 'allowed';
      readonly requestHeaders: readonly HeaderChange[];
      readonly requestHeadersToRemove: readonly string[];
      readonly responseHeaders: readonly HeaderChange[];
      readonly queryToSet: readonly (readonly [name: string, value: string])[];
      readonly queryToRemove: readonly string[];
      readonly metadata: Record<string, unknown> | null;
    }
  | { readonly kind: 'denied'; readonly status: number; readonly headers: HeaderList; readonly body: string; readonly metadata: Record<string, unknown> | null }
  | { readonly kind: 'error'; readonly detail: string };

/** Called once with what came of it. */
export type OutcomeHandler = (outcome: Outcome) => void;
