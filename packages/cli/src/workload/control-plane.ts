import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlPlaneTarget } from '@outrigger/identity';
import { agentSocket } from '../api/control-plane.ts';
import { CliError, ExitCode } from '../error.ts';

/** A control plane on this machine (by the state directory) or elsewhere (by address and join token). */
export function controlPlaneOf(stateDirectory: string, address: string | undefined, joinToken: string | undefined): ControlPlaneTarget {
  if (address !== undefined) {
    if (!joinToken)
      throw new CliError('--control-plane needs --join-token', { next: '`rig token create --name NAME` there prints one', exitCode: ExitCode.usage });
    const target = hostPort(address, '--control-plane');
    return { address: () => target, joinToken };
  }
  return {
    socketPath: agentSocket(stateDirectory),
    address: () => {
      const file = join(stateDirectory, 'run/control-plane.json');
      try {
        const { grpc } = JSON.parse(readFileSync(file, 'utf8')) as { grpc: string };
        return hostPort(grpc, file);
      } catch (cause) {
        throw new CliError('no control plane has run with this state directory', {
          where: file,
          next: '`rig up` starts one',
          exitCode: ExitCode.unreachable,
          cause,
        });
      }
    },
    ...(joinToken === undefined ? {} : { joinToken }),
  };
}

export function hostPort(text: string, where: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (!match) throw new CliError(`"${text}" is no HOST:PORT`, { where, exitCode: ExitCode.usage });
  return { host: match[1] ?? match[2] ?? '', port: Number(match[3]) };
}
