import type { HeaderList, ResponseHead } from '../../http/message.ts';
import { headerValue } from '../../routing/headers.ts';
import type { HttpCheck, StatusRange } from '../../xds/health-check-config.ts';
import { HEALTH_CHECK_USER_AGENT, type HttpProbeKind, requestHead } from './http-probe.ts';
import { holdsInOrder, type ProbeEvents, type ProbeTarget, probeInfo } from './probe.ts';

const NOTHING = Buffer.alloc(0);
/** Of a body that is looked at whole. */
const MAX_BODY_BYTES = 1024 * 1024;

/** HealthCheck.HttpHealthCheck. */
export class HttpCheckKind implements HttpProbeKind {
  readonly http2: boolean;
  readonly #check: HttpCheck;
  readonly #bodyBytes: number;
  #head: ResponseHead | null = null;
  #body: Buffer = NOTHING;

  constructor(check: HttpCheck) {
    this.#check = check;
    this.http2 = check.http2;
    this.#bodyBytes = check.receive.length === 0 ? 0 : check.responseBufferBytes === 0 ? MAX_BODY_BYTES : check.responseBufferBytes;
  }

  request(target: ProbeTarget): ReturnType<HttpProbeKind['request']> {
    const { method, path, send, headers: mutations } = this.#check;
    const headers: HeaderList = ['user-agent', HEALTH_CHECK_USER_AGENT];
    if (send.length > 0) headers.push('content-length', String(send.length));
    if (!mutations.empty) mutations.apply(headers, probeInfo(target.text));
    return { head: requestHead(method, path, target, headers, send.length), body: send };
  }

  begin(): void {
    this.#head = null;
    this.#body = NOTHING;
  }

  onHead(head: ResponseHead): void {
    this.#head = head;
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    const room = this.#bodyBytes - this.#body.length;
    if (room > 0) this.#body = Buffer.concat([this.#body, buffer.subarray(start, Math.min(end, start + room))]);
  }

  verdict(_trailers: HeaderList, events: ProbeEvents): void {
    const { status, headers } = this.#head!;
    const { receive, expected, retriable, serviceName } = this.#check;
    const excluded = headerValue(headers, 'x-envoy-immediate-health-check-fail') !== undefined;
    const wrongBody = receive.length > 0 && !holdsInOrder(this.#body, receive);
    if (wrongBody || !within(status, expected)) {
      events.onFailed('active', within(status, retriable), excluded);
      return;
    }
    if (serviceName !== null && !serviceName.matches(headerValue(headers, 'x-envoy-upstream-healthchecked-cluster') ?? '')) {
      events.onFailed('active', false, false);
      return;
    }
    events.onPassed(headerValue(headers, 'x-envoy-degraded') !== undefined);
  }
}

function within(status: number, ranges: readonly StatusRange[]): boolean {
  return ranges.some(({ start, end }) => status >= start && status < end);
}
