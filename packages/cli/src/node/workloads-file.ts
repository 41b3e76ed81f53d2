import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { CliError, ExitCode } from '../error.ts';
import { type GatewayOptions, gatewayOptions } from '../gateway/options.ts';
import { hostPort } from '../workload/control-plane.ts';
import {
  instanceName,
  ownLabels,
  parseLabel,
  parseName,
  parsePort,
  parseUpstream,
  parseVersion,
  repeatedPort,
  type Upstream,
  type WorkloadOptions,
  type WorkloadPort,
} from '../workload/options.ts';

/** One workload of a node, as its file says. */
export interface NodeWorkload {
  readonly options: WorkloadOptions;
  /** Empty: somebody else runs the application. */
  readonly command: readonly string[];
  /** On top of that of `rig node`. */
  readonly env: Readonly<Record<string, string>>;
  /** undefined: that of `rig node`. */
  readonly cwd: string | undefined;
  /** Connections to its proxy at once; 0: the proxy's default. */
  readonly maxConnections: number;
  /** Of a file with what `rig token create` printed; undefined: the token of `rig node`. */
  readonly joinTokenFile: string | undefined;
}

/** One thing wrong with the file. */
export interface FileProblem {
  readonly line: number;
  readonly message: string;
  readonly next: string;
}

export interface ReadWorkloads {
  readonly workloads: readonly NodeWorkload[];
  readonly problems: readonly FileProblem[];
}

const maxFileBytes = 4 * 1024 * 1024;
/** More of them in one event loop is another host's work. */
const maxWorkloads = 1000;

const fields = [
  'name',
  'namespace',
  'version',
  'serviceAccount',
  'instance',
  'port',
  'upstream',
  'labels',
  'locality',
  'healthPath',
  'dataPlane',
  'certificateTtl',
  'otlp',
  'maxConnections',
  'joinTokenFile',
  'gateway',
  'command',
  'env',
  'cwd',
] as const;
type Field = (typeof fields)[number];

const gatewayFields = ['address', 'portMap', 'portOffset', 'certificates'];

/** All that is wrong, at once. `file` is for paths that are relative to its folder. */
export function readWorkloads(text: string, file: string): ReadWorkloads {
  const problems: FileProblem[] = [];
  if (Buffer.byteLength(text) > maxFileBytes)
    return { workloads: [], problems: [{ line: 1, message: 'the file has more than 4 MB', next: 'this is no list of workloads' }] };
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: true, merge: true });
  const lineOf = (node: Node | null | undefined): number => (node?.range ? counter.linePos(node.range[0]).line : 1);
  for (const error of document.errors)
    problems.push({ line: counter.linePos(error.pos[0]).line, message: error.message.split('\n')[0] ?? '', next: 'correct the YAML at this line' });
  if (problems.length > 0) return { workloads: [], problems };
  const list = document.contents;
  if (list === null || (isScalar(list) && list.value === null)) return { workloads: [], problems };
  if (!isSeq(list)) {
    problems.push({ line: lineOf(list as Node), message: 'the file is no list of workloads', next: 'begin each with "- name:"' });
    return { workloads: [], problems };
  }
  if (list.items.length > maxWorkloads)
    problems.push({ line: lineOf(list.items[maxWorkloads] as Node), message: `more than ${maxWorkloads} workloads`, next: 'put some on another host' });
  const workloads = list.items.flatMap((item) => {
    const node = isAlias(item) ? item.resolve(document) : (item as Node);
    const entry = new Entry(node as Node, lineOf(item as Node), lineOf, dirname(resolve(file)), problems);
    const read = entry.read();
    return read === undefined ? [] : [{ ...read, line: lineOf(item as Node) }];
  });
  clashes(workloads, problems);
  return { workloads: workloads.map(({ line: _, ...workload }) => workload), problems };
}

/** Of one that is wrong; the list of them is what a person reads. */
export function problemsText(file: string, problems: readonly FileProblem[]): string {
  return [...problems]
    .sort((one, other) => one.line - other.line)
    .map(({ line, message, next }) => `${file}:${line}: ${message}${next === '' ? '' : `; ${next}`}`)
    .join('\n');
}

