/** Formats a Unix time in ms. */
export interface TimeFormat {
  format(unixMs: number): string;
}

const pad = (value: number, width: number): string => String(value).padStart(width, '0');

type Piece = (date: Date) => string;

const PIECES: Readonly<Record<string, Piece>> = {
  Y: (date) => String(date.getUTCFullYear()),
  m: (date) => pad(date.getUTCMonth() + 1, 2),
  d: (date) => pad(date.getUTCDate(), 2),
  H: (date) => pad(date.getUTCHours(), 2),
  M: (date) => pad(date.getUTCMinutes(), 2),
  S: (date) => pad(date.getUTCSeconds(), 2),
  F: (date) => date.toISOString().slice(0, 10),
  T: (date) => date.toISOString().slice(11, 19),
  s: (date) => String(Math.floor(date.getTime() / 1000)),
  z: () => '+0000',
  Z: () => 'UTC',
  '%': () => '%',
};

/**
 * RFC 3339 with ms. The text up to the second is remembered: log lines of one second differ in three digits only.
 */
export class IsoTime implements TimeFormat {
  #second = -1;
  #text = '';

  format(unixMs: number): string {
    const second = Math.floor(unixMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second * 1000).toISOString().slice(0, 20);
    }
    const ms = Math.floor(unixMs - second * 1000);
    return this.#text + (ms < 10 ? '00' : ms < 100 ? '0' : '') + ms + 'Z';
  }
}

/** %START_TIME(format)%: strftime with %1f to %9f for fractions, always UTC; '' is ISO 8601 with ms. */
export function compileTimeFormat(format: string): TimeFormat | { readonly error: string } {
  if (format === '') return new IsoTime();
  const pieces: Piece[] = [];
  let literal = '';
  const flush = (): void => {
    const fixed = literal;
    if (fixed !== '') pieces.push(() => fixed);
    literal = '';
  };
  for (let i = 0; i < format.length; i++) {
    if (format[i] !== '%') {
      literal += format[i];
      continue;
    }
    const letter = format[++i] ?? '';
    if (/[1-9f]/.test(letter)) {
      const digits = letter === 'f' ? 9 : Number(letter);
      if (letter !== 'f' && format[++i] !== 'f') return { error: `%${letter} must be followed by f in a time format` };
      flush();
      pieces.push((date) => pad(date.getUTCMilliseconds(), 3).padEnd(9, '0').slice(0, digits));
      continue;
    }
    const piece = PIECES[letter];
    if (piece === undefined) return { error: `%${letter} is not supported in a time format` };
    flush();
    pieces.push(piece);
  }
  flush();
  return {
    format(unixMs) {
      const date = new Date(unixMs);
      let result = '';
      for (const piece of pieces) result += piece(date);
      return result;
    },
  };
}
