import { analyze, type Message, messagesOf } from '@outrigger/analysis';
import { instancesOf, readResources, servicesOf } from '@outrigger/resources';
import { CliError, ExitCode } from '../error.ts';
import { readConfigFiles } from '../files.ts';
import { messageLine } from '../messages.ts';
import { type OutputFormat, printJson } from '../output.ts';

const levels = ['Info', 'Warning', 'Error'];

/** Parses, validates and analyses files with no mesh running: the functions that `rig apply` calls at the control plane. */
export async function analyzeFiles(options: { files: string[]; namespace: string; failOn: string; output: OutputFormat }): Promise<void> {
  if (!levels.includes(options.failOn))
    throw new CliError(`--fail-on ${options.failOn}: no level`, { next: `one of ${levels.join(', ')}`, exitCode: ExitCode.usage });
  const messages = await messagesOfFiles(options.files, options.namespace);
  if (options.output === 'json') printJson(messages);
  else {
    for (const message of messages) console.log(messageLine(message));
    if (messages.length === 0) console.log('no problem found');
  }
  process.exitCode = messages.some(({ level }) => levels.indexOf(level) >= levels.indexOf(options.failOn)) ? ExitCode.failed : ExitCode.ok;
}

async function messagesOfFiles(paths: string[], defaultNamespace: string): Promise<readonly Message[]> {
  const read = await readResources(readConfigFiles(paths), { defaultNamespace });
  // One mistyped field does not hide what else is wrong with its resource.
  const mesh = { services: servicesOf(read.resources), instances: instancesOf(read.resources) };
  return [...messagesOf(read.problems), ...analyze([...read.resources, ...read.refused], mesh, { others: read.others })];
}
