import { writeFileSync } from 'node:fs';
import {
  analyzeInput,
  diffText,
  fixedFiles,
  type Level,
  type Message,
  readAnalysisInput,
  type Suppression,
  suppressionOf,
  withoutSuppressed,
} from '@outrigger/analysis';
import { CliError, ExitCode } from '../error.ts';
import { type ConfigFile, readConfigFiles } from '../files.ts';
import { messageLine } from '../messages.ts';
import { type OutputFormat, printJson } from '../output.ts';

const levels: readonly Level[] = ['Info', 'Warning', 'Error'];

/** Parses, validates and analyses files with no mesh running: the functions that `rig apply` calls at the control plane. */
export async function analyzeFiles(options: {
  files: string[];
  namespace: string;
  failOn: string;
  output: OutputFormat;
  meshConfig?: string;
  meshNetworks?: string;
  allCodes?: boolean;
  suppress: readonly string[];
  fix?: boolean;
}): Promise<void> {
  const failOn = levels.find((level) => level.toLowerCase() === options.failOn.toLowerCase());
  if (failOn === undefined) throw new CliError(`--fail-on ${options.failOn}: no level`, { next: `one of ${levels.join(', ')}`, exitCode: ExitCode.usage });
  const suppressions = options.suppress.map(suppression);
  const files = readConfigFiles(options.files);
  const input = await readAnalysisInput(files, {
    defaultNamespace: options.namespace,
    ...(options.meshConfig === undefined ? {} : { meshConfig: settings('--mesh-config', options.meshConfig) }),
    ...(options.meshNetworks === undefined ? {} : { meshNetworks: settings('--mesh-networks', options.meshNetworks) }),
  });
  const found = withoutSuppressed(analyzeInput(input, { allCodes: options.allCodes === true, nowMs: Date.now() }), suppressions);
  const fixes = fixedFiles(files, found);
  const messages = options.fix === true ? mend(found, fixes) : found;
  if (options.output === 'json') printJson(messages);
  else {
    for (const message of messages) console.log(messageLine(message));
    if (found.length === 0) console.log('no problem found');
    for (const fixed of fixes) console.log(`\n${diffText(fixed)}`);
    if (fixes.length > 0) console.log(options.fix === true ? '\nwritten' : '\n`rig analyze --fix` writes this');
  }
  process.exitCode = messages.some(({ level }) => levels.indexOf(level) >= levels.indexOf(failOn)) ? ExitCode.failed : ExitCode.ok;
}

/** Writes the files; what is left is what nobody but a person can mend. */
function mend(messages: readonly Message[], fixes: ReturnType<typeof fixedFiles>): readonly Message[] {
  for (const { file, after } of fixes) {
    if (file === '<stdin>') throw new CliError('--fix cannot write standard input', { next: 'name the file', exitCode: ExitCode.usage });
    writeFileSync(file, after);
  }
  const fixed = new Set(fixes.flatMap((one) => one.messages));
  return messages.filter((message) => !fixed.has(message));
}

function suppression(text: string): Suppression {
  const read = suppressionOf(text);
  if (read === undefined)
    throw new CliError(`--suppress ${text}: it names no code and resource`, {
      next: 'write it as --suppress "IST0102=Namespace shop-*" or --suppress "IST0101=VirtualService shop/web"',
      exitCode: ExitCode.usage,
    });
  return read;
}

function settings(option: string, path: string): ConfigFile {
  const files = readConfigFiles([path]);
  if (files.length > 1) throw new CliError(`${option} ${path}: it is ${files.length} files`, { next: 'name one file', exitCode: ExitCode.usage });
  return files[0]!;
}
