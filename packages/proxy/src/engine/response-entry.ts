import type { ResponseHead } from '../http/message.ts';
import type { LbContext } from '../lb/context.ts';
import { GAVE_UP, GAVE_UP_HEADER } from '../resilience/given-up.ts';
import type { ClusterChoice } from '../routing/cluster-choice.ts';
import { headerIndex, removeHeader, setHeader } from '../routing/headers.ts';
import type { StreamRecord } from './stream-record.ts';

/** What routes and filters do to the head of an answer before it goes to the downstream. `random` is the stream's. */
export function enterResponse(stream: StreamRecord, head: ResponseHead, choice: ClusterChoice | null, lb: LbContext | null, random: number): void {
  const { route, manager } = stream;
  const { headers } = head;
  if (route !== null) {
    route.finalizeResponse(headers, choice, stream);
    const { cors: corsName } = manager.config.filters;
    const { cors, disabled } = route.fields.filters;
    if (corsName !== '' && cors.enabled && !disabled.has(corsName) && cors.decide(stream.head, random) === 'actual') cors.applyToResponse(stream.head, headers);
    if (route.fields.includeAttemptCountInResponse) setHeader(headers, 'x-envoy-attempt-count', String(stream.upstreamRequestAttemptCount));
  }
  const { mutations } = manager.config.filters;
  if (mutations !== null && !route?.fields.filters.disabled.has(mutations.name)) {
    mutations.response.apply(headers, stream);
    if (route !== null) route.fields.filters.responseMutations.apply(headers, stream);
  }
  if (lb !== null && lb.setCookie !== '') headers.push('set-cookie', lb.setCookie);
  if (manager.config.alwaysSetRequestIdInResponse && stream.requestId !== '') setHeader(headers, 'x-request-id', stream.requestId);
}

/**
 * "Do not retry this again", by what docs/xds.md says: remembered where the application's own call was given up, put on
 * what goes to another proxy, taken off what goes to an application. `gaveUp`: this proxy did.
 */
export function markGivenUp({ manager, requestId }: StreamRecord, head: ResponseHead, gaveUp: boolean): void {
  const { direction, runtime } = manager;
  if (head.status < 500 && !gaveUp) return;
  if (direction === 'inbound') {
    if (gaveUp || (head.status >= 500 && runtime.givenUp.has(requestId, runtime.nowMs()))) setHeader(head.headers, GAVE_UP_HEADER, GAVE_UP);
    return;
  }
  let given = gaveUp;
  const index = headerIndex(head.headers, GAVE_UP_HEADER);
  if (index >= 0 && head.headers[index + 1] === GAVE_UP) {
    given = true;
    if (direction === 'outbound') removeHeader(head.headers, GAVE_UP_HEADER);
  } else if (given && direction === 'unspecified') setHeader(head.headers, GAVE_UP_HEADER, GAVE_UP);
  if (given) runtime.givenUp.add(requestId, runtime.nowMs());
}