/** Names and addresses that only one may have. */
function clashes(workloads: readonly (NodeWorkload & { readonly line: number })[], problems: FileProblem[]): void {
  const taken = new Map<string, number>();
  const take = (what: string, line: number, next: string): void => {
    const before = taken.get(what);
    if (before === undefined) taken.set(what, line);
    else problems.push({ line, message: `${what} is that of the workload at line ${before} too`, next });
  };
  for (const { options, line } of workloads) {
    take(`instance ${options.namespace}.${options.instance}`, line, 'give one of them an "instance:" of its own');
    for (const { address } of options.upstreams) take(`the upstream address ${address}`, line, 'give each its own loopback port');
  }
}

/** One item of the list. */
class Entry {
  readonly #node: Node | null;
  readonly #line: number;
  readonly #lineOf: (node: Node | null | undefined) => number;
  readonly #folder: string;
  readonly #problems: FileProblem[];
  readonly #values = new Map<Field, { readonly value: unknown; readonly line: number }>();

  constructor(node: Node | null, line: number, lineOf: (node: Node | null | undefined) => number, folder: string, problems: FileProblem[]) {
    this.#node = node;
    this.#line = line;
    this.#lineOf = lineOf;
    this.#folder = folder;
    this.#problems = problems;
  }

  /** undefined: there are problems. */
  read(): NodeWorkload | undefined {
    const before = this.#problems.length;
    if (!isMap(this.#node)) {
      this.#wrong(this.#line, 'this is no workload', 'begin each with "- name:"');
      return undefined;
    }
    for (const pair of this.#node.items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : '';
      const line = this.#lineOf(pair.key as Node);
      if (!(fields as readonly string[]).includes(key)) this.#wrong(line, `"${key}" is nothing that a workload has`, `it may have ${fields.join(', ')}`);
      else
        this.#values.set(key as Field, {
          value: (pair.value as Node | null)?.toJSON() ?? null,
          line: this.#lineOf((pair.value as Node | null) ?? (pair.key as Node)),
        });
    }
    const name = this.#text('name', (text) => parseName(text, 'name'), '');
    if (!this.#values.has('name')) this.#wrong(this.#line, 'the workload has no name', 'add "name:", the service that it is');
    const version = this.#text('version', (text) => parseVersion(text, 'version'), '');
    const ports = this.#texts('port', (text): WorkloadPort => parsePort(text, 'port'));
    const twice = repeatedPort(ports);
    if (twice !== undefined) this.#wrong(this.#lineAt('port'), `port ${twice.servicePort} is given twice`, 'each port of the service once');
    const dataPlane = this.#text('dataPlane', (text) => text, 'outrigger');
    if (dataPlane !== 'outrigger')
      this.#wrong(
        this.#lineAt('dataPlane'),
        `dataPlane ${dataPlane}: a shared process runs Outrigger's own proxy alone`,
        'take this line away, or run the workload by `rig run --data-plane envoy`',
      );
    const gateway = this.#gateway();
    if (gateway !== undefined && this.#values.has('command'))
      this.#wrong(this.#lineAt('command'), 'a gateway has no application', 'take "command:" away, or "gateway:"');
    const workload: NodeWorkload = {
      options: {
        name,
        namespace: this.#text('namespace', (text) => parseName(text, 'namespace'), 'default'),
        version,
        serviceAccount: this.#text('serviceAccount', (text) => parseName(text, 'serviceAccount'), name),
        instance: this.#text('instance', (text) => parseName(text, 'instance'), instanceName(name, version, ports[0])),
        labels: { ...ownLabels(name, version), ...this.#map('labels', (key, value) => parseLabel(`${key}=${value}`, 'labels')) },
        locality: this.#text('locality', (text) => text, ''),
        ports,
        upstreams: this.#texts('upstream', (text): Upstream => parseUpstream(text, 'upstream')),
        dataPlane: 'outrigger',
        healthPath: this.#text('healthPath', healthPath, ''),
        certificateTtlSeconds: this.#count('certificateTtl', 'seconds'),
        otlp: this.#text('otlp', (text) => (hostPort(text, 'otlp') ? text : ''), ''),
        ...(gateway === undefined ? {} : { gateway }),
      },
      command: this.#texts('command', (text) => text),
      env: this.#map('env', (key, value) => [key, value]),
      cwd: this.#text<string | undefined>('cwd', (text) => this.#directory(text), undefined),
      maxConnections: this.#count('maxConnections', 'connections'),
      joinTokenFile: this.#text<string | undefined>('joinTokenFile', (text) => resolve(this.#folder, text), undefined),
    };
    return this.#problems.length === before ? workload : undefined;
  }

  /** The options of `rig gateway`, by the names that they have as properties. */
  #gateway(): GatewayOptions | undefined {
    const found = this.#values.get('gateway');
    if (found === undefined) return undefined;
    const given: unknown = found.value ?? {};
    if (typeof given !== 'object' || Array.isArray(given)) {
      this.#wrong(found.line, 'gateway is no mapping', 'write "gateway: {portMap: {80: 8080}}", or "gateway: {}"');
      return undefined;
    }
    const unknown = Object.keys(given as object).find((name) => !gatewayFields.includes(name));
    if (unknown !== undefined) this.#wrong(found.line, `gateway.${unknown} is nothing that a gateway has`, `it may have ${gatewayFields.join(', ')}`);
    const { address = '0.0.0.0', portMap = {}, portOffset = 0, certificates } = given as Readonly<Record<string, unknown>>;
    return this.#tried(
      found.line,
      () =>
        gatewayOptions(
          {
            address: String(address),
            portMap: Object.entries(portMap ?? {}).map(([port, bound]) => `${port}=${bound}`),
            portOffset: String(portOffset),
            ...(certificates === undefined ? {} : { certificates: resolve(this.#folder, String(certificates)) }),
          },
          { address: 'gateway.address', portMap: 'gateway.portMap', portOffset: 'gateway.portOffset', certificates: 'gateway.certificates' },
        ),
      undefined,
    );
  }

  #directory(text: string): string {
    const path = resolve(this.#folder, text);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw new CliError(`cwd ${text}: there is no such folder`, { next: 'it counts from the folder of this file', exitCode: ExitCode.usage });
    return path;
  }

  #text<T>(field: Field, parse: (text: string) => T, absent: T): T {
    const found = this.#values.get(field);
    if (found === undefined) return absent;
    if (typeof found.value !== 'string' && typeof found.value !== 'number') {
      this.#wrong(found.line, `${field} is no text`, `write "${field}: ..." on one line`);
      return absent;
    }
    return this.#tried(found.line, () => parse(String(found.value)), absent);
  }

  #texts<T>(field: Field, parse: (text: string) => T): T[] {
    const found = this.#values.get(field);
    if (found === undefined) return [];
    const values: unknown[] = Array.isArray(found.value) ? found.value : [found.value];
    if (field === 'command' && !Array.isArray(found.value)) {
      this.#wrong(found.line, 'command is no list', 'write it as [program, argument, ...]');
      return [];
    }
    return values.flatMap((value) => {
      if (typeof value === 'string' || typeof value === 'number') return this.#tried(found.line, () => [parse(String(value))], []);
      this.#wrong(found.line, `${field} holds something that is no text`, 'put each on a line of its own, in quotes where it is no plain word');
      return [];
    });
  }

