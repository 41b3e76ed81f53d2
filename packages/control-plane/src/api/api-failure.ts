import type { ApiError, Message } from './shapes.ts';

/** An answer that is no success: what happened, where, and what to do next. */
export class ApiFailure extends Error {
  readonly status: number;
  readonly code: string;
  readonly where: string;
  readonly next: string;
  readonly messages: readonly Message[] | undefined;
  /** Fields beside `error`, where a refusal has the shape of its success too. */
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    code: string,
    what: string,
    where: string,
    next: string,
    messages?: readonly Message[],
    extra: Readonly<Record<string, unknown>> = {},
  ) {
    super(what);
    this.name = 'ApiFailure';
    this.status = status;
    this.code = code;
    this.where = where;
    this.next = next;
    this.messages = messages;
    this.extra = extra;
  }

  body(): ApiError {
    const { code, message: what, where, next, messages } = this;
    return { ...this.extra, error: { code, what, where, next, ...(messages === undefined ? {} : { messages: [...messages] }) } };
  }
}
