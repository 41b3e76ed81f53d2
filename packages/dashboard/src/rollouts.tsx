import type { RolloutArmView, RolloutView } from '@outrigger/control-plane/api';
import { Card, Figure, Scrolling, State } from './parts.tsx';
import { duration, type Grade, gradeOfSuccess, milliseconds, percent, serviceName } from './text.ts';

const phaseGrade: Record<RolloutView['phase'], Grade | 'plain'> = {
  waiting: 'unknown',
  progressing: 'plain',
  paused: 'warn',
  succeeded: 'good',
  'rolled-back': 'bad',
  aborted: 'warn',
};

/** Nothing where there is none: most meshes have none at most times. */
export function Rollouts({ rollouts }: { rollouts: readonly RolloutView[] | undefined }) {
  if (rollouts === undefined || rollouts.length === 0) return null;
  return (
    <Card title="Rollouts" note="both versions as counted since the step began">
      <ul class="rollouts">
        {rollouts.map((rollout) => (
          <Rollout key={`${rollout.namespace}/${rollout.name}`} rollout={rollout} />
        ))}
      </ul>
    </Card>
  );
}

function Rollout({ rollout }: { rollout: RolloutView }) {
  const { name, namespace, from, to, phase, weight, mirror, arms, checks, verdict } = rollout;
  return (
    <li aria-label={`Rollout ${name}`}>
      <p class="heading">
        <b>{serviceName({ service: name, namespace })}</b>
        <span>
          {from || 'unknown'} → {to}
        </span>
        <State grade={phaseGrade[phase]}>{phase.replace('-', ' ')}</State>
        {(phase === 'progressing' || phase === 'paused') && <Progress rollout={rollout} />}
      </p>
      <p>{verdict}</p>
      {phase !== 'waiting' && (
        <Scrolling label={`Versions of ${name}`}>
          <table class="arms">
            <thead>
              <tr>
                <th scope="col">Version</th>
                <th scope="col" class="number">
                  Weight
                </th>
                <th scope="col">
                  <span class="unseen">Weight, as a bar</span>
                </th>
                <th scope="col" class="number">
                  Requests
                </th>
                <th scope="col" class="number">
                  Failed
                </th>
                <th scope="col" class="number">
                  Success
                </th>
                <th scope="col" class="number">
                  p99
                </th>
              </tr>
            </thead>
            <tbody>
              <Arm version={from} weight={weight === null ? null : 100 - weight} arm={arms.from} />
              <Arm version={mirror > 0 ? `${to} (${mirror} % mirrored)` : to} weight={weight} arm={arms.to} />
            </tbody>
          </table>
        </Scrolling>
      )}
      {checks.length > 0 && (
        <ul class="notes">
          {checks.map(({ requirement, state, text }) => (
            <li key={requirement}>
              <code>{requirement}</code> <State grade={state === 'pass' ? 'good' : state === 'fail' ? 'bad' : 'unknown'}>{state.replace('-', ' ')}</State>{' '}
              {text}
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}

function Progress({ rollout: { step, steps, heldMs, everyMs } }: { rollout: RolloutView }) {
  const where = step < 0 ? 'mirroring' : `step ${step + 1} of ${steps.length}`;
  return (
    <span class="quiet">
      {where}, watched for {duration(heldMs)} of {duration(everyMs)}
    </span>
  );
}

const barWidth = 120;

function Arm({ version, weight, arm }: { version: string; weight: number | null; arm: RolloutArmView }) {
  return (
    <tr>
      <th scope="row">{version}</th>
      <Figure text={weight === null ? '–' : `${Math.round(weight * 100) / 100} %`} why="as the routes are written" />
      <td>
        <svg class="share" width={barWidth} height="8" aria-hidden="true">
          <rect class="whole" width={barWidth} height="8" />
          <rect width={((weight ?? 0) / 100) * barWidth} height="8" />
        </svg>
      </td>
      <Figure text={String(arm.requests)} />
      <Figure text={String(arm.failures)} />
      <Figure text={percent(arm.successRatio)} grade={gradeOfSuccess(arm.successRatio)} />
      <Figure text={milliseconds(arm.p99Ms)} />
    </tr>
  );
}
