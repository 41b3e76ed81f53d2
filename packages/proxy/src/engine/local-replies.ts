import type { AccessLogFormat } from '@outrigger/telemetry';
import type { FilteredInfo, LogFilter } from '../observe/log-filter.ts';
import type { HeaderMutations } from '../routing/header-mutations.ts';

/** How the body of a local reply is written. */
export interface ReplyFormat {
  readonly format: AccessLogFormat;
  readonly contentType: string;
}

/** ResponseMapper; null or 0: as it is. */
export interface ReplyMapper {
  readonly filter: LogFilter;
  readonly status: number;
  readonly body: string | null;
  readonly format: ReplyFormat | null;
  readonly headers: HeaderMutations;
}

/** A reply as it is to be sent. */
export interface MappedReply {
  readonly status: number;
  readonly body: string;
  /** '' where nothing has written the body anew. */
  readonly contentType: string;
  readonly headers: HeaderMutations | null;
}

/** What a mapper reads and sets. */
interface MappableStream extends FilteredInfo {
  responseCode: number;
  localReplyBody: string;
}

/** local_reply_config: what the connection manager makes of answers of the proxy's own. */
export class LocalReplies {
  readonly #mappers: readonly ReplyMapper[];
  readonly #format: ReplyFormat | null;

  constructor(mappers: readonly ReplyMapper[], format: ReplyFormat | null) {
    this.#mappers = mappers;
    this.#format = format;
  }

  map(stream: MappableStream, status: number, body: string, random: number): MappedReply {
    stream.responseCode = status;
    stream.localReplyBody = body;
    const mapper = this.#mappers.find(({ filter }) => filter.holds(stream, random));
    if (mapper !== undefined && mapper.status > 0) stream.responseCode = mapper.status;
    if (mapper !== undefined && mapper.body !== null) stream.localReplyBody = mapper.body;
    const format = mapper?.format ?? this.#format;
    return {
      status: stream.responseCode,
      body: format === null ? stream.localReplyBody : format.format.write(stream),
      contentType: format === null ? '' : format.contentType,
      headers: mapper === undefined || mapper.headers.empty ? null : mapper.headers,
    };
  }
}
