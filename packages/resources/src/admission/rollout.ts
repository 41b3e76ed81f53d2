import { durationMs } from '../duration.ts';
import { parseRequirement, type RolloutSpec } from '../kinds/rollout.ts';
import { type FieldError, forbidden, invalid, required } from '../schema/field-error.ts';
import { checkDuration } from './checks.ts';

/** What of a Rollout cannot be meant. */
export function rolloutErrors(spec: RolloutSpec): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (spec.from === spec.to) errors.push(invalid('spec.to', spec.to, 'must be another version than spec.from'));
  for (const [index, step] of spec.steps.entries()) {
    if (index > 0 && step <= spec.steps[index - 1]!) errors.push(invalid(`spec.steps[${index}]`, step, 'each step must be more than the one before'));
    if (Math.round(step * 100) / 100 !== step) errors.push(invalid(`spec.steps[${index}]`, step, 'must be a percentage of at most two decimals'));
  }
  if (spec.steps.at(-1) !== 100) errors.push(invalid('spec.steps', [...spec.steps], 'the last step must be 100'));
  checkDuration(spec.every, 'spec.every', errors);
  checkDuration(spec.deadline, 'spec.deadline', errors);
  const [every, deadline] = [durationMs(spec.every), durationMs(spec.deadline)];
  if (every !== undefined && deadline !== undefined && deadline <= every)
    errors.push(invalid('spec.deadline', spec.deadline, 'must be longer than spec.every, for which a step is held at least'));
  for (const [index, text] of spec.require.entries()) {
    const requirement = parseRequirement(text);
    if ('fault' in requirement) errors.push(invalid(`spec.require[${index}]`, text, requirement.fault));
  }
  const { header, cookie } = spec.sticky ?? {};
  if (spec.sticky !== undefined && header === undefined && cookie === undefined) errors.push(required('spec.sticky', 'header or cookie'));
  if (header !== undefined && cookie !== undefined) errors.push(forbidden('spec.sticky.cookie', 'one of header and cookie is enough'));
  return errors;
}
