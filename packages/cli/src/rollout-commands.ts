import type { Command } from 'commander';
import { type CommandParts, several } from './command-parts.ts';

/** `rig rollout ...` */
export function rolloutCommands(program: Command, { output, example, mesh }: CommandParts): void {
  const rollout = program.command('rollout').description('shift a service’s traffic to another version, step by step, while that is as good');
  const common = (command: Command): Command => command.option('-n, --namespace <name>', 'namespace of the service', 'default').addOption(output());
  example(
    common(
      rollout
        .command('start')
        .description('begin; a step that does not hold what is required is taken back by itself')
        .argument('<service>', 'SERVICE or SERVICE.NAMESPACE')
        .requiredOption('--to <version>', 'new version: a value of the label version, or a subset of a DestinationRule')
        .option('--from <version>', 'old version (default: the only other one)')
        .option('--steps <percents>', 'shares of the traffic (default: 1,10,50,100)')
        .option('--every <duration>', 'how long a step is held at least (default: 60s)')
        .option('--require <requirement>', "'success>=99.5%', 'success>=0.995x', 'p99<=1.2x', 'p99<=300ms'; several times (default: success>=99%)", several, [])
        .option('--sticky <where>', 'header:NAME or cookie:NAME: who has the same value gets the same version')
        .option('--mirror-first <percent>', 'first send copies of so many requests, and drop the answers')
        .option('--confidence <percent>', 'of good versions so many are not rolled back (default: 99)')
        .option('--minimum-requests <n>', 'of each version, in a step, before it may pass (default: 100)')
        .option('--deadline <duration>', 'a step that has not passed by then is paused (default: 30m)')
        .option('--wait [seconds]', 'show progress until it is over or paused'),
    ).action(async (service: string, options) => (await import('./commands/rollout.ts')).startRollout({ ...options, service, state: mesh() })),
    "rig rollout start order-service --to v2 --steps 1,10,50,100 --every 60s --require 'success>=99.5%' --require 'p99<=1.2x' --wait",
  );
  common(
    rollout
      .command('status')
      .description('how it stands: step, what both versions did, what is required')
      .argument('<service>', 'SERVICE or SERVICE.NAMESPACE')
      .option('--wait [seconds]', 'show progress until it is over or paused'),
  ).action(async (service: string, options) => (await import('./commands/rollout.ts')).rolloutStatus({ ...options, service, state: mesh() }));
  const actions = [
    ['pause', 'stay at this step; a version that turns out bad is still taken back'],
    ['resume', 'go on with the step'],
    ['promote', 'all traffic to the new version now'],
    ['abort', 'all traffic back to the old version now'],
  ] as const;
  for (const [action, description] of actions)
    common(rollout.command(action).description(description).argument('<service>', 'SERVICE or SERVICE.NAMESPACE')).action(async (service: string, options) =>
      (await import('./commands/rollout.ts')).rolloutAction({ ...options, service, action, state: mesh() }),
    );
  rollout
    .command('list')
    .description('all rollouts')
    .option('-n, --namespace <name>', 'one namespace only')
    .addOption(output())
    .action(async (options) => (await import('./commands/rollout.ts')).rolloutList({ ...options, state: mesh() }));
}
