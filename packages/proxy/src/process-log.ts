import type { LogControl, ProxyLog } from './engine/options.ts';

const SEVERITY = { debug: 0, info: 1, warn: 2, error: 3, off: 4 } as const;

/** As OUTRIGGER_LOG says. */
export function initialLogging(): LogControl {
  return { level: process.env['OUTRIGGER_LOG'] === 'debug' ? 'debug' : 'info' };
}

/** A line per event on stderr, in JSON as the access log: `rig run` puts it into proxy.log. `fixed` is on each line. */
export function processLog(logging: LogControl, fixed: Readonly<Record<string, unknown>> = {}): ProxyLog {
  return (level, message, fields) => {
    if (SEVERITY[level] < SEVERITY[logging.level]) return;
    process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...fixed, ...fields })}\n`);
  };
}
