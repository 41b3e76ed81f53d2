import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startControlPlane } from '@outrigger/control-plane';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { main } from './program.ts';

const program = fileURLToPath(new URL('./main.ts', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'rig-'));
const state = join(directory, 'state');
const path = (name: string) => join(directory, name);
let controlPlane: Awaited<ReturnType<typeof startControlPlane>>;

beforeAll(async () => {
  vi.stubEnv('OUTRIGGER_STATE', state);
  controlPlane = await startControlPlane({ version: 'test', stateDirectory: state, grpc: { port: 0 }, api: { port: 0 } });
  writeFileSync(path('rule.yaml'), rule('v1'));
  writeFileSync(path('other.yaml'), rule('v2'));
  writeFileSync(path('misspelt.yaml'), rule('v1').replace('DestinationRule', 'DestinationRul'));
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await controlPlane.stop();
  rmSync(directory, { recursive: true, force: true });
});

function rule(version: string): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: order-service}
spec: {host: order-service, subsets: [{name: v, labels: {version: ${version}}}]}
`;
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `rig ARGS`, in this process: each one of its own would take most of a second. */
async function rig(...args: string[]): Promise<Ended> {
  let [stdout, stderr] = ['', ''];
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      stdout += String(text);
      return true;
    }),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      stderr += String(text);
      return true;
    }),
    vi.spyOn(console, 'log').mockImplementation((line) => {
      stdout += `${line}\n`;
    }),
    vi.spyOn(console, 'error').mockImplementation((line) => {
      stderr += `${line}\n`;
    }),
  ];
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    await main(['node', 'rig', ...args]);
    return { code: Number(process.exitCode), stdout, stderr };
  } finally {
    process.exitCode = before;
    for (const spy of spies) spy.mockRestore();
  }
}

test('--version', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, '--version'], { encoding: 'utf8' });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: expect.stringMatching(/^rig \d+\.\d+\.\d+\n$/) as string, stderr: '' });
});

test('output that nobody reads any more is no failure', () => {
  const script = 'set -o pipefail; { sleep 0.2; "$0" "$1" --version; } | true';
  const { status, stderr } = spawnSync('bash', ['-c', script, process.execPath, program], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

describe('with no control plane', () => {
  test.each([['status'], ['get'], ['top'], ['apply', '-f', 'rule.yaml'], ['token', 'create', '--name', 'web'], ['dashboard'], ['demo', 'kill', 'web']])(
    'rig %s %s ends with 3 and what to do',
    async (...args) => {
      const ended = await rig('--state', path('nobody'), ...args.map((arg) => (arg === 'rule.yaml' ? path(arg) : arg)));
      expect(ended).toMatchObject({
        code: 3,
        stdout: '',
        stderr: expect.stringMatching(/^rig: no (control plane|demo) is running\n {2}where: .*\n {2}next: /) as string,
      });
    },
  );
});

describe('a command line that rig does not know ends with 2:', () => {
  test.each([
    ['an unknown command', ['bogus'], "unknown command 'bogus'"],
    ['no name', ['run', '--', 'true'], "'--name <name>' not specified"],
    ['no application', ['run', '--name', 'web'], "missing required argument 'command'"],
    ['a bad name', ['run', '--name', 'A_B', '--', 'true'], '--name A_B: not a name'],
    ['a bad port', ['sidecar', '--name', 'web', '--port', '99999'], '"99999" is no port'],
    ['one port twice', ['sidecar', '--name', 'web', '--port', '80', '80:81'], '--port 80 is given twice'],
    ['no such data plane', ['sidecar', '--name', 'web', '--data-plane', 'nginx'], '--data-plane nginx: no data plane'],
    ['a control plane elsewhere without a token', ['sidecar', '--name', 'web', '--control-plane', '192.0.2.1:15012'], '--control-plane needs --join-token'],
    ['a bad namespace', ['apply', '-f', 'x', '-n', 'A'], '--namespace A: not a name'],
    ['nothing to restart', ['--state', directory, 'restart'], 'name the instances, or --all'],
    ['an option of a command below another', ['token', 'create'], '(`rig token create --help` has its options and an example)'],
    ['no such output', ['get', '-o', 'xml'], "'xml' is invalid"],
    ['a bad trust domain', ['--state', directory, 'up', '--trust-domain', 'A B'], 'where: --trust-domain'],
    ['a revision that is none', ['diff', 'abc'], '"abc" is no revision'],
    ['nothing to compare', ['diff'], 'what to compare is not said'],
    ['files and revisions at once', ['diff', '1', '-f', 'x'], 'files and revisions are compared each for themselves'],
    ['no number of revisions', ['history', '--limit', '0'], '--limit 0: no number of revisions'],
    ['no revision to undo to', ['undo', 'v1'], '"v1" is no revision'],
    ['nothing to plan', ['plan'], 'what is planned is not said'],
    ['a risk that is none', ['plan', '-f', 'x', '--fail-on', 'none'], '--fail-on none: no risk'],
    ['two states before', ['plan', '-f', 'x', '--from', 'y', '--from-rev', 'z'], '--from and --from-rev each say what was before'],
    ['a revision after alone', ['plan', '-f', 'x', '--to-rev', 'z'], '--to-rev needs --from-rev'],
    ['--prune without a mesh', ['plan', '-f', 'x', '--from', 'y', '--prune'], '--prune is about a mesh that runs'],
    ['a time of replay without a mesh', ['plan', '-f', 'x', '--from', 'y', '--replay', '1h'], '--replay of a time asks a mesh that runs'],
    ['a policy for a mesh that runs', ['plan', '-f', 'x', '--outbound-policy', 'ALLOW_ANY'], '--outbound-policy is for files alone'],
    ['no such policy', ['up', '--outbound-policy', 'NONE'], '--outbound-policy NONE: no policy'],
    ['nothing to save', ['plan', '-f', 'x', '--save-replay', 'y'], '--save-replay writes what a mesh that runs has seen'],
    ['a gate of no share', ['apply', '-f', 'x', '--replay-gate=much'], '--replay-gate=much: no share of requests'],
    ['no time to wait, with nothing applied', ['apply', '-f', path('rule.yaml'), '--wait', 'long'], '--wait long: not a number of seconds'],
    ['no file', ['apply', '-f', '/nonexistent.yaml'], 'there is no such file'],
  ])('%s', async (_, args, message) => {
    const ended = await rig(...args);
    expect(ended).toMatchObject({ code: 2, stderr: expect.stringContaining(message) as string });
  });
});

test('resources from the first diff to their removal', async () => {
  const created = await rig('diff', '-f', path('rule.yaml'));
  expect(created).toMatchObject({ code: 1, stdout: expect.stringContaining('DestinationRule default/order-service would be created') as string });
  expect(await rig('apply', '-f', path('rule.yaml'), '--dry-run')).toMatchObject({
    code: 0,
    stdout: 'DestinationRule default/order-service created (dry run)\n',
  });
  expect((await rig('get')).stdout).toBe('no resources\n');

  const applied = await rig('apply', '-f', path('rule.yaml'), '--wait');
  expect(applied.code).toBe(0);
  expect(applied.stdout).toMatch(/^DestinationRule default\/order-service created\nno connected proxy has needed it so far/);
  expect(applied.stderr).toMatch(/^Warning \[IST0174\] \(DestinationRule default\/order-service .*rule\.yaml:4\)/);
  expect(await rig('diff', '-f', path('rule.yaml'))).toMatchObject({ code: 0, stdout: 'no difference\n' });
  expect(await rig('diff', '-f', path('other.yaml'))).toMatchObject({ code: 1, stdout: expect.stringMatching(/-.*v1\n\+.*v2/) as string });

  expect((await rig('get')).stdout).toMatch(/DestinationRule +default +order-service +without-effect +without effect because host order-service/);
  expect(JSON.parse((await rig('get', 'destinationrule', 'order-service', '-o', 'json')).stdout)).toMatchObject([
    { origin: { file: path('rule.yaml'), line: 1 } },
  ]);
  expect((await rig('get', 'DestinationRule', '-o', 'yaml')).stdout).toContain('host: order-service\n');
  expect(JSON.parse((await rig('status', '-o', 'json')).stdout)).toMatchObject({ version: { version: 'test' }, proxies: [], problems: [] });

  const refused = await rig('apply', '-f', path('rule.yaml'), path('misspelt.yaml'));
  expect(refused).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('misspelt.yaml:2) Schema validation error: no matches for kind "DestinationRul"') as string,
  });
  expect(refused.stderr).toContain('refused: 1 error; nothing has been changed');
  expect(await rig('get', 'Deployment')).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no kind "Deployment"') as string });

  expect(await rig('delete', '-f', path('rule.yaml'))).toMatchObject({ code: 0, stdout: 'DestinationRule default/order-service deleted\n' });
  expect(await rig('delete', 'DestinationRule', 'order-service')).toMatchObject({ code: 1, stderr: expect.stringContaining('not in the mesh') as string });
});

test('history, a diff of two revisions, and undo', async () => {
  await rig('apply', '-f', path('rule.yaml'));
  await rig('apply', '-f', path('other.yaml'));
  const [last, first] = JSON.parse((await rig('history', 'dr', '-o', 'json', '--limit', '2')).stdout) as { revision: string; by: string }[];
  const told = await rig('history', '--limit', '2');
  expect(told.stdout).toMatch(/^REVISION +WHEN +BY +HOW +CHANGES\n\d+ +20\S+Z +\S+ +apply +~DestinationRule default\/order-service\n\d+ .* \+Dest/);
  expect(last!.by).toBe(userInfo().username);
  expect(await rig('diff', first!.revision, last!.revision)).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^DestinationRule default\/order-service configured\n@@[\s\S]*-.*v1\n\+.*v2/) as string,
  });
  expect((await rig('undo', '--dry-run')).stdout).toMatch(/configured\n@@[\s\S]*-.*v2\n\+.*v1/);
  const undone = await rig('undo', '--wait');
  expect(undone).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^DestinationRule default\/order-service configured\nrevision \d+: as it was after/) as string,
  });
  expect(await rig('diff', first!.revision)).toMatchObject({ code: 0, stdout: 'no difference\n' });
  expect((await rig('undo', first!.revision)).stdout).toContain('nothing to undo');
  expect(await rig('diff', '999')).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no revision 999') as string });
  await rig('delete', '-f', path('rule.yaml'));
});

test('plan of a mesh, of two folders, and of files that would be refused', async () => {
  await rig('apply', '-f', path('rule.yaml'));
  const against = await rig('plan', '-f', path('other.yaml'), '--fail-on', 'low');
  expect(against).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(
      /^risk: low\n {2}low: 1 resource is another, and no proxy is touched\n\nresources\n {2}~ DestinationRule default\/order-service\n/,
    ) as string,
  });
  expect(await rig('plan', '-f', path('rule.yaml'), '--fail-on', 'low')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^risk: none\n/) as string });
  expect((await rig('plan', '-f', path('networks.yaml').replace('networks', 'namespaced'), '--prune')).stderr).toContain('there is no such file');
  const replayed = JSON.parse(
    (await rig('plan', '-f', path('other.yaml'), '--replay', '1h', '--save-replay', path('traffic.json'), '-o', 'json')).stdout,
  ) as unknown;
  expect(replayed).toMatchObject({ risk: 'low', replay: { seen: 0, groups: [] } });
  const offline = ['--state', path('nobody'), 'plan', '--from', path('rule.yaml'), '-f', path('other.yaml')];
  expect((await rig(...offline, '--replay', path('traffic.json'), '-o', 'markdown')).stdout).toMatch(/^### Risk: /);
  expect(await rig(...offline, '--replay', path('rule.yaml'))).toMatchObject({ code: 2, stderr: expect.stringContaining('no JSON') as string });
  expect(await rig(...offline, '--replay', 'yesterday')).toMatchObject({ code: 2, stderr: expect.stringContaining('neither a time nor a file') as string });
  expect(await rig('plan', '-f', path('misspelt.yaml'))).toMatchObject({ code: 1, stderr: expect.stringContaining('refused: 1 error') as string });
  await rig('delete', '-f', path('rule.yaml'));
});

test('analyze needs no mesh', async () => {
  const found = await rig('--state', path('nobody'), 'analyze', '-o', 'json', path('misspelt.yaml'));
  expect(found.code).toBe(1);
  expect(JSON.parse(found.stdout)).toMatchObject([
    {
      code: 'IST0106',
      level: 'Error',
      resource: { kind: 'DestinationRul', namespace: 'default', name: 'order-service' },
      file: path('misspelt.yaml'),
      line: 2,
    },
  ]);
});

test('analyze takes settings of the mesh, and leaves out what is not wanted', async () => {
  const networks = 'networks:\n  far:\n    endpoints:\n    - fromRegistry: nowhere\n    gateways: []\n';
  writeFileSync(path('networks.yaml'), networks);
  writeFileSync(path('namespace.yaml'), 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop-a\n');
  const all = ['analyze', path('namespace.yaml'), '--mesh-networks', path('networks.yaml')];
  expect(await rig(...all)).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(
      /^Info \[IST0102\] \(Namespace shop-a .*namespace\.yaml:4\).*\nError \[IST0126\] \(MeshNetworks istio-system\/meshnetworks .*networks\.yaml:4\) Unknown service registry nowhere/,
    ) as string,
  });
  const left = await rig(...all, '--suppress', 'IST0102=Namespace shop-*', '--suppress', 'IST0126=MeshNetworks *', '--fail-on', 'Info');
  expect(left).toMatchObject({ code: 0, stdout: 'no problem found\n' });
  expect(await rig(...all, '--suppress', 'Namespace')).toMatchObject({ code: 2, stderr: expect.stringContaining('it names no code and resource') as string });
  expect(await rig('analyze', path('namespace.yaml'), '--fail-on', 'info')).toMatchObject({ code: 1 });
});

test('check finds the machine ready and the mesh well', async () => {
  const { code, stdout } = await rig('check', '-o', 'json');
  expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ area: 'mesh', what: 'control plane', ok: true }));
  expect(code).toBe(0);
});

test('token and dashboard print what is used once', async () => {
  expect((await rig('token', 'create', '--name', 'web')).stdout).toMatch(/^ojt1(\.[\w-]+){3}\n$/);
  expect((await rig('dashboard')).stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{43}\n$/);
});

test('a second control plane, and a port in use, are refused in words', async () => {
  expect(await rig('up')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`(process ${process.pid}) runs with this state directory already`) as string,
  });
  const taken = await rig('--state', path('second'), 'up', '--xds-address', controlPlane.addresses.grpc);
  expect(taken).toMatchObject({ code: 1, stderr: expect.stringContaining(`${controlPlane.addresses.grpc} is in use by another program`) as string });
});
