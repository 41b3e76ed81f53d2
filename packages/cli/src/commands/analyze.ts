import { analyzeInput, type Level, readAnalysisInput, type Suppression, suppressionOf, withoutSuppressed } from '@outrigger/analysis';
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
}): Promise<void> {
  const failOn = levels.find((level) => level.toLowerCase() === options.failOn.toLowerCase());
  if (failOn === undefined) throw new CliError(`--fail-on ${options.failOn}: no level`, { next: `one of ${levels.join(', ')}`, exitCode: ExitCode.usage });
  const suppressions = options.suppress.map(suppression);
  const input = await readAnalysisInput(readConfigFiles(options.files), {
    defaultNamespace: options.namespace,
    ...(options.meshConfig === undefined ? {} : { meshConfig: settings('--mesh-config', options.meshConfig) }),
    ...(options.meshNetworks === undefined ? {} : { meshNetworks: settings('--mesh-networks', options.meshNetworks) }),
  });
  const messages = withoutSuppressed(analyzeInput(input, { allCodes: options.allCodes === true, nowMs: Date.now() }), suppressions);
  if (options.output === 'json') printJson(messages);
  else {
    for (const message of messages) console.log(messageLine(message));
    if (messages.length === 0) console.log('no problem found');
  }
  process.exitCode = messages.some(({ level }) => levels.indexOf(level) >= levels.indexOf(failOn)) ? ExitCode.failed : ExitCode.ok;
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
