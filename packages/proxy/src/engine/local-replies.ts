import type { AccessLogFormat } from '@outrigger/telemetry';
import type { HeaderList } from '../http/message.ts';
import type { FilteredInfo, LogFilter } from '../observe/log-filter.ts';
import type { HeaderMutations } from '../routing/header-mutations.ts';
import { removeHeader } from '../routing/headers.ts';

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
  /** Those that were given, and the mapper's. */
  readonly headers: HeaderList;
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

  /** `given`: headers that come with the reply. */
  map(stream: MappableStream, status: number, body: string, given: HeaderList, random: number): MappedReply {
    stream.responseCode = status;
    stream.localReplyBody = body;
    const mapper = this.#mappers.find(({ filter }) => filter.holds(stream, random));
    const format = mapper?.format ?? this.#format;
    const headers = [...given];
    if (format !== null) removeHeader(headers, 'content-type');
    if (mapper !== undefined) {
      if (mapper.body !== null) stream.localReplyBody = mapper.body;
      // As in Envoy they see the status from before.
      mapper.headers.apply(headers, stream);
      if (mapper.status > 0) stream.responseCode = mapper.status;
    }
    return {
      status: stream.responseCode,
      body: format === null ? stream.localReplyBody : format.format.write(stream),
      contentType: format === null ? '' : format.contentType,
      headers,
    };
  }
}
