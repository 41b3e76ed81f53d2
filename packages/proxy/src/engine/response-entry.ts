import type { HeaderList, ResponseHead } from '../http/message.ts';
import type { LbContext } from '../lb/context.ts';
import { GAVE_UP, GAVE_UP_HEADER } from '../resilience/given-up.ts';
import type { ClusterChoice } from '../routing/cluster-choice.ts';
import { headerIndex, removeHeader, setHeader } from '../routing/headers.ts';
import type { HttpManagerConfig } from '../xds/listener-config.ts';
import type { StreamRecord } from './stream-record.ts';

/** What the route does to the head of an answer, before the filters see it. */
export function finalizeResponse(stream: StreamRecord, head: ResponseHead, choice: ClusterChoice | null): void {
  const { route } = stream;
  if (route === null) return;
  route.finalizeResponse(head.headers, choice, stream);
  if (route.fields.includeAttemptCountInResponse) setHeader(head.headers, 'x-envoy-attempt-count', String(stream.upstreamRequestAttemptCount));
}

function nameServer({ serverName, keepServer }: HttpManagerConfig, headers: HeaderList): void {
  if (!keepServer || headerIndex(headers, 'server') < 0) setHeader(headers, 'server', serverName);
}

/** What is put on it last. */
export function leaveResponse(stream: StreamRecord, head: ResponseHead, lb: LbContext | null): void {
  if (stream.manager.config.serverName !== '') nameServer(stream.manager.config, head.headers);
  if (lb !== null && lb.setCookie !== '') head.headers.push('set-cookie', lb.setCookie);
  if (stream.manager.config.alwaysSetRequestIdInResponse && stream.requestId !== '') setHeader(head.headers, 'x-request-id', stream.requestId);
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
