/** As Gateway API has it; types and reasons are the specification's. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export function condition(type: string, holds: boolean, reason: string, message = ''): Condition {
  return { type, status: holds ? 'True' : 'False', reason, message };
}
