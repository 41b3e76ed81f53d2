import { CliError, ExitCode } from './error.ts';

/** Of `--outbound-policy`: as a setting of the mesh, none where it is not given. */
export function outboundPolicyOf(text: string | undefined): { readonly outboundPolicy?: 'ALLOW_ANY' | 'REGISTRY_ONLY' } {
  if (text === undefined) return {};
  if (text === 'ALLOW_ANY' || text === 'REGISTRY_ONLY') return { outboundPolicy: text };
  throw new CliError(`--outbound-policy ${text}: no policy`, { next: 'ALLOW_ANY or REGISTRY_ONLY', exitCode: ExitCode.usage });
}
