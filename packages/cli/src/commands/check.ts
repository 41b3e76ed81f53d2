import { accessSync, constants, existsSync, mkdirSync, statfsSync } from 'node:fs';
import { arch, platform } from 'node:os';
import { apiGatewayNeeds } from '@outrigger/analysis';
import type { Problem, ProxyView, ResourceView, ServiceView, VersionInfo } from '@outrigger/control-plane/api';
import { type JsonObject, refText, resourceFrom } from '@outrigger/resources';
import { apiOf, apiSocket } from '../api/control-plane.ts';
import { describe, ExitCode } from '../error.ts';
import { duration, type OutputFormat, printJson } from '../output.ts';
import { freePorts } from '../workload/ports.ts';

/** One thing looked at. `next` says what to do where it is not well. */
interface Finding {
  readonly area: 'machine' | 'mesh';
  readonly what: string;
  readonly ok: boolean;
  /** It is well, and there is something better. */
  readonly hint?: true;
  readonly detail: string;
  readonly next: string;
}

const minimumFreeBytes = 200 * 1024 * 1024;

/** Is this machine ready, is the mesh well. Exit code 1 where anything is not. */
export async function check(options: { output: OutputFormat; state: string }): Promise<void> {
  const findings = [...(await machine(options.state)), ...(await mesh(options.state))];
  if (options.output === 'json') printJson(findings);
  else
    for (const { what, ok, hint, detail, next } of findings)
      console.log(`${ok ? (hint ? 'hint' : 'ok  ') : 'FAIL'} ${what}: ${detail}${(ok && !hint) || next === '' ? '' : `\n       next: ${next}`}`);
  process.exitCode = findings.every(({ ok }) => ok) ? ExitCode.ok : ExitCode.failed;
}

function nodeIsRecent(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 19);
}

async function machine(state: string): Promise<Finding[]> {
  const finding = (what: string, ok: boolean, detail: string, next: string): Finding => ({ area: 'machine', what, ok, detail, next });
  const findings = [
    finding('system', platform() === 'linux' || platform() === 'darwin', `${platform()} ${arch()}`, 'Outrigger runs on Linux and macOS'),
    finding('Node', nodeIsRecent(), process.version, 'install Node >= 22.19, or use the launcher node_modules/.bin/rig'),
  ];
  try {
    mkdirSync(state, { recursive: true, mode: 0o700 });
    accessSync(state, constants.W_OK);
    const { bavail, bsize } = statfsSync(state);
    const free = bavail * bsize;
    findings.push(
      finding('state directory', free >= minimumFreeBytes, `${state}, ${Math.round(free / 1_048_576)} MiB free`, 'free some space, or choose another --state'),
    );
  } catch (error) {
    findings.push(finding('state directory', false, `${state}: ${describe(error)}`, 'choose a writable --state'));
  }
  try {
    const [port] = await freePorts(1);
    findings.push(finding('loopback', true, `port ${port} could be bound`, ''));
  } catch (error) {
    findings.push(finding('loopback', false, describe(error), '127.0.0.1 must be up'));
  }
  return findings;
}

async function mesh(state: string): Promise<Finding[]> {
  const finding = (what: string, ok: boolean, detail: string, next: string): Finding => ({ area: 'mesh', what, ok, detail, next });
  if (!existsSync(apiSocket(state))) return [finding('control plane', true, 'none is running with this state directory; `rig up` starts one', '')];
  const api = apiOf(state);
  try {
    const [version, proxies, services, problems, resources] = await Promise.all([
      api.get<VersionInfo>('/version'),
      api.get<ProxyView[]>('/proxies'),
      api.get<ServiceView[]>('/services'),
      api.get<Problem[]>('/problems'),
      api.get<ResourceView[]>('/resources'),
    ]);
    const registered = new Set(services.flatMap(({ instances }) => instances.map(({ id }) => id)));
    const nowMs = Date.now();
    const findings = [
      finding('control plane', true, `${version.version}, trust domain ${version.trustDomain}, up for ${duration(nowMs - version.startedAtMs)}`, ''),
    ];
    for (const proxy of proxies) {
      // One that left in order is no fault.
      if (!proxy.connected && !registered.has(`${proxy.namespace}/${proxy.instance}`)) continue;
      const left = proxy.certificateExpiresAtMs === null ? undefined : proxy.certificateExpiresAtMs - nowMs;
      const fault = !proxy.connected
        ? `not connected for ${duration(nowMs - proxy.lastSeenMs)}`
        : proxy.refusal !== null
          ? `refused its configuration: ${proxy.refusal}`
          : left !== undefined && left < 0
            ? 'its certificate has expired'
            : '';
      const next = !proxy.connected
        ? 'is its process there? its log is below sidecars/ in the state directory'
        : proxy.refusal !== null
          ? 'see `rig get` for the resource that it names'
          : '`rig status`; its agent renews at half life, and its log says why it did not';
      findings.push(
        finding(
          `proxy ${proxy.node}`,
          fault === '',
          fault || `${proxy.dataPlane}, in sync${left === undefined ? '' : `, certificate for ${duration(left)}`}`,
          next,
        ),
      );
    }
    for (const problem of problems) findings.push(finding(problem.where, false, problem.what, problem.next));
    for (const { resource, need, by } of apiGatewayNeeds(resources.map(({ manifest }) => resourceFrom(manifest as JsonObject))))
      findings.push({
        ...finding(refText(resource), true, `${by}: ${need} are the work of an API gateway, which a gateway of the mesh is not`, 'docs/api-gateway.md'),
        hint: true,
      });
    return findings;
  } catch (error) {
    return [finding('control plane', false, describe(error), '`rig up` starts one')];
  }
}
