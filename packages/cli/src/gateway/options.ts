import { statSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { CliError, ExitCode } from '../error.ts';

/** What makes a gateway of a workload: where it listens, and its certificates. */
export interface GatewayOptions {
  /** IP address of its listeners. */
  readonly address: string;
  /** Port of the machine by port of the resources. */
  readonly portMap: Readonly<Record<number, number>>;
  /** Added to ports that the map does not have. */
  readonly portOffset: number;
  /** Folder of its certificates; undefined: only those whose files the resources name. */
  readonly certificates: string | undefined;
}

export interface GatewayArguments {
  readonly address: string;
  readonly portMap?: readonly string[];
  readonly portOffset?: string;
  readonly certificates?: string;
}

/** How messages name what is given. */
type Names = Readonly<Record<keyof GatewayArguments, string>>;
const optionNames: Names = { address: '--address', portMap: '--port-map', portOffset: '--port-offset', certificates: '--certificates' };

export function gatewayOptions(given: GatewayArguments, names: Names = optionNames): GatewayOptions {
  if (isIP(given.address) === 0)
    throw new CliError(`${names.address} ${given.address}: no IP address`, { next: 'one of this machine, or 0.0.0.0 for all', exitCode: ExitCode.usage });
  const portOffset = Number(given.portOffset ?? 0);
  if (!Number.isInteger(portOffset) || portOffset < 0 || portOffset > 65_535)
    throw new CliError(`${names.portOffset} ${given.portOffset}: not a number`, { next: 'what is added to each port, as in 8000', exitCode: ExitCode.usage });
  return {
    address: given.address,
    portMap: Object.fromEntries((given.portMap ?? []).map((text) => mapping(text, names.portMap))),
    portOffset,
    certificates: given.certificates === undefined ? undefined : folder(given.certificates, names.certificates),
  };
}

/** "80=8080" */
function mapping(text: string, name: string): [number, number] {
  const [port, bound] = /^(\d{1,5})=(\d{1,5})$/.exec(text)?.slice(1).map(Number) ?? [0, 0];
  const fits = (number: number | undefined): boolean => number !== undefined && number >= 1 && number <= 65_535;
  if (!fits(port) || !fits(bound)) throw new CliError(`${name} ${text}: not PORT=PORT`, { next: 'for example 80=8080', exitCode: ExitCode.usage });
  return [port!, bound!];
}

function folder(path: string, name: string): string {
  const directory = resolve(path);
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new CliError(`${name} is no folder`, {
      where: directory,
      next: 'give the folder that holds NAME.crt and NAME.key, or NAME/tls.crt and NAME/tls.key, for each credentialName',
      exitCode: ExitCode.usage,
    });
  return directory;
}

/** Where a port of the resources is bound. */
export function boundPort({ portMap, portOffset }: Pick<GatewayOptions, 'portMap' | 'portOffset'>, port: number): number {
  return portMap[port] ?? port + portOffset;
}
