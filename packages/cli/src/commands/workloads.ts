import { parseDocuments, problemText } from '@outrigger/resources';
import { CliError, ExitCode } from '../error.ts';
import { readConfigFiles } from '../files.ts';
import { fromKubernetes } from '../node/from-kubernetes.ts';

/** `rig workloads`: what Kubernetes' objects say, as a file for `rig node`, or as the ServiceEntries beside it. */
export function workloads({ filename, services }: { readonly filename: readonly string[]; readonly services?: boolean }): void {
  const { documents, problems } = parseDocuments(readConfigFiles(filename));
  for (const problem of problems) console.error(problemText(problem));
  const made = fromKubernetes(documents);
  if (services !== true && made.count === 0)
    throw new CliError('these files hold no Deployment, StatefulSet, DaemonSet or Pod', { where: filename.join(', '), next: 'name files of Kubernetes' });
  process.stdout.write(services === true ? made.services : made.workloads);
  if (services !== true && made.services !== '')
    console.error('# Services beside these, of single versions and the like: `rig workloads --services` makes ServiceEntries of them');
  process.exitCode = problems.length > 0 ? ExitCode.failed : ExitCode.ok;
}
