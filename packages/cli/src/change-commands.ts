import type { Command, Option } from 'commander';

export interface Shared {
  readonly output: () => Option;
  readonly example: (command: Command, text: string) => Command;
  readonly mesh: () => string;
}

/** What was changed, and back: diff, history, undo. */
export function changeCommands(program: Command, { output, example, mesh }: Shared): void {
  example(
    program
      .command('diff')
      .description('what `rig apply` would change, or what lies between two revisions; exit 1 if anything')
      .argument('[from]', 'a revision, as `rig history` has it')
      .argument('[to]', 'another; without it what is in force now')
      .option('-f, --filename <path...>', 'file, folder or - for standard input, beside what is in force')
      .option('-n, --namespace <name>', 'namespace of resources that name none', 'default')
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
      .option('--wait [seconds]', 'wait until every affected proxy has acknowledged')
      .option('--dry-run', 'show only what would change')
      .addOption(output())
      .action(async (revision: string | undefined, options) => (await import('./commands/undo.ts')).undo({ ...options, revision, state: mesh() })),
    'rig undo\nrig undo 12 --wait',
  );
}
