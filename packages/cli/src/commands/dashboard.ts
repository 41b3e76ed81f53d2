import { apiOf } from '../api/control-plane.ts';
import { type OutputFormat, printJson } from '../output.ts';

/** Prints an address with a fresh one-time token: the one that `rig up` printed is used up once it was opened. */
export async function dashboard(options: { output: OutputFormat; state: string }): Promise<void> {
  const answer = await apiOf(options.state).post<{ url: string }>('/dashboard-url', {});
  if (options.output === 'json') printJson(answer);
  else console.log(answer.url);
}
