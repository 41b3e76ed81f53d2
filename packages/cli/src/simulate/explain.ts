import type { Outcome } from './outcome.ts';

/** In words: what is decided first, then how it comes to that. */
export function explain(outcome: Outcome): string {
  const { matched, patchedBy, request, location, authorization, retries, timeoutMs, faults, mirrors, explanation, assumed } = outcome;
  const lines = [headline(outcome)];
  const add = (name: string, text: string): void => void lines.push(`  ${name.padEnd(13)} ${text}`);
  for (const { host, port, subset, weight, request: own } of outcome.destinations) {
    const at = `${host}:${port}${subset === '' ? '' : ` subset ${subset}`}`;
    add('to', `${at}${weight === 100 ? '' : `, ${Number(weight.toFixed(2))} %`}${own === undefined ? '' : ` as ${own.method} ${own.host}${own.path}`}`);
  }
  if (location !== null) add('location', location);
  if (matched !== null)
    add(
      'by',
      matched.resource === ''
        ? `a route of the mesh's own (${matched.rule})`
        : `${matched.resource} ${matched.rule}${matched.file === '' ? '' : `, ${matched.file}:${matched.line}`}`,
    );
  for (const [index, { resource, rule, file, line, to }] of patchedBy.entries())
    add(index === 0 ? 'patched by' : '', `${resource} ${rule}, ${file}:${line} (${to})`);
  if (request !== null && outcome.decision === 'route') add('arrives as', `${request.method} ${request.host}${request.path}`);
  if (authorization !== null)
    add('authorization', authorization.allowed ? 'allowed' : `denied${authorization.policy === '' ? ': no policy allows it' : ` by ${authorization.policy}`}`);
  if (outcome.mtls) add('connection', 'mutual TLS');
  if (timeoutMs > 0) add('timeout', `${timeoutMs} ms`);
  if (retries !== null) add('retries', `${retries.attempts} on ${retries.on}${retries.perTryTimeoutMs > 0 ? `, ${retries.perTryTimeoutMs} ms each` : ''}`);
  for (const { kind, percent, delayMs, status } of faults)
    add('fault', kind === 'delay' ? `${delayMs} ms of delay for ${percent} %` : `${status} for ${percent} %`);
  for (const { host, port, percent } of mirrors) add('copy to', `${host}:${port}, ${percent} %`);
  for (const [index, step] of explanation.entries()) add(index === 0 ? 'why' : '', step);
  for (const [index, text] of assumed.entries()) add(index === 0 ? 'assumed' : '', text);
  return lines.join('\n');
}

function headline({ decision, status }: Outcome): string {
  const answers = status === 0 || decision === 'route' || decision === 'passthrough' ? '' : ` (${status})`;
  return `${decision}${answers}`;
}