  #map(field: Field, parse: (key: string, value: string) => [string, string]): Record<string, string> {
    const found = this.#values.get(field);
    if (found === undefined) return {};
    if (typeof found.value !== 'object' || found.value === null || Array.isArray(found.value)) {
      this.#wrong(found.line, `${field} is no mapping`, 'write "key: value" lines under it');
      return {};
    }
    return Object.fromEntries(
      Object.entries(found.value).flatMap(([key, value]) => {
        if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
          return this.#tried(found.line, () => [parse(key, String(value))], [] as [string, string][]);
        this.#wrong(found.line, `${field}.${key} is no text`, 'put it in quotes');
        return [];
      }),
    );
  }

  #count(field: Field, of: string): number {
    const found = this.#values.get(field);
    if (found === undefined) return 0;
    if (typeof found.value === 'number' && Number.isInteger(found.value) && found.value > 0) return found.value;
    this.#wrong(found.line, `${field} ${String(found.value)}: not a number of ${of}`, 'a whole number above 0');
    return 0;
  }

  #tried<T>(line: number, parse: () => T, otherwise: T): T {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      this.#wrong(line, error.message, error.next);
      return otherwise;
    }
  }

  #lineAt(field: Field): number {
    return this.#values.get(field)?.line ?? this.#line;
  }

  #wrong(line: number, message: string, next: string): void {
    this.#problems.push({ line, message, next });
  }
}

function healthPath(text: string): string {
  if (!text.startsWith('/')) throw new CliError(`healthPath ${text}: not a path`, { next: 'it begins with "/"', exitCode: ExitCode.usage });
  return text;
}
