/** What a regular expression says that has nothing of one in it. */
export interface PlainMatch {
  readonly kind: 'exact' | 'prefix';
  readonly text: string;
}

/** "/a/b" and "/a/.*" are an exact text and a prefix; undefined: it needs to be an expression. */
export function plainMatch(regex: string): PlainMatch | undefined {
  // What is met is the whole text: "^" and "$" say nothing more.
  const body = regex.replace(/^\^/, '').replace(/(?<!\\)\$$/, '');
  const isPrefix = /(?<!\\)\.\*$/.test(body);
  const text = isPrefix ? body.slice(0, -2) : body;
  const literal = literalOf(text);
  if (literal === undefined || literal === '') return undefined;
  return { kind: isPrefix ? 'prefix' : 'exact', text: literal };
}

/** A dot is taken for any character, as it is written, unless it is escaped. */
function literalOf(text: string): string | undefined {
  let literal = '';
  for (let index = 0; index < text.length; index++) {
    const character = text[index]!;
    if (character === '\\') {
      const escaped = text[++index];
      if (escaped === undefined || /[A-Za-z0-9]/.test(escaped)) return undefined;
      literal += escaped;
    } else if (/[.*+?()[\]{}|^$]/.test(character)) return undefined;
    else literal += character;
  }
  return literal;
}

/** Repetitions are written out by RE2: a count in a count multiplies. More than this is as much as anybody needs to know. */
const MOST_STEPS = 1_000_000;

/** About how many steps an expression has once it is written out; each is tried at every character of a text. */
export function regexSteps(regex: string): number {
  /** Steps of each open group; the last of each is what a repetition stands behind. */
  const open: { total: number; last: number }[] = [{ total: 0, last: 0 }];
  const push = (steps: number): void => {
    const group = open.at(-1)!;
    group.total = Math.min(MOST_STEPS, group.total + steps);
    group.last = steps;
  };
  for (let index = 0; index < regex.length; index++) {
    const character = regex[index]!;
    const group = open.at(-1)!;
    if (character === '\\') {
      index++;
      push(1);
    } else if (character === '[') {
      index = endOfClass(regex, index);
      push(1);
    } else if (character === '(') open.push({ total: 0, last: 0 });
    else if (character === ')' && open.length > 1) {
      open.pop();
      push(group.total);
    } else if (character === '{') {
      const counted = /^\{(\d+)(?:,(\d*))?\}/.exec(regex.slice(index, index + 16));
      if (counted === null) push(1);
      else {
        index += counted[0].length - 1;
        const times = Math.max(Number(counted[1]), Number(counted[2] || counted[1]));
        group.total = Math.min(MOST_STEPS, group.total + group.last * Math.max(0, times - 1));
        group.last = Math.min(MOST_STEPS, group.last * times);
      }
    } else if (!'*+?|^$'.includes(character)) push(1);
  }
  return open.reduce((sum, { total }) => Math.min(MOST_STEPS, sum + total), 0);
}

function endOfClass(regex: string, start: number): number {
  let index = start + 1;
  if (regex[index] === '^') index++;
  if (regex[index] === ']') index++;
  while (index < regex.length && regex[index] !== ']') index += regex[index] === '\\' ? 2 : 1;
  return index;
}
