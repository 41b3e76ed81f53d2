import type { Operator } from './command-operators.ts';
import { compileFormat, type Format } from './format.ts';
import type { StreamInfo } from './stream-info.ts';

/** Writes one record of a stream, with its line end. */
export interface AccessLogFormat {
  write(info: StreamInfo): string;
}

export type AccessLogResult = { readonly ok: true; readonly format: AccessLogFormat } | { readonly ok: false; readonly message: string };

/** A value of json_format: text, number, boolean, null, list or object of such. */
export type JsonTemplate = string | number | boolean | null | readonly JsonTemplate[] | { readonly [key: string]: JsonTemplate };

/** Istio's default JSON access log. */
export const ISTIO_JSON_FORMAT: Readonly<Record<string, string>> = {
  start_time: '%START_TIME%',
  route_name: '%ROUTE_NAME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
};

// A lone surrogate cannot come from latin1; quotes, backslashes and control characters are all that JSON asks for.
const NEEDS_ESCAPE = /["\\\u0000-\u001f]/;

/** A JSON string. Nearly no text in a log needs an escape, so the check comes first. Bench: bench/routing/telemetry.mjs. */
export function quoteJson(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/**
 * A value of a line, and the JSON text up to the next. Most values of a proxy's lines are those of the line before (route, cluster, host, status,
 * user agent), so what was made of the last is kept.
 */
class JsonValue {
  readonly #format: Format;
  /** Set where the format is a single operator: that keeps its type, and is null where it has no value. */
  readonly #operator: Operator | undefined;
  readonly #maxLength: number;
  readonly #tail: string;
  #lastText = '';
  #lastNumber = -1;
  #lastJson: string;

  constructor(format: Format, tail: string) {
    const [part] = format.parts;
    this.#format = format;
    const single = format.parts.length === 1 && part !== undefined && 'operator' in part ? part : undefined;
    this.#operator = single?.operator;
    this.#maxLength = single?.maxLength ?? 0;
    this.#tail = tail;
    this.#lastJson = this.#operator === undefined || this.#operator.kind === 'content' ? `""${tail}` : `null${tail}`;
  }

  json(info: StreamInfo): string {
    const operator = this.#operator;
    if (operator === undefined) return this.#ofText(this.#format.format(info, '-'));
    if (operator.kind !== 'number') return this.#ofText(operator.read(info));
    const value = operator.read(info);
    if (value === this.#lastNumber) return this.#lastJson;
    this.#lastNumber = value;
    this.#lastJson = (value < 0 ? 'null' : String(value)) + this.#tail;
    return this.#lastJson;
  }

  #ofText(value: string): string {
    if (value === this.#lastText) return this.#lastJson;
    this.#lastText = value;
    const max = this.#maxLength;
    const isNull = value === '' && this.#operator?.kind === 'text';
    this.#lastJson = (isNull ? 'null' : quoteJson(max > 0 && value.length > max ? value.slice(0, max) : value)) + this.#tail;
    return this.#lastJson;
  }
}

class JsonLine implements AccessLogFormat {
  readonly #head: string;
  readonly #values: readonly JsonValue[];

  constructor(head: string, values: readonly JsonValue[]) {
    this.#head = head;
    this.#values = values;
  }

  write(info: StreamInfo): string {
    const values = this.#values;
    let line = this.#head;
    for (let i = 0; i < values.length; i++) line += values[i]!.json(info);
    return line;
  }
}

class TextLine implements AccessLogFormat {
  readonly #format: Format;

  constructor(format: Format) {
    this.#format = format;
  }

  write(info: StreamInfo): string {
    return this.#format.format(info, '-');
  }
}

/** Deeper than any log format. */
const MAX_DEPTH = 16;

/** JSON text between values, and formats: written one after the other. */
type JsonPiece = string | Format;

function flatten(template: JsonTemplate, pieces: JsonPiece[], depth: number): string | undefined {
  if (depth > MAX_DEPTH) return `is nested more than ${MAX_DEPTH} deep`;
  if (typeof template === 'string') {
    const compiled = compileFormat(template);
    if (!compiled.ok) return compiled.message;
    pieces.push(compiled.format.literal === undefined ? compiled.format : quoteJson(compiled.format.literal));
    return undefined;
  }
  if (template === null || typeof template !== 'object') {
    pieces.push(String(template));
    return undefined;
  }
  const list = Array.isArray(template);
  const entries = Object.entries(template) as [string, JsonTemplate][];
  for (const [index, [key, value]] of entries.entries()) {
    const opening = index === 0 ? (list ? '[' : '{') : ',';
    pieces.push(list ? opening : `${opening}${JSON.stringify(key)}:`);
    const problem = flatten(value, pieces, depth + 1);
    if (problem !== undefined) return problem;
  }
  pieces.push(entries.length === 0 ? (list ? '[]' : '{}') : list ? ']' : '}');
  return undefined;
}

/** SubstitutionFormatString.json_format: one JSON object a line. */
export function compileJsonLog(template: { readonly [key: string]: JsonTemplate }): AccessLogResult {
  const pieces: JsonPiece[] = [];
  const problem = flatten(template, pieces, 0);
  if (problem !== undefined) return { ok: false, message: problem };
  pieces.push('\n');
  const values: JsonValue[] = [];
  let text = '';
  // From behind: each value has the text that follows it.
  for (const piece of pieces.reverse()) {
    if (typeof piece === 'string') text = piece + text;
    else {
      values.unshift(new JsonValue(piece, text));
      text = '';
    }
  }
  return { ok: true, format: new JsonLine(text, values) };
}

/** SubstitutionFormatString.text_format: as written, which should end with a line end. */
export function compileTextLog(text: string): AccessLogResult {
  const compiled = compileFormat(text);
  return compiled.ok ? { ok: true, format: new TextLine(compiled.format) } : compiled;
}

/** Where lines go: a file, at the edge. False: it takes no more for now. */
export interface LogSink {
  write(text: string): boolean;
}

/** Waiting text above this is dropped, and counted: a slow disk may not take the proxy's memory. */
export const MAX_BUFFERED_LOG_BYTES = 4 * 1024 * 1024;
/** Lines leave at this size, or when `flush` is called (each turn, or on a timer). */
export const LOG_BATCH_BYTES = 64 * 1024;

/** Joins lines to few writes. */
export class AccessLogWriter {
  readonly #sink: LogSink;
  readonly #maxBuffered: number;
  #pending = '';
  #blocked = false;
  /** Lines lost since the start. */
  dropped = 0;

  constructor(sink: LogSink, maxBuffered: number = MAX_BUFFERED_LOG_BYTES) {
    this.#sink = sink;
    this.#maxBuffered = maxBuffered;
  }

  /** Whether `flush` has something to do. */
  get pending(): boolean {
    return this.#pending !== '';
  }

  write(line: string): void {
    if (this.#pending.length + line.length > this.#maxBuffered) {
      this.dropped++;
      return;
    }
    this.#pending += line;
    if (this.#pending.length >= LOG_BATCH_BYTES) this.flush();
  }

  flush(): void {
    if (this.#blocked || this.#pending === '') return;
    const text = this.#pending;
    this.#pending = '';
    this.#blocked = !this.#sink.write(text);
  }

  /** The sink takes more again. */
  drained(): void {
    this.#blocked = false;
    this.flush();
  }
}
