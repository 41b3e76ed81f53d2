import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { CliError, ExitCode } from '../error.ts';
import { type SimulateOptions, simulate } from './simulate.ts';

const folder = mkdtempSync(join(tmpdir(), 'simulate-'));
const file = join(folder, 'a.yaml');
writeFileSync(file, 'apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec: { ports: [{ name: http, port: 80 }] }\n');
afterAll(() => rmSync(folder, { recursive: true }));

const options = (more: Partial<SimulateOptions>): SimulateOptions => ({
  files: [file],
  namespace: 'default',
  header: [],
  outboundPolicy: 'ALLOW_ANY',
  output: 'json',
  ...more,
});

it.each<[string, Partial<SimulateOptions>]>([
  ['say who is asked', { request: 'GET http://a/' }],
  ['say who is asked', { from: 'a/b', gateway: 'a/b', request: 'GET http://a/' }],
  ['--from b: no namespace and name', { from: 'b', request: 'GET http://a/' }],
  ['--gateway a/b: the files have no such Gateway or ListenerSet', { gateway: 'a/b', request: 'GET http://a/' }],
  ['--to a/b: no workload and port', { to: 'a/b', request: 'GET /' }],
  ['--mtls and --plaintext are about a connection to a workload', { from: 'a/b', mtls: true, request: 'GET http://a/' }],
  ['a connection is of --mtls or of --plaintext, not both', { to: 'a/b:1', mtls: true, plaintext: true }],
  ['--outbound-policy NONE: no policy', { from: 'a/b', outboundPolicy: 'NONE', request: 'GET http://a/' }],
  ['say what is sent', { from: 'a/b' }],
])('%s', async (message, more) => {
  const refusal = await simulate(options(more)).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(refusal).toBeInstanceOf(CliError);
  expect(refusal).toMatchObject({ message, exitCode: ExitCode.usage });
  expect((refusal as CliError).next).not.toBe('');
});
