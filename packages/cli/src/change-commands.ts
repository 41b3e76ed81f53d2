import { type Command, Option } from 'commander';
import { type CommandParts, NAMESPACE_OF_FILES, WAIT } from './command-parts.ts';

/** What a change would do, what was changed, and back: plan, diff, history, undo. */
export function changeCommands(program: Command, { output, example, mesh }: CommandParts): void {
  example(
    program
      .command('plan')
      .description('what a change would do before it is made: routes, destinations, access, proxies, real requests; risk first')
      .option('-f, --filename <path...>', 'file, folder or - for standard input: what is to be')
      .option('--from <path...>', 'with no mesh: what was before')
      .option('--from-rev <revision>', 'with no mesh: a git revision of -f, as what was before')
      .option('--to-rev <revision>', 'with --from-rev: another, as what is to be')
      .option(...NAMESPACE_OF_FILES)
      .option('--prune', 'with a mesh: what the files do not name is taken away')
      .option('--replay <time|file>', 'run the requests of the last hours (1h), or of a file, through the tables before and after')
      .option('--save-replay <file>', 'write those requests to a file, for CI')
      .option('--outbound-policy <policy>', 'with no mesh: names outside it: ALLOW_ANY (the default) or REGISTRY_ONLY')
      .option('--mesh-config <file>', "with no mesh: the mesh's settings (MeshConfig)")
      .option('--fail-on <risk>', 'exit 1 from this risk on: low, medium, high', 'medium')
      .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json', 'markdown']).default('text'))
      .action(async (options) => (await import('./commands/plan.ts')).plan({ ...options, state: mesh() })),
    'rig plan -f mesh/ --replay 1h\nrig plan -f mesh/ --from-rev origin/main -o markdown',
  );
  example(
    program
      .command('diff')
      .description('what `rig apply` would change, or what lies between two revisions; exit 1 if anything')
      .argument('[from]', 'a revision, as `rig history` has it')
      .argument('[to]', 'another; without it what is in force now')
      .option('-f, --filename <path...>', 'file, folder or - for standard input, beside what is in force')
      .option(...NAMESPACE_OF_FILES)
      .addOption(output())
      .action(async (from: string | undefined, to: string | undefined, options) =>
        (await import('./commands/diff.ts')).diff({ ...options, from, to, state: mesh() }),
      ),
    'rig diff -f mesh/\nrig diff 12 15',
  );
  example(
    program
      .command('history')
      .description('the revisions of the configuration: when, by whom, what changed')
      .argument('[kind]', 'only those that touched this kind')
      .argument('[name]', 'and this name')
      .option('-n, --namespace <name>', 'and this namespace')
      .option('--limit <count>', 'at most so many, the newest', '20')
      .addOption(output())
      .action(async (kind: string | undefined, name: string | undefined, options) =>
        (await import('./commands/history.ts')).history({ ...options, kind, name, state: mesh() }),
      ),
    'rig history VirtualService order-service',
  );
  example(
    program
      .command('undo')
      .description('make the configuration again what it was after a revision, as a new revision')
      .argument('[revision]', 'as `rig history` has it; without it what was before the last one')
      .option(...WAIT)
      .option('--dry-run', 'show only what would change')
      .addOption(output())
      .action(async (revision: string | undefined, options) => (await import('./commands/undo.ts')).undo({ ...options, revision, state: mesh() })),
    'rig undo\nrig undo 12 --wait',
  );
}
